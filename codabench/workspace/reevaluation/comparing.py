"""Boards before and after a re-evaluation."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from codabench.core.errors import UsageError
from codabench.core.evaluations import Batch, BatchRun
from codabench.core.records import Run, Status
from codabench.core.text import plural, printable
from codabench.leaderboard.board import Board
from codabench.leaderboard.diff import BoardDiff, Change, compare
from codabench.workspace.reevaluation.executing import failures_of
from codabench.workspace.reevaluation.shown import Side, runs_on

if TYPE_CHECKING:
    import pandas as pd

    from codabench.workspace.competition import Competition
    from codabench.workspace.leaderboard import Leaderboard
    from codabench.workspace.workspace import Workspace


class ReevaluationDiff(BoardDiff):
    """What a batch changes on a board; nothing is published by looking at it.

    Attributes
    ----------
    before, after
        The two boards.
    finished, failed, impossible
        Runs of the batch on this board.
    evaluated
        Submission id -> what the batch did with it, and why.
    """

    before: Board
    after: Board
    finished: int
    failed: int
    impossible: int
    evaluated: dict[str, str]

    def summary(self) -> str:
        """What was done, how many scores and ranks changed, who moved among the first three, what stayed as it was."""
        both = [row for row in self.rows if row.change is not None]
        scores, ranks = sum(not row.same for row in both), sum(bool(row.change) for row in both)
        first = [f"{printable(row.name)} {_move(row)}" for row in self.rows if _led(row) and row.change != 0]
        said = [f"{self.finished} rescored", f"{plural(scores, 'score')} changed", f"{plural(ranks, 'rank')} changed"]
        said += [f"{self.failed} failed"] if self.failed else []
        said += [f"{self.impossible} could not be run"] if self.impossible else []
        said += [f"top 3 changed: {', '.join(first)}"] if first else []
        same = sum(row.same and row.submission in self.evaluated for row in both)
        return " · ".join(said) + f"\nrescored and equal to the last bit: {same}"

    def to_frame(self) -> pd.DataFrame:
        """As of `BoardDiff`, and what the batch did with each submission (``evaluated``)."""
        frame = super().to_frame()
        frame["evaluated"] = [self.evaluated.get(row.submission, "") for row in self.rows]
        return frame

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "leaderboard": self.title,
            "summary": self.summary(),
            "finished": self.finished,
            "failed": self.failed,
            "impossible": self.impossible,
            "rows": [
                {**row.model_dump(), "change": row.change, "evaluated": self.evaluated.get(row.submission, "")}
                for row in self.rows
            ],
            "notes": list(self.notes),
        }


def _led(row: Change) -> bool:
    return min(row.rank_before or 4, row.rank_after or 4) <= 3


def _move(row: Change) -> str:
    return "→".join("–" if rank is None else str(rank) for rank in (row.rank_before, row.rank_after))


def diff_of(
    workspace: Workspace, competition: Competition, batch: Batch, *, phase: int | str | None, **options: Any
) -> ReevaluationDiff:
    """What `BatchHandle.diff` returns."""
    rows = workspace.db.batch_runs(batch.id)
    of = {row.replaces: workspace.db.run(row.replaces) for row in rows}
    wanted = phase_of(workspace, competition, batch, phase)
    before, after = (
        competition_board(workspace, competition, batch, side, phase=wanted, **options) for side in ("before", "after")
    )
    listed = {s.id for s in workspace.db.submissions(competition.id, wanted)}
    here = [row for row in rows if of[row.replaces].submission in listed]
    evaluated, counts = _evaluated(workspace, batch, here, of)
    plain = compare(before.board, after.board, {**before.names, **after.names})
    return ReevaluationDiff(
        **{name: getattr(plain, name) for name in BoardDiff.model_fields},
        before=before.board,
        after=after.board,
        finished=counts["finished"],
        failed=counts["failed"],
        impossible=counts["impossible"],
        evaluated=evaluated,
    )


def competition_board(
    workspace: Workspace, competition: Competition, batch: Batch, side: Side, **options: Any
) -> Leaderboard:
    """One of the two boards."""
    from codabench.workspace.leaderboard import make_leaderboard

    return make_leaderboard(workspace, competition, instead=runs_on(workspace, batch, side), **options)


def phase_of(workspace: Workspace, competition: Competition, batch: Batch, phase: int | str | None) -> int:
    """The phase whose board is meant: the only one of the batch, unless one is named.

    Raises
    ------
    UsageError
        ``CB651``: the batch has runs of several phases.
    """
    from codabench.workspace import admission

    if phase is not None:
        return admission.find_phase(competition.spec, phase).index
    phases = [int(index) for index in batch.plan["phases"]]
    if len(phases) > 1:
        names = ", ".join(printable(competition.spec.phases[index].name) for index in phases)
        raise UsageError(f"batch {batch.id} has runs of {len(phases)} phases: {names}", code="CB651", hint="name one")
    return phases[0] if phases else 0


def _evaluated(
    workspace: Workspace, batch: Batch, rows: list[BatchRun], of: dict[str, Run]
) -> tuple[dict[str, str], Counter[str]]:
    """What the batch did with each submission, in words, and how many runs came to what."""
    failed = {run: group.message for group in failures_of(workspace, batch.id) for run in group.runs}
    done = {row.run for row in workspace.db.batch_runs(batch.id, statuses=[Status.FINISHED])}
    said: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        if row.action == "nothing":
            kind, text = "impossible", f"could not be run: {row.reason}"
        elif row.run in failed:
            kind, text = "failed", f"failed: {failed[row.run]}"
        elif row.run in done:
            kind, text = "finished", row.reason
        else:
            kind, text = "left", "not carried out yet"
        counts[kind] += 1
        said.setdefault(of[row.replaces].submission, []).append(text)
    return {submission: "; ".join(dict.fromkeys(texts)) for submission, texts in said.items()}, counts
