"""Columns that compare submissions with each other: those computed from ranks, and the one a board may be ranked by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codabench.core.competition import ColumnSpec, LeaderboardSpec, Sorting
from codabench.core.errors import UsageError
from codabench.core.text import printable
from codabench.leaderboard.values import (
    RANK_COMPUTATIONS,
    Aggregation,
    column_ranks,
    fractional_ranks,
    from_ranks,
    mean,
)

if TYPE_CHECKING:
    from codabench.leaderboard.board import Row

Ranking = Callable[["Row"], float | None]
"""A function of one's own: the value of a row by which the board is ranked, the larger the better; None: missing."""

_FIRST = -1
"""The index of a column that stands before those of the bundle."""


def combined(spec: LeaderboardSpec, aggregation: Aggregation, ranking: Ranking | None) -> LeaderboardSpec:
    """The board with one more column that ranks first, where the columns of the bundle do not decide."""
    if ranking is not None:
        title, sorting = getattr(ranking, "__name__", "ranking").strip("<>"), Sorting.DESC
    elif aggregation == "average_rank":
        title, sorting = "Average rank", Sorting.ASC
    else:
        return spec
    taken = {c.key for c in spec.columns}
    key = title.lower().replace(" ", "_")
    while key in taken:
        key = f"_{key}"
    column = ColumnSpec(key=key, title=title, index=_FIRST, sorting=sorting, precision=4)
    return spec.model_copy(update={"columns": (column, *spec.columns), "primary_index": _FIRST})


def cross_columns(columns: Iterable[ColumnSpec]) -> list[ColumnSpec]:
    """The columns computed from the ranks of all submissions (contract.md 2.4), in the order of their index."""
    found = (c for c in columns if c.computation in RANK_COMPUTATIONS and c.computation_indexes)
    return sorted(found, key=lambda c: c.index)


def rank_column(
    column: ColumnSpec, columns: Sequence[ColumnSpec], values: Mapping[str, Sequence[float | None]]
) -> list[float] | None:
    """The values of one such column, given those of the others; None if it has no inputs."""
    inputs = [c for i in column.computation_indexes for c in columns if c.index == i]
    ranks = [column_ranks(column, values[c.key], ascending=c.sorting is Sorting.ASC) for c in inputs]
    return from_ranks(column, ranks) if inputs else None


def average_ranks(primary: ColumnSpec, tasks: Iterable[Sequence[float | None]]) -> list[float | None]:
    """The mean over the tasks of each submission's place in a task; None for one that has a value in none.

    In a task equal values share the mean of their places, and missing ones share the last.
    """
    values = list(tasks)
    ranks = [fractional_ranks(task, ascending=primary.sorting is Sorting.ASC) for task in values]
    there = zip(*values, strict=True)
    return [
        mean(places) if any(v is not None for v in own) else None
        for places, own in zip(zip(*ranks, strict=True), there, strict=True)
    ]


def ranked_by(ranking: Ranking, rows: Iterable[Row]) -> list[float | None]:
    """What a function of one's own says of rows.

    Raises
    ------
    UsageError
        ``CB376``: something else than a finite number or None.
    """
    return [_number(ranking(row), row.submission) for row in rows]


def _number(value: Any, submission: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(
            f"the ranking function gives {printable(repr(value))[:80]} for {printable(submission)}",
            code="CB376",
            hint="return a finite number, the larger the better, or None where there is none",
        )
    return number
