"""Which of two rows stands higher, and by which rule.

1. The primary column, hidden or not: with a value before without; every task done before some missing; then the value.
2. The other visible columns by their index, each in its own direction; missing last in both directions.
3. The earlier submission; then the order of arrival; then the identifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.core.competition import ColumnSpec, LeaderboardSpec, Sorting
from codabench.leaderboard.values import comparable

if TYPE_CHECKING:
    from codabench.leaderboard.board import Row
    from codabench.leaderboard.table import Line


class Criterion(NamedTuple):
    """One rule with what it says of one row: the smaller key stands higher."""

    rule: str
    key: Any
    column: ColumnSpec | None = None


PRESENCE, COMPLETE, TIME, ARRIVAL, IDENTITY = (
    "has a primary value",
    "every task done",
    "earlier submission",
    "order of arrival",
    "identifier",
)


def deciding_columns(spec: LeaderboardSpec) -> list[ColumnSpec]:
    """The primary column, then the other visible ones by index."""
    primary = spec.primary
    others = [c for c in spec.columns if c.index != primary.index and not c.hidden]
    return [primary, *sorted(others, key=lambda c: c.index)]


def criteria(columns: list[ColumnSpec], row: Row | Line) -> Iterator[Criterion]:
    """What decides on the place of `row`, most important first; `columns` as `deciding_columns` gives them."""
    primary = columns[0]
    yield Criterion(PRESENCE, row.scores.get(primary.key) is None, primary)
    yield Criterion(COMPLETE, row.incomplete)
    for column in columns:
        yield Criterion(column.title, _column_key(column, row.scores.get(column.key)), column)
    yield Criterion(TIME, row.created_at)
    yield Criterion(ARRIVAL, row.sequence)
    yield Criterion(IDENTITY, row.submission)


def sort_key(columns: list[ColumnSpec], row: Row | Line) -> tuple[Any, ...]:
    """A key under which the best row is the smallest."""
    return tuple(c.key for c in criteria(columns, row))


def decided_by(columns: list[ColumnSpec], upper: Row, lower: Row) -> Criterion:
    """The first rule that tells two different rows apart, as it speaks of `upper`."""
    pairs = zip(criteria(columns, upper), criteria(columns, lower), strict=True)
    return next(a for a, b in pairs if a.key != b.key)


def same_primary(columns: list[ColumnSpec], a: Row, b: Row) -> bool:
    """Tied: equal in presence, completeness and value of the primary column."""
    return sort_key(columns[:1], a)[:3] == sort_key(columns[:1], b)[:3]


def with_ties(columns: list[ColumnSpec], rows: Sequence[Row]) -> list[Row]:
    """`rows`, best first, with ties and what broke them written in."""
    tied = [same_primary(columns, a, b) for a, b in pairwise(rows)]
    found = []
    for n, row in enumerate(rows):
        above, below = n > 0 and tied[n - 1], n < len(tied) and tied[n]
        rule = decided_by(columns, rows[n - 1], row).rule if above else None
        found.append(row.model_copy(update={"tied": above or below, "tie_break": rule}) if above or below else row)
    return found


def _column_key(column: ColumnSpec, value: float | None) -> tuple[bool, float]:
    if value is None:
        return (True, 0.0)
    compared = comparable(value)
    return (False, compared if column.sorting is Sorting.ASC else -compared)
