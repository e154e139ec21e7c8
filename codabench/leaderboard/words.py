"""Why one submission stands above another, and how sure that is, in words."""

from __future__ import annotations

import math

from codabench.core.competition import ColumnSpec, Sorting
from codabench.core.text import plural, printable
from codabench.leaderboard import order
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.statistics import Statistics
from codabench.leaderboard.values import comparable, display


def explain(board: Board, a: str, b: str) -> str:
    """Which of two submissions stands higher, and by which rule; what rounding or the mean over tasks hides.

    Raises
    ------
    NotFound
        If one of them is not on the board.
    """
    upper, lower = sorted((board.row(a), board.row(b)), key=lambda r: r.rank)
    if upper.submission == lower.submission:
        return printable(f"{a} is one submission, on rank {upper.rank}.")
    columns = order.deciding_columns(board.leaderboard)
    said = [
        f"{upper.submission} (rank {upper.rank}) is above {lower.submission} (rank {lower.rank}) because "
        f"{_tie(columns, upper, lower)}{_reason(columns, upper, lower)}."
    ]
    column = order.decided_by(columns, upper, lower).column
    if column is not None:
        said += [*_rounded(column, upper, lower), *_other_way(column, upper, lower)]
    return printable(" ".join(said))


def doubt(statistics: Statistics, a: str, b: str) -> str:
    """How sure it is that one of two submissions, by id, is better than the other; empty if nothing is known."""
    pair = statistics.pair(a, b)
    rows = [statistics.evidence(s) for s in (a, b)]
    if pair is None:
        reasons = [f"{row.name}: {row.why}" for row in rows if row and row.why]
        return printable(f"How sure that is, is not known ({'; '.join(reasons)}).") if reasons else ""
    names = {row.submission: row.name for row in rows if row}
    items = next(row.items for row in rows if row)
    verdict = "more than chance would do" if pair.apart else "chance could do that"
    corrected = f", {pair.adjusted:.2g} for {plural(len(statistics.pairs), 'comparison')}"
    return printable(
        f"With the {items} items drawn again, {names[pair.a]} is better than {names[pair.b]} in {pair.beats:.0%} of "
        f"the draws; paired permutation test: p = {pair.p:.2g}{corrected}: {verdict}."
    )


def _tie(columns: list[ColumnSpec], upper: Row, lower: Row) -> str:
    """What is said first of two with the same primary value."""
    if not order.same_primary(columns, upper, lower):
        return ""
    left, right = (r.scores.get(columns[0].key) for r in (upper, lower))
    if left is None:
        return f"neither has a value in {columns[0].title}, and "
    noise = "" if left == right else " up to the noise of arithmetic"
    return f"both have {left!r} in {columns[0].title}{noise}, and "


def _reason(columns: list[ColumnSpec], upper: Row, lower: Row) -> str:
    """Why `upper` is above, after "because"."""
    better = order.decided_by(columns, upper, lower)
    if better.column is None:
        return {
            order.COMPLETE: f"{upper.submission} has a result for every task and {lower.submission} has not",
            order.TIME: f"{upper.submission} was submitted earlier: {upper.created_at:%Y-%m-%d %H:%M:%S} UTC "
            f"before {lower.created_at:%Y-%m-%d %H:%M:%S} UTC",
            order.ARRIVAL: f"{upper.submission} arrived first in the same instant",
            order.IDENTITY: "its identifier comes first; nothing else tells them apart",
        }[better.rule]
    column = better.column
    left, right = upper.scores.get(column.key), lower.scores.get(column.key)
    if left is None or right is None:
        return f"{lower.submission} has no value in {column.title}"
    sign, which = (">", "larger") if column.sorting is Sorting.DESC else ("<", "smaller")
    apart = abs(left - right)
    by = f" by {apart:.3g}" if math.isfinite(apart) else ""
    return f"{column.title} decides: {left!r} {sign} {right!r}{by}, {which} is better"


def _rounded(column: ColumnSpec, upper: Row, lower: Row) -> list[str]:
    """That the board shows the same text for two values, if it does."""
    left, right = upper.scores.get(column.key), lower.scores.get(column.key)
    if left is None or right is None:
        return []
    shown = display(left, column.precision)
    if shown != display(right, column.precision):
        return []
    return [f"The board rounds both to {shown}."]


def _other_way(column: ColumnSpec, upper: Row, lower: Row) -> list[str]:
    """The tasks on which the lower one is better, where a value is made of several tasks."""
    if len(upper.per_task) < 2:
        return []
    found = []
    for task, scores in upper.per_task.items():
        left, right = scores.get(column.key), lower.per_task.get(task, {}).get(column.key)
        if left is not None and right is not None and comparable(left) != comparable(right):
            ahead = left < right if column.sorting is Sorting.DESC else left > right
            found += [str(task)] if ahead else []
    if not found:
        return []
    which = f"task {', '.join(found)}" if len(found) <= 3 else plural(len(found), "task")
    return [f"On {which} it is the other way round."]
