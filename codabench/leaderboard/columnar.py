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
    numbers = np.array(rows, dtype=np.intp)
    late = np.array([incomplete[n] for n in rows], dtype=np.int8)
    # With a primary value before without; in both, every task done before some missing.
    missing = np.array([values[columns[0].key][n] is None for n in rows], dtype=np.int8)

    def of_column(column: ColumnSpec) -> kernel.Key:
        given = values[column.key]

        # Only for the rows that are asked for: most are beaten in the first column.
        def key(some: kernel.Rows | slice) -> kernel.Floats:
            floats = np.array([given[n] for n in numbers[some].tolist()], dtype=np.float64)
            return kernel.of_column(kernel.Column(floats, column.sorting is Sorting.DESC))(slice(None))

        return key

    def seniority(some: kernel.Rows | slice) -> kernel.Rows:
        asked = numbers[some].tolist()
        created, sequence, names = table.created_at, table.sequence, table.submission
        by_age = sorted(range(len(asked)), key=lambda i: (created[asked[i]], sequence[asked[i]], names[asked[i]]))
        found = np.empty(len(asked), dtype=np.intp)
        found[by_age] = np.arange(len(asked))
        return found

    return [kernel.plain(2 * missing + late), *map(of_column, columns), seniority]
