"""`BatchHandle`: a re-evaluation as users hold it, asked from the database at each look."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from codabench.core.errors import StateError
from codabench.core.evaluations import Batch, BatchRun, BatchState
from codabench.core.text import plural, preformatted, printable
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.handles import RunHandle
from codabench.workspace.reevaluation.causes import Failures
from codabench.workspace.reevaluation.comparing import ReevaluationDiff, competition_board, diff_of, phase_of
from codabench.workspace.reevaluation.executing import MaxFailures, execute, failures_of
from codabench.workspace.reevaluation.plan import ReevaluationPlan
from codabench.workspace.reevaluation.progress import BatchProgress, Standing
from codabench.workspace.reevaluation.shown import Side

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.leaderboard import Leaderboard
    from codabench.workspace.workspace import Workspace


class BatchHandle:
    """A re-evaluation of many runs. No board shows anything of it before `promote`."""

    def __init__(self, workspace: Workspace, competition: Competition, id: str) -> None:
        self._workspace, self.competition, self.id = workspace, competition, id

    @classmethod
    def begun(cls, workspace: Workspace, plan: ReevaluationPlan) -> BatchHandle:
        """The batch of a plan: the one that is there, if the same plan was begun before, else a new one."""
        id = uuid.uuid4().hex
        revisions = sorted({(item.task, item.revision) for item in plan.todo}, key=str)
        record = {
            **plan.to_dict(),
            "revisions": [list(pair) for pair in revisions],
            "phases": sorted({item.phase for item in plan.todo}),
        }
        batch = Batch(
            id=id,
            competition=plan.competition.id,
            key=plan.key,
            plan=record,
            note=plan.note,
            created_at=utc_now(),
        )
        kinds: dict[str, Any] = {"score": "score", "full": "full", "impossible": "nothing"}
        rows = [
            BatchRun(batch=id, replaces=item.run, position=n, action=kinds[item.action], reason=item.reason)
            for n, item in enumerate(item for item in plan.items if item.action in kinds)
        ]
        return cls(workspace, plan.competition, workspace.db.add_batch(batch, rows).id)

    @property
    def record(self) -> Batch:
        """The row as it is now."""
        return self._workspace.db.batch(self.id)

    @property
    def state(self) -> BatchState:
        """Planned, running (also when it was interrupted), done, promoted or abandoned."""
        return self.record.state

    @property
    def note(self) -> str:
        """Of the plan; once it is promoted, what was said then."""
        return self.record.note

    @property
    def runs(self) -> list[RunHandle]:
        """The new runs that are queued so far, in the order of the submissions."""
        return [RunHandle(self._workspace, run.id, run) for run in self._workspace.db.runs_of_batch(self.id)]

    def progress(self) -> Standing:
        """How many runs came to what, and how many are left."""
        rows = self._workspace.db.batch_runs(self.id)
        total = sum(row.action != "nothing" for row in rows)
        return Standing(self.id, total, self._workspace.db.batch_progress(self.id))

    def failures(self) -> Failures:
        """What failed, grouped by cause: step, exit code, exception and line of the program."""
        return failures_of(self._workspace, self.id)

    def resume(
        self,
        backend: Any = None,
        jobs: int | None = None,
        *,
        retries: int = 0,
        max_failures: MaxFailures = None,
        progress: str | BatchProgress = "auto",
    ) -> BatchHandle:
        """Go on where it was stopped: what finished is kept, everything else is carried out. See
        `ReevaluationPlan.execute`.

        Raises
        ------
        StateError
            It was promoted or abandoned.
        BatchAborted
            ``CB650``: more runs failed than `max_failures`.
        """
        standing = self.progress()
        if self.state is BatchState.DONE and standing.finished == standing.total:
            return self
        execute(
            self._workspace,
            self.record,
            backend,
            jobs,
            retries=retries,
            max_failures=max_failures,
            progress=progress,
        )
        return self

    # ------------------------------------------------------------------ boards
    def diff(
        self, name: int | str | None = None, *, phase: int | str | None = None, aggregation: Any = "mean"
    ) -> ReevaluationDiff:
        """The board before and after: who moved, which values changed, and why. Nothing is published.

        Parameters
        ----------
        name
            Key or place of the leaderboard; None: the first.
        phase
            By index or name; None: the only one that the batch has runs of.
        aggregation
            As for `Competition.leaderboard`.

        Raises
        ------
        UsageError
            ``CB651``: the batch has runs of several phases, and none is named.
        """
        options = {"name": name, "aggregation": aggregation}
        return diff_of(self._workspace, self.competition, self.record, phase=phase, **options)

    def board(self, side: Side = "after", *, phase: int | str | None = None, **options: Any) -> Leaderboard:
        """The board with the finished runs of this batch, or as it was ``"before"``, also once it is promoted."""
        record = self.record
        index = phase_of(self._workspace, self.competition, record, phase)
        return competition_board(self._workspace, self.competition, record, side, phase=index, **options)

    def promote(self, note: str = "") -> int:
        """Have boards show the finished runs of this batch, all at once; returns how many.

        What they replace stays readable: ``batch.board("before")``.

        Parameters
        ----------
        note
            Why, for readers of the board; empty: that of the plan.

        Raises
        ------
        StateError
            ``CB710``: it is not done, or was promoted before. ``CB712``: another batch replaced some of these runs.
        """
        record = self.record
        if record.state in (BatchState.PLANNED, BatchState.RUNNING):
            left = self.progress().left
            message = f"batch {self.id} is not done: {plural(left, 'run')} left"
            raise StateError(message, hint="execute the same plan again, or batch.resume()")
        return self._workspace.db.promote_batch(self.id, at=utc_now(), note=note or record.note)

    def abandon(self) -> None:
        """Give it up: it can be neither continued nor promoted, and what it came to stays in storage.

        Raises
        ------
        StateError
            ``CB710``: it was promoted.
        """
        self._workspace.db.set_batch_state(self.id, BatchState.ABANDONED)

    # ------------------------------------------------------------------ how it is shown
    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        record = self.record
        return {
            "id": self.id,
            "state": record.state.value,
            "note": record.note,
            "created_at": record.created_at.isoformat(),
            "promoted_at": record.promoted_at.isoformat() if record.promoted_at else None,
            "progress": self.progress().to_dict(),
            "failures": self.failures().to_dict(),
        }

    def __repr__(self) -> str:
        record, standing = self.record, self.progress()
        what = f"   {printable(record.note)}" if record.note else ""
        lines = [f"Batch {self.id}   {record.state.value}{what}", f"  {standing}"]
        if standing.failed:
            lines.append("  " + repr(self.failures()).replace("\n", "\n  "))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return preformatted(repr(self), "cb-batch")
