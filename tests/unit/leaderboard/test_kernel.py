"""The columnar kernel against what it stands for, one value and one row at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codabench.leaderboard import kernel
from codabench.leaderboard.values import comparable

FINITE = st.floats(allow_nan=False, allow_infinity=False)
# Values beside the half of the tenth decimal, or of the tenth digit, where rounding errs first.
HALVES = st.builds(
    lambda n, e, ulps: float(np.nextafter((2 * n + 1) / 2 * 10.0**-e, ulps * 1e9)),
    st.integers(-(10**12), 10**12),
    st.integers(5, 24),
    st.sampled_from([-1, 0, 1]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FINITE | HALVES, max_size=50))
def test_what_compares_is_equal_bit_by_bit(values):
    found = kernel.comparable(np.array(values, dtype=np.float64))
    assert found.tolist() == [comparable(v) for v in values]
    assert not np.signbit(found[found == 0]).any()


@pytest.mark.parametrize("seed", range(4))
def test_many_values(seed):
    rng = np.random.default_rng(seed)
    ties = rng.integers(0, 2**40, 5000) / 2.0**44  # exact halves of the tenth digit are among them
    spread = 10.0 ** rng.uniform(-320, 308, 5000)
    values = np.concatenate(
        [ties, -ties, spread, rng.random(5000) * 2.0**20, [np.nextafter(10.0**-k, 0) for k in range(30)]]
    )
    assert kernel.comparable(values).tolist() == [comparable(v) for v in values.tolist()]


@pytest.mark.parametrize("best_only", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_those_of_sorting(seed, best_only):
    rng = np.random.default_rng(seed)
    n, people, digits = 400, 30, seed
    owners, times = rng.integers(0, people, n), rng.integers(0, 50, n)
    scores = [np.round(rng.random(n), digits) for _ in range(3)]
    scores[1][rng.random(n) < 0.3] = np.nan
    found = kernel.ranks(
        owners,
        times,
        [kernel.Column(s, d) for s, d in zip(scores, (True, False, True), strict=True)],
        count=people,
        best_only=best_only,
    )

    def key(i):
        signs = (-1, 1, -1)
        return [
            np.inf if np.isnan(s[i]) else sign * comparable(s[i]) for s, sign in zip(scores, signs, strict=True)
        ] + [times[i], i]

    rows = sorted(range(n), key=key)
    if best_only:
        first = {}
        for i in rows:
            first.setdefault(owners[i], i)
        rows = [i for i in rows if first[owners[i]] == i]
    expected = np.zeros(n, dtype=int)
    expected[rows] = np.arange(1, len(rows) + 1)
    assert found.tolist() == expected.tolist()


def test_nothing_to_rank():
    nothing = np.array([], dtype=np.int64)
    assert kernel.ranks(nothing, nothing, [kernel.Column(np.array([]))], count=0).tolist() == []
