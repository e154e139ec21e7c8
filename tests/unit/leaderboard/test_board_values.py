"""Computed columns, several tasks, comparison and display, from tables worked out by hand."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.core.competition import ColumnSpec, Computation
from codabench.leaderboard.values import (
    comparable,
    dense_ranks,
    display,
    fractional_ranks,
    from_ranks,
    mean,
    over_tasks,
    total,
    with_computed,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
LARGEST = sys.float_info.max


def column(key, index, computation=None, inputs=(), **more):
    return ColumnSpec(
        key=key, title=key, index=index, computation=computation, computation_indexes=tuple(inputs), **more
    )


A, B, C = column("a", 1), column("b", 2), column("c", 3)


@pytest.mark.parametrize(
    ("computation", "scores", "expected"),
    [
        ("sum", {"a": 1, "b": 2, "c": 4}, 7),
        ("avg", {"a": 1, "b": 2, "c": 4}, 7 / 3),
        ("min", {"a": 1, "b": -2, "c": 4}, -2),
        ("max", {"a": 1, "b": 2, "c": 4}, 4),
        ("avg", {"a": 1, "c": 4}, 2.5),
        ("sum", {"c": 4}, 4),
        ("sum", {"a": 0.1, "b": 0.2, "c": -0.3}, math.fsum([0.1, 0.2, -0.3])),
        ("avg", {}, None),
        ("min", {"other": 3}, None),
        ("max", {"x": 99}, None),
        ("sum", {"x": 99, "a": 1}, 1),
        ("avg", {"a": LARGEST, "b": LARGEST}, LARGEST),
        ("sum", {"a": LARGEST, "b": LARGEST}, LARGEST),
        ("sum", {"a": -LARGEST, "b": -LARGEST}, -LARGEST),
    ],
)
def test_one_computed_column(computation, scores, expected):
    columns = (column("x", 0, computation, [1, 2, 3]), A, B, C)
    assert with_computed(columns, scores)["x"] == expected


def test_a_computed_column_may_use_one_of_a_lower_index_but_not_one_of_a_higher():
    columns = (column("late", 9, "sum", [1, 5]), column("early", 0, "sum", [1, 9]), A, column("mid", 5, "max", [1]))
    assert with_computed(columns, {"a": 3}) == {"early": 3, "a": 3, "mid": 3, "late": 6}


def test_columns_without_a_score_are_none_and_unknown_keys_are_dropped():
    assert with_computed((A, B), {"b": 1.5, "zzz": 3}) == {"a": None, "b": 1.5}


@pytest.mark.parametrize(
    ("aggregation", "tasks", "expected"),
    [
        ("mean", [{"a": 1.0}, {"a": 2.0}], 1.5),
        ("mean", [{"a": 1.0}, {"a": None}, {"a": 4.0}], 2.5),
        ("mean", [{}, {"a": 4.0}], 4.0),
        ("sum", [{"a": 1.0}, {"a": None}, {"a": 4.0}], 5.0),
        ("first", [{"a": 1.0}, {"a": 9.0}], 1.0),
        ("first", [{}, {"a": 9.0}], None),
        ("mean", [], None),
        ("first", [], None),
    ],
)
def test_over_tasks(aggregation, tasks, expected):
    assert over_tasks((A,), tasks, aggregation) == {"a": expected}


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (7.0, 7.00000000004, True),
        (7.0, 7.0000000002, False),
        (0.1 + 0.2, 0.3, True),
        (0.0, -0.0, True),
        (1e-12, 3e-12, False),
        (0.0, 1e-300, False),
        (1e-5, 1e-5 * (1 + 1e-13), True),
        (0.01, 0.01 + 1e-11, False),
        (0.1, math.nextafter(0.1, 0), True),
        (1e15, 1e15 + 0.125, False),
        (LARGEST, math.nextafter(LARGEST, 0), False),
    ],
)
def test_comparable(a, b, equal):
    assert (comparable(a) == comparable(b)) is equal
    assert (comparable(-a) == comparable(-b)) is equal


@given(FINITE, FINITE)
def test_comparable_is_monotonic_and_close(a, b):
    low, high = sorted((a, b))
    assert comparable(low) <= comparable(high)
    assert math.isclose(comparable(a), a, rel_tol=1e-9, abs_tol=0)


@given(st.lists(FINITE, min_size=1, max_size=6))
def test_sum_and_mean_are_finite_and_do_not_depend_on_order(values):
    assert math.isfinite(total(values))
    assert math.isfinite(mean(values))
    assert total(values) == total(values[::-1])
    slack = 1e-12 * max(map(abs, values))
    assert min(values) - slack <= mean(values) <= max(values) + slack


@pytest.mark.parametrize(
    ("values", "ascending", "ranks"),
    [
        ([3.0, 1.0, 2.0], False, [1, 3, 2]),
        ([3.0, 1.0, 2.0], True, [3, 1, 2]),
        ([5.0, 5.0, 4.0, None], False, [1, 1, 2, 3]),
        ([None, None], True, [1, 1]),
        ([0.1 + 0.2, 0.3, None], True, [1, 1, 2]),
    ],
)
def test_dense_ranks(values, ascending, ranks):
    assert dense_ranks(values, ascending=ascending) == ranks


def test_columns_from_ranks():
    ranks = [[1, 2], [1, 4]]
    assert from_ranks(column("r", 0, Computation.MEAN_RANK), ranks) == [1, 3]
    assert from_ranks(column("r", 0, Computation.MRR), ranks) == [1, 0.375]
    weighted = column("r", 0, Computation.MEAN_RANK, computation_weights=(1.0, 0.5))
    assert from_ranks(weighted, ranks) == [1.5, 4]


@pytest.mark.parametrize(
    ("value", "precision", "text"),
    [
        (0.886, 2, "0.89"),
        (0.5, 2, "0.50"),
        (3, 0, "3"),
        (1e-7, 8, "0.00000010"),
        (None, 2, "n/a"),
        (-0.0, 2, "0.00"),
        (-0.001, 2, "0.00"),
        (-0.005001, 2, "-0.01"),
        (-0.4, 0, "0"),
        (1234.5, -1, "1230"),
        (1234.5, -2, "1200"),
        (-3.0, -1, "0"),
        (1e300, 2, "1.00e+300"),
        (-1e300, 0, "-1e+300"),
        (123456789012.0, 1, "123456789012.0"),
    ],
)
def test_display(value, precision, text):
    assert display(value, precision) == text


@given(FINITE, st.integers(-400, 5000))
def test_display_of_anything_is_short_and_reads_back(value, precision):
    text = display(value, precision)
    assert len(text) <= 125
    assert not text.startswith("-0.0") or float(text) != 0
    if abs(value) < 1e21 and precision >= 0:
        assert abs(float(text) - value) <= 0.51 * 10.0 ** -min(precision, 100) + abs(value) * 1e-15


@pytest.mark.parametrize(
    ("values", "ascending", "ranks"),
    [
        ([0.9, 0.7, 0.8], False, [1, 3, 2]),
        ([0.8, 0.95, 0.7], False, [2, 1, 3]),
        ([1, 1, 2], True, [1.5, 1.5, 3]),
        ([5, None, 5, None], False, [1.5, 3.5, 1.5, 3.5]),
    ],
)
def test_fractional_ranks(values, ascending, ranks):
    assert fractional_ranks(values, ascending=ascending) == ranks


def test_avg_rank_is_the_mean_of_fractional_ranks():
    ranks = [fractional_ranks(v, ascending=False) for v in ([0.9, 0.7, 0.8], [0.8, 0.95, 0.7])]
    assert from_ranks(column("r", 0, Computation.AVG_RANK), ranks) == [1.5, 2, 2.5]
