"""Intervals and tests: against scipy, against what is known in closed form, and against the coverage they promise."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from codabench.leaderboard import resampling

SAMPLES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "skewed": lambda rng, n: rng.exponential(size=n),
    "bounded": lambda rng, n: rng.beta(5, 2, size=n),
    "right or wrong": lambda rng, n: (rng.random(n) < 0.7).astype(float),
}
MEANS = {"normal": 0.0, "skewed": 1.0, "bounded": 5 / 7, "right or wrong": 0.7}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("size", [20, 60])
def test_the_interval_is_that_of_scipy(kind, size):
    x = SAMPLES[kind](np.random.default_rng(3), size)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(4))
    drawn = resampling.bootstrap([x[:, None]], [1.0], draws=20_000)[:, 0]
    low, high = resampling.interval(drawn, [x], [1.0], wider=False)
    # Twenty thousand draws leave a few per cent of the standard error to chance.
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.08 * theirs.standard_error)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.08 * theirs.standard_error)
    wide = resampling.interval(drawn, [x], [1.0])
    assert wide[0] <= low < high <= wide[1]


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("freedom", [19, 30, 100, 1000])
def test_the_quantile_is_that_of_scipy(level, freedom):
    z = NormalDist().inv_cdf((1 - level) / 2)
    assert resampling.student_quantile(z, freedom) == pytest.approx(stats.t.ppf((1 - level) / 2, freedom), abs=2e-4)


@pytest.mark.parametrize(
    ("kind", "size"), [("normal", 20), ("bounded", 20), ("skewed", 100), ("bounded", 50), ("right or wrong", 200)]
)
def test_95_of_100_intervals_hold_the_truth(kind, size):
    rng, held, rounds = np.random.default_rng(11), 0, 1000
    for seed in range(rounds):
        x = SAMPLES[kind](rng, size)
        drawn = resampling.bootstrap([x[:, None]], [1.0], draws=1000, seed=seed)[:, 0]
        low, high = resampling.interval(drawn, [x], [1.0])
        held += low <= MEANS[kind] <= high
    assert 0.93 <= held / rounds <= 0.97


def test_plain_bootstrap_intervals_are_too_short():
    """Why they are widened: the twin of the coverage above."""
    rng, held = np.random.default_rng(11), 0
    for seed in range(1000):
        x = rng.normal(size=20)
        drawn = resampling.bootstrap([x[:, None]], [1.0], draws=1000, seed=seed)[:, 0]
        low, high = resampling.interval(drawn, [x], [1.0], wider=False)
        held += low <= 0 <= high
    assert held / 1000 < 0.93


def test_several_tasks_have_the_spread_of_their_means():
    rng = np.random.default_rng(5)
    tasks, weights = [rng.normal(size=50), rng.normal(2, 3, size=200)], [0.5, 0.5]
    drawn = resampling.bootstrap([x[:, None] for x in tasks], weights, draws=20_000)[:, 0]
    expected = np.sqrt(sum(w**2 * x.var() / len(x) for w, x in zip(weights, tasks, strict=True)))
    assert drawn.mean() == pytest.approx(np.mean([x.mean() for x in tasks]), abs=0.01)
    assert drawn.std() == pytest.approx(expected, rel=0.03)
    low, high = resampling.interval(drawn, tasks, weights)
    assert low < drawn.mean() < high


def test_many_items_are_drawn_in_parts():
    x = np.random.default_rng(6).normal(size=(30_000, 2))
    assert resampling.draws_for(30_000) == 3333
    assert (resampling.draws_for(1), resampling.draws_for(10**9)) == (10_000, 2_000)
    drawn = resampling.bootstrap([x], [1.0], draws=300)
    assert drawn.std(axis=0) == pytest.approx(x.std(axis=0) / np.sqrt(30_000), rel=0.2)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("discrete", [False, True])
def test_the_paired_test_is_that_of_scipy(shift, discrete):
    rng = np.random.default_rng(7)
    a, b = rng.normal(shift, 1, 14), rng.normal(size=14)
    if discrete:
        a, b = (a > 0).astype(float), (b > 0).astype(float)
    # All 2^14 signs.
    exact = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf, vectorized=False
    ).pvalue
    p = resampling.paired_test(np.column_stack([a, b]) / 14)
    assert p[0, 1] == p[1, 0] == pytest.approx(exact, abs=0.015)
    assert np.diag(p).tolist() == [1, 1]


def test_with_right_and_wrong_it_is_mcnemars_test():
    a, b = np.array([1.0] * 30 + [0.0] * 10), np.array([1.0] * 16 + [0.0] * 14 + [1.0] * 3 + [0.0] * 7)
    exact = stats.binomtest(14, 17).pvalue
    assert resampling.paired_test(np.column_stack([a, b]) / 40)[0, 1] == pytest.approx(exact, abs=0.004)


def test_equal_submissions_are_found_different_as_often_as_promised():
    rng, found = np.random.default_rng(8), 0
    for seed in range(1000):
        shares = rng.exponential(size=(30, 2)) / 30
        found += resampling.paired_test(shares, draws=500, seed=seed)[0, 1] < 0.05
    assert 0.03 <= found / 1000 <= 0.07


def test_p_is_never_nothing():
    shares = np.column_stack([np.ones(40), np.zeros(40)])
    assert resampling.paired_test(shares)[0, 1] == pytest.approx(1 / 10_001)
    assert resampling.paired_test(np.ones((40, 2)))[0, 1] == 1


def test_who_beats_whom():
    drawn = np.array([[3.0, 1, 1], [3, 2, 1], [3, 4, 1], [3, 1, 1]])
    assert resampling.beats(drawn, larger=True).tolist() == [[0.5, 0.75, 1], [0.25, 0.5, 0.75], [0, 0.25, 0.5]]
    assert resampling.beats(drawn, larger=False)[0].tolist() == [0.5, 0.25, 0]
    assert resampling.rank_range(drawn, larger=True) == [(1, 2), (1, 3), (2, 3)]
    assert resampling.rank_range(drawn, larger=False) == [(2, 3), (1, 3), (1, 2)]


def test_holm():
    assert resampling.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert resampling.holm([0.5, 0.9]) == [1.0, 1.0]
    assert resampling.holm([]) == []


def test_holm_keeps_its_promise_where_the_bare_p_does_not():
    """Ten equal submissions: the chance of any false finding among 45 pairs."""
    rng, bare, corrected = np.random.default_rng(9), 0, 0
    for seed in range(200):
        p = resampling.paired_test(rng.normal(size=(40, 10)), draws=2000, seed=seed)
        pairs = [float(p[a, b]) for a in range(10) for b in range(a + 1, 10)]
        bare += min(pairs) < 0.05
        corrected += min(resampling.holm(pairs)) < 0.05
    assert bare / 200 > 0.3
    assert corrected / 200 <= 0.08
