"""Resampling of items: intervals, a paired test, and what comes of many comparisons. Numbers in, numbers out.

A value is a weighted sum of means, one for each task: ``sum(w_t * mean(x_t))``. Items are drawn again within their
task. All draws are seeded: the same items give the same numbers.

References
----------
* Efron, B. (1987): Better bootstrap confidence intervals. JASA 82, 171-185.
* Hesterberg, T. (2015): What teachers should know about the bootstrap. The American Statistician 69, 371-386.
* Dror, R., Baumer, G., Shlomov, S., Reichart, R. (2018): The hitchhiker's guide to testing statistical significance in
  natural language processing. ACL 2018, 1383-1392.
* Wiesenfarth, M. et al. (2021): Methods and open-source toolkit for analyzing and visualizing challenge results.
  Scientific Reports 11, 2369.
* Holm, S. (1979): A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6, 65-70.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRAWS = 10_000
"""Draws of the bootstrap, and random signs of the test; fewer of the first where there are very many items."""
_AT_ONCE = 2_000_000
"""Numbers that are drawn at a time: bounds memory."""
_NORMAL = NormalDist()


def draws_for(items: int) -> int:
    """How many draws of the bootstrap are made: at least 2,000."""
    return min(DRAWS, max(2_000, 100_000_000 // max(items, 1)))


def bootstrap(tasks: Sequence[Array], weights: Sequence[float], *, draws: int = DRAWS, seed: int = 0) -> Array:
    """Values of several submissions when the items are drawn again, the same items for all of them.

    Parameters
    ----------
    tasks
        For each task an array of items x submissions.
    weights
        What the mean of each task counts.

    Returns
    -------
    array
        draws x submissions.
    """
    rng = np.random.default_rng(seed)
    found = np.zeros((draws, tasks[0].shape[1]))
    for values, weight in zip(tasks, weights, strict=True):
        items = len(values)
        step = max(1, _AT_ONCE // items)
        for begin in range(0, draws, step):
            count = min(step, draws - begin)
            drawn = rng.integers(0, items, size=(count, items)) + np.arange(count)[:, None] * items
            times = np.bincount(drawn.ravel(), minlength=count * items).reshape(count, items)
            found[begin : begin + count] += weight * (times @ values) / items
    return found


def interval(
    drawn: Array, tasks: Sequence[Array], weights: Sequence[float], *, level: float = 0.95, wider: bool = True
) -> tuple[float, float]:
    """The bias-corrected and accelerated bootstrap interval (Efron 1987) of one submission.

    Parameters
    ----------
    drawn
        Its values in the draws of `bootstrap`.
    tasks
        For each task the values of its items.
    wider
        The bootstrap takes the spread of a sample for that of everything, and a normal for Student's distribution; for
        some dozens of items its intervals are too short. True: use the quantiles that make up for it (Hesterberg 2015,
        section 5.2). False: as ``scipy.stats.bootstrap``.
    """
    value = sum(w * float(x.mean()) for w, x in zip(weights, tasks, strict=True))
    slack = 1e-12 * max(1.0, abs(value))
    below = (np.count_nonzero(drawn < value - slack) + np.count_nonzero(drawn <= value + slack)) / (2 * len(drawn))
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / len(drawn)), 1 - 0.5 / len(drawn)))
    # How much each item moves the value: what the jackknife of a mean comes to.
    pull = np.concatenate([w / len(x) * (x - x.mean()) for w, x in zip(weights, tasks, strict=True)])
    spread = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    tail = _tail(level, min(map(len, tasks)), wider=wider)
    ends = []
    for z in (tail, -tail):
        moved = bias + (bias + z) / max(1 - acceleration * (bias + z), 0.1)  # far out, the formula has a pole
        ends.append(float(np.quantile(drawn, _NORMAL.cdf(moved))))
    return ends[0], ends[1]


def _tail(level: float, items: int, *, wider: bool) -> float:
    z = _NORMAL.inv_cdf((1 - level) / 2)
    return student_quantile(z, items - 1) * math.sqrt(items / (items - 1)) if wider else z


def student_quantile(z: float, freedom: int) -> float:
    """The quantile of Student's distribution for that of the normal one (Abramowitz and Stegun 26.7.5).

    Below 10 degrees of freedom it is not good enough; there are at least 19 here.
    """
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + g1 / freedom + g2 / freedom**2 + g3 / freedom**3


def beats(drawn: Array, *, larger: bool) -> Array:
    """P(a beats b): in which part of the draws row a is better than column b, half of it where they are equal."""
    signed = drawn if larger else -drawn
    return np.array(
        [
            ((signed[:, [a]] > signed).mean(axis=0) + (signed[:, [a]] >= signed).mean(axis=0)) / 2
            for a in range(signed.shape[1])
        ]
    )


def rank_range(drawn: Array, *, larger: bool, level: float = 0.95) -> list[tuple[int, int]]:
    """Between which places each submission lies in that part of the draws (Wiesenfarth et al. 2021)."""
    signed = drawn if larger else -drawn
    found = []
    for a in range(signed.shape[1]):
        first = 1 + (signed > signed[:, [a]]).sum(axis=1)
        last = (signed >= signed[:, [a]]).sum(axis=1)
        low, high = (1 - level) / 2, (1 + level) / 2
        found.append(
            (
                int(np.quantile(first, low, method="inverted_cdf")),
                int(np.quantile(last, high, method="inverted_cdf")),
            )
        )
    return found


def paired_test(shares: Array, *, draws: int = DRAWS, seed: int = 0) -> Array:
    """p values of all pairs: a permutation test that swaps the two submissions in each item (Dror et al. 2018).

    Two-sided, by random signs, the same for every pair: if two submissions are equally good, the sign of each
    item's difference is a coin. The observed signs count as one draw, so that p is never 0.

    Parameters
    ----------
    shares
        items x submissions: what each item adds to the value, so that a value is the sum of its column.

    Returns
    -------
    array
        submissions x submissions, 1 on the diagonal.
    """
    rng = np.random.default_rng(seed)
    items, submissions = shares.shape
    flipped = np.empty((draws, submissions))
    step = max(1, _AT_ONCE // items)
    for begin in range(0, draws, step):
        count = min(step, draws - begin)
        signs = rng.integers(0, 2, size=(count, items), dtype=np.int8)
        flipped[begin : begin + count] = (2.0 * signs - 1.0) @ shares
    found = np.ones((submissions, submissions))
    for a in range(submissions):
        for b in range(a + 1, submissions):
            apart = shares[:, a] - shares[:, b]
            # Sums of the same numbers in another order differ in the last bits.
            least = abs(float(apart.sum())) - 1e-12 * float(np.abs(apart).sum())
            as_far = np.count_nonzero(np.abs(flipped[:, a] - flipped[:, b]) >= least)
            found[a, b] = found[b, a] = (1 + as_far) / (1 + draws)
    return found


def holm(p: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979): the chance of even one false finding stays below the level."""
    adjusted = [1.0] * len(p)
    largest = 0.0
    for place, n in enumerate(sorted(range(len(p)), key=lambda n: p[n])):
        largest = max(largest, min(1.0, p[n] * (len(p) - place)))
        adjusted[n] = largest
    return adjusted
