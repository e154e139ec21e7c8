"""Values on a board: computed columns, one value out of several tasks, comparison, display."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Literal

from codabench.core.competition import ColumnSpec, Computation

Aggregation = Literal["mean", "first", "sum", "average_rank"]
"""How the values of several tasks become one (contract.md section 7: the mean, unless something else is chosen)."""

MISSING = "n/a"
RANK_COMPUTATIONS = (Computation.AVG_RANK, Computation.MEAN_RANK, Computation.MRR)
"""Computed from the ranks of all submissions rather than from the values of one (contract.md 2.4)."""


def total(values: Sequence[float]) -> float:
    """The correctly rounded sum, the same in whatever order; at most the largest finite number."""
    return _finite(values, 1)


def mean(values: Sequence[float]) -> float:
    """The mean; unlike ``sum / n`` it cannot overflow."""
    return _finite(values, len(values))


def _finite(values: Sequence[float], divisor: int) -> float:
    try:
        return math.fsum(values) / divisor
    except OverflowError:
        exact = sum(map(Fraction, values), Fraction(0)) / divisor
        largest = Fraction(sys.float_info.max)
        return float(max(-largest, min(largest, exact)))


_COMPUTE: dict[Computation, Callable[[Sequence[float]], float]] = {
    Computation.SUM: total,
    Computation.AVG: mean,
    Computation.MIN: min,
    Computation.MAX: max,
}


def with_computed(columns: Iterable[ColumnSpec], scores: Mapping[str, float]) -> dict[str, float | None]:
    """The value of every column for one task (contract.md 5.3).

    Computed columns are worked out in the order of their index, so that one may use another. Missing inputs are
    skipped; without any input the value is missing. What a scoring program wrote for a computed column is overwritten.

    Returns
    -------
    dict
        A value, or None where it is missing, for each column key. Columns computed from ranks stay None here.
    """
    ordered = sorted(columns, key=lambda c: c.index)
    values = {c.index: scores.get(c.key) for c in ordered if c.computation is None}
    for column in ordered:
        compute = _COMPUTE.get(column.computation) if column.computation else None
        if compute:
            inputs = [v for i in column.computation_indexes if (v := values.get(i)) is not None]
            values[column.index] = compute(inputs) if inputs else None
    return {c.key: values.get(c.index) for c in ordered}


def over_tasks(
    columns: Iterable[ColumnSpec], per_task: Sequence[Mapping[str, float | None]], aggregation: Aggregation
) -> dict[str, float | None]:
    """One value for each column out of those of the tasks, given in the order of the phase.

    ``mean`` and ``sum`` go over the tasks that have a value; ``first`` takes the first task and nothing else.
    """
    combine = total if aggregation == "sum" else mean
    considered = per_task[:1] if aggregation == "first" else per_task
    result: dict[str, float | None] = {}
    for column in columns:
        present = [v for task in considered if (v := task.get(column.key)) is not None]
        result[column.key] = combine(present) if present else None
    return result


def comparable(value: float) -> float:
    """`value` as it is compared: differences that are only noise of floating-point arithmetic vanish.

    Scores are stored exactly. Two count as equal when they agree in ten decimals or, below 0.1, in ten significant
    digits: 7 and 7.00000000004 tie, 1e-12 and 3e-12 do not, and neither do 0 and 1e-300. The mapping is monotonic, so
    ties are transitive. Minus zero is zero.
    """
    if abs(value) >= 0.1:
        return round(value, 10)
    return float(f"{value:.9e}")


def dense_ranks(values: Sequence[float | None], *, ascending: bool) -> list[int]:
    """Ranks from 1 in which equal values share one and none is left out; missing takes the last rank plus one."""
    keys = [None if v is None else comparable(v) for v in values]
    ordered = sorted({k for k in keys if k is not None}, reverse=not ascending)
    place = {k: n for n, k in enumerate(ordered, 1)}
    return [len(ordered) + 1 if k is None else place[k] for k in keys]


def fractional_ranks(values: Sequence[float | None], *, ascending: bool) -> list[float]:
    """Ranks from 1 in which equal values share the mean of their places; missing ones share the last places."""
    keys = [None if v is None else comparable(v) for v in values]
    ordered = sorted((k for k in keys if k is not None), reverse=not ascending)
    places: dict[float | None, list[int]] = {}
    for place, key in enumerate([*ordered, *(k for k in keys if k is None)], 1):
        places.setdefault(key, []).append(place)
    return [mean(places[k]) for k in keys]


def column_ranks(column: ColumnSpec, values: Sequence[float | None], *, ascending: bool) -> Sequence[float]:
    """The ranks that a column computed from ranks goes by: fractional ones for ``avg_rank``, else dense ones."""
    ranks = fractional_ranks if column.computation is Computation.AVG_RANK else dense_ranks
    return ranks(values, ascending=ascending)


def from_ranks(column: ColumnSpec, ranks: Sequence[Sequence[float]]) -> list[float]:
    """Values of a column that is computed from ranks (contract.md 2.4), one for each submission.

    Parameters
    ----------
    ranks
        For each input column, the rank of every submission. With weights, ``mean_rank`` is the weighted sum.
    """
    weights = column.computation_weights if len(column.computation_weights) == len(ranks) else None
    values = []
    for row in zip(*ranks, strict=True):
        if column.computation is Computation.MRR:
            values.append(mean([1 / r for r in row]))
        elif weights:
            values.append(total([r * w for r, w in zip(row, weights, strict=True)]))
        else:
            values.append(mean(row))
    return values


def plain(value: object) -> str:
    """What is known of a submission beside its scores, as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def display(value: float | None, precision: int) -> str:
    """`value` as people read it: fixed point with `precision` digits; ``n/a`` if there is none.

    A negative `precision` rounds to tens, hundreds, ... From 1e21 on the notation is scientific: no one reads 300
    digits. There is no minus zero.
    """
    if value is None:
        return MISSING
    digits = min(max(precision, 0), 100)
    if abs(value) >= 1e21:
        return f"{value:.{min(digits, 16)}e}"
    text = f"{round(value, precision) if precision < 0 else value:.{digits}f}"
    return text if text.strip("-0.") else text.lstrip("-")
