"""From a `Table` to the arrays of the kernel, and back to numbers of submissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codabench.core.competition import ColumnSpec, Sorting
from codabench.leaderboard import kernel
from codabench.leaderboard.table import Table

Values = Mapping[str, Sequence[float | None]]


def ordered(
    table: Table, shown: Sequence[int], columns: Sequence[ColumnSpec], values: Values, incomplete: Sequence[bool]
) -> list[int]:
    """`shown`, best first: what sorting by `codabench.leaderboard.order.sort_key` gives."""
    rows = np.array(shown, dtype=np.intp)
    placed = kernel.order([k(slice(None)) for k in _keys(table, shown, columns, values, incomplete)])
    found: list[int] = rows[placed].tolist()
    return found


def best(
    table: Table, candidates: Sequence[int], columns: Sequence[ColumnSpec], values: Values, incomplete: Sequence[bool]
) -> list[int]:
    """The best of each participant's."""
    numbers: dict[str, int] = {}
    owners = np.array([numbers.setdefault(table.participant[n], len(numbers)) for n in candidates], dtype=np.intp)
    keys = _keys(table, candidates, columns, values, incomplete)
    found: list[int] = np.array(candidates, dtype=np.intp)[kernel.best(owners, keys, len(numbers))].tolist()
    return found


def _keys(
    table: Table, rows: Sequence[int], columns: Sequence[ColumnSpec], values: Values, incomplete: Sequence[bool]
) -> list[kernel.Key]:
    """What decides, most important first: as `codabench.leaderboard.order.criteria`."""
    found = [kernel.Column(_floats(values[c.key], rows), c.sorting is Sorting.DESC) for c in columns]
    late = np.array([incomplete[n] for n in rows], dtype=np.int8)
    # With a primary value before without; in both, every task done before some missing.
    present = 2 * np.isnan(found[0].values).astype(np.int8) + late
    seniority = np.empty(len(rows), dtype=np.int64)
    created, sequence, names = table.created_at, table.sequence, table.submission
    by_age = sorted(range(len(rows)), key=lambda i: (created[rows[i]], sequence[rows[i]], names[rows[i]]))
    seniority[by_age] = np.arange(len(rows))
    return [kernel.plain(present), *(kernel.of_column(c) for c in found), kernel.plain(seniority)]


def _floats(column: Sequence[float | None], rows: Sequence[int]) -> kernel.Floats:
    return np.array([column[n] for n in rows], dtype=np.float64)
