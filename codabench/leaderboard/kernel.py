"""The columnar kernel: numpy arrays in, rows and ranks out. What `order` and `values` say of one row, for a million.

A key is an array in which the smaller value stands higher. Imported only where something is ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codabench.leaderboard import values as scalar

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_SMALLEST = 13
"""Below 10 to the minus so much, the power of ten that makes ten digits an integer is no float any more."""

# What a value is multiplied by, so that the digits that count are before the point: one entry for each power of ten
# below 0.1, and the last for everything above.
_BOUNDS: Floats = np.array([float(f"1e-{n}") for n in range(_SMALLEST, 0, -1)])
_SCALES: Floats = np.array([10.0**k for k in range(9 + _SMALLEST, 9, -1)])
_EXACT = 2.0**19  # from here on ten decimals are more than a float has
_SPLIT = 134217729.0  # 2**27 + 1: halves of a float whose products are exact


class Column(NamedTuple):
    """Scores, NaN where there is none, and whether larger is better."""

    values: Floats
    descending: bool = True


def comparable(values: Floats) -> Floats:
    """`codabench.leaderboard.values.comparable` of every value, bit by bit; NaN stays NaN."""
    size = np.abs(values)
    found = values + 0.0  # a copy without minus zero
    scaled = np.flatnonzero((size >= _BOUNDS[0]) & (size < _EXACT))
    found[scaled] = _ten_digits(size[scaled]) * np.sign(values[scaled])
    tiny = np.flatnonzero((size > 0) & (size < _BOUNDS[0]))
    if tiny.size:
        known, place = np.unique(values[tiny], return_inverse=True)
        found[tiny] = np.array([scalar.comparable(v) for v in known.tolist()])[place]
    return found


def _ten_digits(size: Floats) -> Floats:
    """Positive values to ten digits, half to even, as if computed exactly."""
    scale = _SCALES[np.searchsorted(_BOUNDS, size, side="right") - 1]
    product = size * scale
    # The error of that product, exactly: without it a value beside a half would be rounded to the wrong side.
    high, low = _halves(size)
    scale_high, scale_low = _halves(scale)
    error = ((high * scale_high - product) + high * scale_low + low * scale_high) + low * scale_low
    whole = np.rint(product)
    beyond = product - whole
    odd = whole % 2 != 0
    up = ((beyond == 0.5) & (error > 0)) | ((beyond == 0) & ((error > 0.5) | ((error == 0.5) & odd)))
    down = ((beyond == -0.5) & (error < 0)) | ((beyond == 0) & ((error < -0.5) | ((error == -0.5) & odd)))
    rounded: Floats = (whole + up - down) / scale
    return rounded


def _halves(values: Floats) -> tuple[Floats, Floats]:
    shifted = values * _SPLIT
    high = shifted - (shifted - values)
    return high, values - high


Key = Callable[[Rows | slice], NDArray[Any]]
"""Gives the key of some rows, the smaller the better; worked out only for those that are asked for."""


def of_column(column: Column) -> Key:
    """The key of a column: missing last in both directions."""

    def key(rows: Rows | slice) -> Floats:
        found = comparable(column.values[rows])
        if column.descending:
            np.negative(found, out=found)
        found[np.isnan(found)] = np.inf
        return found

    return key


def plain(values: NDArray[Any]) -> Key:
    """The values themselves as a key."""
    return lambda rows: values[rows]


def order(keys: Sequence[NDArray[Any]]) -> Rows:
    """Rows by `keys`, the most important first; rows that are equal in all of them keep their order."""
    return np.lexsort(keys[::-1])


def best(owners: NDArray[np.integer[Any]], keys: Sequence[Key], count: int) -> Rows:
    """The best row of each owner.

    Most rows are beaten by the first keys, so no row is sorted: each key is asked for those alone that none before it
    has beaten.

    Parameters
    ----------
    owners
        Numbers from 0 to `count` - 1.
    keys
        The most important first; of rows that are equal in all of them, the first counts.

    Returns
    -------
    Rows
        By owner; those without a row are left out.
    """
    left = np.arange(owners.size)
    for key in keys:
        left = _unbeaten(owners, left, key(left), count)
    _, first = np.unique(owners[left], return_index=True)
    found: Rows = left[first]
    return found


def _unbeaten(owners: NDArray[Any], rows: Rows, keys: NDArray[Any], count: int) -> Rows:
    who = owners[rows]
    largest = np.inf if keys.dtype.kind == "f" else np.iinfo(keys.dtype).max
    least = np.full(count, largest, dtype=keys.dtype)
    np.minimum.at(least, who, keys)
    found: Rows = rows[keys == least[who]]
    return found


def ranks(
    owners: NDArray[np.integer[Any]],
    times: NDArray[np.int64],
    columns: Sequence[Column],
    *,
    count: int,
    best_only: bool = True,
) -> NDArray[np.int64]:
    """The rank of every row, from 1; 0 for those that are not on the board.

    Parameters
    ----------
    times
        When each was submitted; the earlier one wins a tie, then the row that comes first.
    best_only
        Each owner has one row, the best (``Force_Best``); otherwise every row is on the board.
    """
    keys = [*(of_column(c) for c in columns), plain(times)]
    shown = np.sort(best(owners, keys, count)) if best_only else np.arange(owners.size)
    found = np.zeros(owners.size, dtype=np.int64)
    found[shown[order([key(shown) for key in keys])]] = np.arange(1, shown.size + 1)
    return found
