"""The plan of a run that is about to be carried out, from what the workspace keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial

from codabench.core.competition import CompetitionSpec
from codabench.core.evaluations import Revision
from codabench.core.records import Attempt, Run, Submission
from codabench.core.trees import TreeRef
from codabench.db.database import Database
from codabench.runner.expected import Expectation
from codabench.runner.inline import NAME as INLINE
from codabench.runner.plan import RunPlan, SubmissionFacts
from codabench.runner.reuse import ReuseMode
from codabench.storage.store import Storage
from codabench.workspace.known import KnownSubmissions
from codabench.workspace.planning import make_plan, stored_parts, submission_facts
from codabench.workspace.reusing import find_reusable, known_facts
from codabench.workspace.revisions import revised

_Kept = Callable[[str], tuple[CompetitionSpec, dict[str, TreeRef]]]
_Revisions = Callable[[str, int | str, int], Revision | None]
FACTS = 1024
"""Submissions of which is remembered what the plan has to know."""


class Plans:
    """Makes plans of runs."""

    def __init__(self, db: Database, storage: Storage, submissions: KnownSubmissions) -> None:
        self._db, self._storage, self._submissions = db, storage, submissions
        self._facts: dict[str, SubmissionFacts] = {}
        self._modes: dict[str, ReuseMode] = {}

    def learn(self, submission: str, facts: SubmissionFacts) -> None:
        """Take what is known of a submission already, so that its archive is not opened again."""
        while len(self._facts) >= FACTS:
            self._facts.pop(next(iter(self._facts)), None)
        self._facts[submission] = facts

    def facts(self, submission: Submission) -> SubmissionFacts:
        """What the plan has to know of a submission."""
        facts = self._facts.get(submission.id)
        if facts is None:
            with self._storage.open_tree(submission.tree) as source:
                facts = submission_facts(source)
            self.learn(submission.id, facts)
        return facts

    def planner(self, runs: Iterable[Run]) -> Callable[[Run, Attempt], RunPlan]:
        """What makes the plans of runs that were taken together: what they have in common is read once.

        It raises `NotFound` if something that a run needs is not stored.
        """
        db = self._db
        self._submissions.ahead(run.submission for run in runs)
        competition = cache(lambda id: (db.competition(id), db.trees(id)))
        return partial(self._make, competition, cache(db.revision))

    def _make(self, competition: _Kept, revision: _Revisions, run: Run, attempt: Attempt) -> RunPlan:
        submission = self._submissions(run.submission)
        spec, trees = competition(submission.competition)
        phase = spec.phases[submission.phase]
        task, stored = revised(spec, trees, run, revision(submission.competition, run.task, run.revision))
        before = self._before(run)
        plan = make_plan(
            run=run.id,
            attempt=attempt,
            storage=self._storage,
            image=submission.options.image or spec.docker_image,
            options=submission.options,
            phase=phase,
            task=task,
            facts=known_facts(before) or self.facts(submission),
            trees={"submission": submission.tree, **stored_parts(task, stored, inline=run.backend == INLINE)},
            columns=spec.written,
            detailed_results=spec.enable_detailed_results,
        )
        if not before or not plan.step("prediction").programs:
            return plan
        parts = {role: ref for role, ref in plan.trees.items() if role != "submission"}
        expected = Expectation(task, parts, results_only=phase.accepts_only_result_submissions)
        found = find_reusable(self._db, before, expected, image=plan.image, mode=self._mode(run.batch))
        return plan.model_copy(update={"reused": found})

    def _before(self, run: Run) -> list[Run]:
        """The runs that one of a re-evaluation may take a step from: those of its submission on its task that are over,
        the one that boards show first, then the newest. Other runs, as those of ``rerun``, execute everything."""
        if run.batch is None and not run.scoring_only:
            return []
        known = (r for r in reversed(self._db.runs_of(run.submission)) if r.task == run.task and r.id != run.id)
        return sorted((r for r in known if r.status.is_final), key=lambda r: not r.shown)

    def _mode(self, batch: str | None) -> ReuseMode:
        """What the plan of a re-evaluation says of reuse (``reuse``); it never changes."""
        if batch is None:
            return "same-submission"
        if batch not in self._modes:
            self._modes[batch] = self._db.batch(batch).plan.get("reuse", "same-submission")
        return self._modes[batch]
