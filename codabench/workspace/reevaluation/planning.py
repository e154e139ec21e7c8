"""From what is stored to a plan: every run that boards show is compared with the newest revision of its task.

Nothing is started and no archive is opened: a few values of each run decide, and digests do not take long.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import from_json

from codabench.core.errors import NotFound
from codabench.core.evaluations import Evaluated
from codabench.core.text import plural
from codabench.core.trees import TreeRef
from codabench.db.database import Database
from codabench.runner.reuse import ReuseMode
from codabench.workspace import admission
from codabench.workspace.planning import stored_parts
from codabench.workspace.reevaluation.choosing import Choice, Where, check_reuse
from codabench.workspace.reevaluation.images import Images
from codabench.workspace.reevaluation.judging import Judge, Judgement, Past, Target
from codabench.workspace.reevaluation.plan import Estimate, Item, ReevaluationPlan, Times

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.workspace import Workspace

GONE = "its prediction output is gone"
LOST = "the files of the submission are gone"


def make_reevaluation(
    workspace: Workspace,
    competition: Competition,
    *,
    phase: int | str | None = None,
    task: int | str | None = None,
    where: Where = "finished",
    reuse: ReuseMode = "same-submission",
    note: str = "",
) -> ReevaluationPlan:
    """What `Workspace.reevaluate` returns."""
    check_reuse(reuse)
    spec = workspace.db.competition(competition.id)
    index = None if phase is None else admission.find_phase(spec, phase).index
    only = None if task is None else admission.pick(spec.tasks, task, "task", lambda t: t.index, lambda t: t.name).index
    choice = Choice(where, lambda: workspace.submissions(competition, index))
    runs = [
        run
        for run in workspace.db.evaluated(competition.id, index)
        if (only is None or run.task == only) and choice.takes(run)
    ]
    over = [run for run in runs if run.status.is_final]
    look = _Look(workspace, competition.id, reuse)
    items = [found.item(look.targets) for found in look.present([look.at(run) for run in over])]
    waiting = len(runs) - len(over)
    left_out = [f"{plural(waiting, 'run')} not over yet and left out"] if waiting else []
    return ReevaluationPlan(
        workspace,
        competition,
        items,
        estimate=look.estimate(items),
        under_way=waiting,
        reuse=reuse,
        note=note,
        notes=[*look.images.notes, *left_out, *_set_by_hand(workspace.db, competition.id, items)],
    )


def _set_by_hand(db: Database, competition: str, items: Sequence[Item]) -> list[str]:
    """What a plan says of numbers that organizers set: they belong to the runs that would be replaced."""
    last = {(score.run, score.key): score.value for score in db.hand_scores(competition)}
    runs = {run for (run, _), value in last.items() if value is not None}
    count = sum(item.run in runs for item in items if item.action in ("score", "full"))
    return [f"{plural(count, 'run')} with scores set by hand: boards will show what is computed"] if count else []


class Targets:
    """The tasks of a competition as they are now, each made when it is asked for."""

    def __init__(self, db: Database, competition: str) -> None:
        self._spec, self._stored = db.competition(competition), db.trees(competition)
        self._newest = {revision.task: revision for revision in db.revisions(competition)}
        self._made: dict[int | str, Target | str] = {}

    def of(self, task: int | str) -> Target | str:
        """A task; in words why it cannot be run any more."""
        if task not in self._made:
            try:
                self._made[task] = self._target(task)
            except (KeyError, NotFound) as error:
                missing = error.message if isinstance(error, NotFound) else "the competition has no such task any more"
                self._made[task] = missing
        return self._made[task]

    def number(self, task: int | str) -> int:
        """Its newest revision."""
        return self._newest[task].number if task in self._newest else 1

    def _target(self, task: int | str) -> Target:
        revision = self._newest.get(task)
        spec = revision.spec if revision else self._spec.task(task)
        trees = {**self._stored, **revision.trees} if revision else self._stored
        return Target(self.number(task), spec, stored_parts(spec, trees))


class _Looked(NamedTuple):
    """A run, what has to be done, and if that is something, what is on record of it."""

    run: Evaluated
    found: Judgement
    past: Past | None = None

    @property
    def kept(self) -> TreeRef | None:
        """The predictions that scoring would start from."""
        step = self.past.steps.get("prediction") if self.past and self.found.reuses else None
        return TreeRef.model_validate(step["output"]) if step else None

    @property
    def submitted(self) -> TreeRef | None:
        """The submission, if its files are needed."""
        return TreeRef.model_validate_json(self.run.tree) if self.past and not self.found.reuses else None

    def item(self, targets: Targets) -> Item:
        of = self.run
        return Item(
            *(of.run, of.submission, of.name, of.participant, of.phase, of.task, of.position),
            targets.number(of.task),
            *self.found,
        )


class _Look:
    """Looks at the runs of a competition, one after the other."""

    def __init__(self, workspace: Workspace, competition: str, reuse: ReuseMode) -> None:
        self._workspace, self._reuse = workspace, reuse
        self._spec = workspace.db.competition(competition)
        self.targets = Targets(workspace.db, competition)
        self.images = Images(workspace.places)
        self._judges: dict[tuple[int, int | str], Judge] = {}
        self._wanted: dict[str, str] = {}
        self._seconds: dict[str, list[float]] = {"prediction": [], "scoring": []}

    def at(self, run: Evaluated) -> _Looked:
        """What has to be done with a run."""
        outcome = from_json(run.outcome) if run.outcome else {}
        for step in outcome.get("steps", ()):
            if not step["skipped"] and step["reused_from"] is None:
                self._seconds[step["name"]].append(step["seconds"])
        past, target = self._past(run, outcome), self.targets.of(run.task)
        found = Judgement("impossible", target) if isinstance(target, str) else self._judge(run, target).of(past)
        # Nothing is kept of the record of the others, or tens of thousands would be looked over as garbage.
        return _Looked(run, found, past) if found.action in ("score", "full") else _Looked(run, found)

    def _judge(self, run: Evaluated, target: Target) -> Judge:
        key = run.phase, run.task
        if key not in self._judges:
            results_only = self._spec.phases[run.phase].accepts_only_result_submissions
            self._judges[key] = Judge(target, results_only=results_only, reuse=self._reuse)
        return self._judges[key]

    def _past(self, run: Evaluated, outcome: dict[str, Any]) -> Past:
        provenance, why = outcome.get("provenance") or {}, ""
        problem = outcome.get("problem")
        if provenance:
            if "submission" not in provenance:  # an older version kept nothing of it: its archive says
                facts = self._workspace.plans.facts(self._workspace.db.submission(run.submission))
                provenance["submission"] = facts.model_dump(mode="json")
            provenance["image"], why = self.images.now(provenance, self._image(run))
        steps = {step["name"]: step for step in outcome.get("steps", ())}
        return Past(run.status, run.revision, steps, provenance, why, problem["code"] if problem else None)

    def _image(self, run: Evaluated) -> str:
        """The name of the image that a run would ask for; few options differ."""
        if run.options not in self._wanted:
            self._wanted[run.options] = json.loads(run.options).get("image") or self._spec.docker_image
        return self._wanted[run.options]

    def present(self, looked: Sequence[_Looked]) -> list[_Looked]:
        """The same, for what is in storage: predictions that are gone are made again, if the submission is there."""
        gone = self._workspace.storage.missing(one.kept for one in looked)
        again = [self._predicted(one) if gone and one.kept in gone else one for one in looked]
        lost = self._workspace.storage.missing(one.submitted for one in again)
        nothing = Judgement("impossible", LOST)
        return [one._replace(found=nothing) if lost and one.submitted in lost else one for one in again]

    def _predicted(self, one: _Looked) -> _Looked:
        judge = self._judges[one.run.phase, one.run.task]
        return one._replace(found=judge.in_full(one.past, f"{one.found.reason}; {GONE}")) if one.past else one

    def estimate(self, items: Sequence[Item]) -> Estimate:
        """From the times of the steps on record."""
        slots = self._workspace.places.slots()
        prediction, scoring = Times.of(self._seconds["prediction"]), Times.of(self._seconds["scoring"])
        if scoring is None:
            return Estimate(None, slots, scoring, prediction)
        todo = [item for item in items if item.action in ("score", "full")]
        predicted = sum(item.prediction > 0 for item in todo)
        work = len(todo) * scoring.median + predicted * (prediction.median if prediction else 0.0)
        return Estimate(work / slots, slots, scoring, prediction)
