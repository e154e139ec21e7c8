"""`ReevaluationPlan`: what a re-evaluation would do, before anything is done."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.core.text import plural, preformatted, printable
from codabench.runner.reuse import ReuseMode
from codabench.workspace.reevaluation.judging import Action

if TYPE_CHECKING:
    import pandas as pd

    from codabench.workspace.competition import Competition
    from codabench.workspace.reevaluation.executing import MaxFailures
    from codabench.workspace.reevaluation.handle import BatchHandle
    from codabench.workspace.workspace import Workspace

WORDS: dict[Action, str] = {
    "score": "score only",
    "full": "in full",
    "impossible": "cannot run",
    "current": "up to date",
}
"""How the actions are called, in the order in which they are shown."""
_REASONS, _NAMES = 4, 4


class Item(NamedTuple):
    """A run that boards show, and what has to be done with it.

    Attributes
    ----------
    name, participant, phase
        Of the submission.
    revision
        The one that it would be of.
    prediction, scoring
        Containers of each step that would be started.
    reuses
        Scoring starts from the predictions of the run on record.
    """

    run: str
    submission: str
    name: str
    participant: str
    phase: int
    task: int | str
    position: int
    revision: int
    action: Action
    reason: str
    prediction: int = 0
    scoring: int = 0
    reuses: bool = False


class Times(NamedTuple):
    """How long a step took on record, in seconds: the middle, and what nineteen in twenty stayed below."""

    median: float
    p95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times | None:
        """Of what was carried out; None without any."""
        if not seconds:
            return None
        ordered = sorted(seconds)
        return cls(statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))])


class Estimate(NamedTuple):
    """How long it would take, from history; None where there is none.

    Attributes
    ----------
    seconds
        Wall clock, with `slots` runs at the same time.
    """

    seconds: float | None
    slots: int
    scoring: Times | None
    prediction: Times | None


class ReevaluationPlan:
    """What `Workspace.reevaluate` found; nothing has been started.

    Attributes
    ----------
    items
        Every run that was looked at, in the order of the submissions.
    under_way
        Runs that are not over and were left out.
    reuse, note
        As given.
    """

    def __init__(
        self,
        workspace: Workspace,
        competition: Competition,
        items: Sequence[Item],
        *,
        estimate: Estimate,
        under_way: int = 0,
        reuse: ReuseMode = "same-submission",
        note: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self._workspace, self.competition, self.items = workspace, competition, tuple(items)
        self.estimate, self.under_way, self.reuse, self.note = estimate, under_way, reuse, note
        self._notes = tuple(notes)

    @property
    def todo(self) -> tuple[Item, ...]:
        """What would be carried out."""
        return tuple(item for item in self.items if item.action in ("score", "full"))

    @property
    def counts(self) -> dict[Action, int]:
        """How many runs need what."""
        found = Counter(item.action for item in self.items)
        return {action: found[action] for action in WORDS}

    @property
    def containers(self) -> dict[str, int]:
        """How many containers of each step would be started."""
        return {
            "prediction": sum(item.prediction for item in self.todo),
            "scoring": sum(item.scoring for item in self.todo),
        }

    @property
    def key(self) -> str:
        """Digest of what would be carried out: the same plan, made again after an interruption, has the same."""
        # Not how: an output that is lost in the meantime makes a run longer and is no other plan.
        what = [self.competition.id, self.reuse, sorted((item.run, item.revision) for item in self.todo)]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def reasons(self, action: Action) -> list[tuple[str, int]]:
        """Why runs need that, and how many; the most frequent first."""
        return Counter(item.reason for item in self.items if item.action == action).most_common()

    def execute(
        self,
        backend: Any = None,
        jobs: int | None = None,
        *,
        retries: int = 0,
        max_failures: MaxFailures = None,
        progress: str = "auto",
    ) -> BatchHandle:
        """Carry it out and wait. No board changes before `BatchHandle.promote`.

        The same line again continues: what finished is kept, everything else is carried out. Ctrl-C lets what runs
        come to its end and starts nothing new, a second one cancels; both raise `KeyboardInterrupt`.

        Parameters
        ----------
        backend
            As for `Workspace.submit`; None: that of the workspace.
        jobs
            Runs at the same time; None: as many as the backend takes.
        retries
            How often a run is tried again whose machine failed (fault ``operator``). A program that failed is not.
        max_failures
            Give up when more runs have failed: a number, or a share below 1 of all.
        progress
            ``"auto"``: a line that is rewritten in a terminal, one line in ten seconds elsewhere, a display in a
            notebook; ``"rich"``, ``"plain"``, ``"none"``.

        Raises
        ------
        BatchAborted
            ``CB650``: more runs failed than `max_failures`; what finished is kept.
        EngineUnavailable
            No engine answers.
        """
        from codabench.workspace.reevaluation.executing import allowed
        from codabench.workspace.reevaluation.handle import BatchHandle

        allowed(max_failures, len(self.todo))  # a slip of the pen begins no batch
        batch = BatchHandle.begun(self._workspace, self)
        return batch.resume(backend, jobs, retries=retries, max_failures=max_failures, progress=progress)

    def to_dict(self) -> dict[str, Any]:
        """The shape that ``reevaluate --plan --json`` prints."""
        estimate = self.estimate
        return {
            "competition": {"id": self.competition.id, "title": self.competition.title},
            "key": self.key,
            "reuse": self.reuse,
            "runs": self.counts,
            "under_way": self.under_way,
            "containers": self.containers,
            "reasons": [
                {"action": action, "reason": reason, "runs": count}
                for action in WORDS
                for reason, count in self.reasons(action)
            ],
            "estimate": {
                "seconds": estimate.seconds,
                "slots": estimate.slots,
                "scoring": estimate.scoring and estimate.scoring._asdict(),
                "prediction": estimate.prediction and estimate.prediction._asdict(),
            },
            "notes": list(self._notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row for each run: the submission, its task, what has to be done and why."""
        import pandas as pd

        shown = ["name", "participant", "phase", "task", "revision", "action", "reason", "prediction", "scoring"]
        columns = ["submission", *shown[1:]]
        rows = [[getattr(item, name) for name in shown] for item in self.items]
        return pd.DataFrame(rows, columns=columns)

    def __len__(self) -> int:
        """How many runs would be carried out."""
        return len(self.todo)

    def __repr__(self) -> str:
        counts = self.counts
        width = max(len(str(count)) for count in counts.values())
        lines = [f"Re-evaluation of {printable(self.competition.title)!r}   {plural(len(self.items), 'run')}"]
        for action, word in WORDS.items():
            if counts[action] or action in ("score", "full"):
                lines.append(f"  {word:<12}{counts[action]:>{width}}   {self._why(action)}".rstrip())
        lines.append(f"  {'estimate':<12}{self._estimate()}")
        lines += [f"  {note}" for note in self._notes]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return preformatted(repr(self), "cb-reevaluation")

    def _why(self, action: Action) -> str:
        if action == "current":
            return ""
        reasons = self.reasons(action)
        said = [f"{printable(why)}" + (f" ({n})" if len(reasons) > 1 else "") for why, n in reasons[:_REASONS]]
        said += [f"{plural(len(reasons) - _REASONS, 'more reason')}"] if len(reasons) > _REASONS else []
        names = list(dict.fromkeys(printable(item.name) for item in self.items if item.action == action))
        which = ": " + ", ".join([*names[:_NAMES], *(["…"] if names[_NAMES:] else [])]) if names else ""
        return " · ".join(said) + (which if action == "impossible" else "")

    def _estimate(self) -> str:
        containers, estimate = sum(self.containers.values()), self.estimate
        if not self.todo:
            return "nothing has to be done"
        started = plural(containers, "container")
        if estimate.seconds is None:
            return f"{started}; nothing is on record of how long they take"
        times = [
            f"median {step} {span(known.median)}, p95 {span(known.p95)}"
            for step, known in (("prediction", estimate.prediction), ("scoring", estimate.scoring))
            if known is not None and self.containers[step]
        ]
        return f"{started}, ~{span(estimate.seconds)} on {plural(estimate.slots, 'slot')} ({', '.join(times)})"


def span(seconds: float) -> str:
    """``0.3 s``, ``41 s``, ``14 min``, ``3.5 h``: for people."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
