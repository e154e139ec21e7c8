"""What is said of a board whose scorers wrote scores for each item, and what is not said and why."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.leaderboard import Entry, rank
from codabench.leaderboard.analysis import MOST_ROWS, analyse
from codabench.leaderboard.items import ItemScores
from codabench.leaderboard.words import doubt

ACC = ColumnSpec(key="acc", title="Accuracy", index=0, precision=2)
LOSS = ColumnSpec(key="loss", title="Loss", index=1, sorting="asc", precision=3)
BOTH = ColumnSpec(key="both", title="Both", index=2, computation="avg", computation_indexes=(0, 1))
SPEC = LeaderboardSpec(key="b", title="Iris", columns=(ACC, LOSS, BOTH))
AT = datetime(2026, 3, 1, tzinfo=UTC)


def wrote(values, key="acc", ids=None):
    return ItemScores(tuple(ids or (f"q{n}" for n in range(len(values)))), {key: tuple(map(float, values))})


def answers(right, size=100):
    return [1.0] * right + [0.0] * (size - right)


def board(samples, aggregation="mean", key="acc", **scores):
    """A board of what `samples` come to: submission -> task -> items, or items of the only task."""
    per_task = {s: v if isinstance(v, dict) else {0: v} for s, v in samples.items()}
    entries = [
        Entry(
            submission=s,
            participant=s,
            created_at=AT,
            sequence=n,
            tasks={t: {key: scores.get(s, float(np.mean(v.values.get(key) or [0])))} for t, v in tasks.items()},
        )
        for n, (s, tasks) in enumerate(per_task.items())
    ]
    items = {(s, t): v for s, tasks in per_task.items() for t, v in tasks.items()}
    return rank(SPEC, entries, aggregation=aggregation), items


def whys(statistics):
    return {r.submission: r.why for r in statistics.rows}


def test_intervals_groups_and_notes():
    rng = np.random.default_rng(1)
    easy = rng.random(200)
    samples = {
        name: wrote((easy < level).astype(float)[rng.permutation(200)] if name == "luck" else easy < level)
        for name, level in (("best", 0.9), ("near", 0.89), ("far", 0.6), ("luck", 0.58))
    }
    found = analyse(*board(samples))
    assert found.known
    assert found.groups == (("best", "near"), ("far", "luck"))
    assert all(r.low < r.value < r.high and r.items == 200 for r in found.rows)
    assert found.pair("near", "best") == found.pair("best", "near")
    assert (found.pair("best", "far").a, found.pair("best", "far").apart) == ("best", True)
    assert found.pair("best", "far").beats > 0.999
    assert len(found.pairs) == 6
    assert {r.submission: r.ranks for r in found.rows}["best"] == (1, 2)
    assert found.notes == (
        "95 % intervals: BCa bootstrap over items, widened for small samples",
        "4 submissions on the same items: paired permutation test, Holm's correction for 6 pairs",
        "cannot be told apart: best, near",
        "cannot be told apart: far, luck",
    )
    again = analyse(*board(samples))
    assert again == found, "the draws are seeded"


def test_smaller_may_be_better():
    rng = np.random.default_rng(2)
    base = rng.exponential(size=80)
    found = analyse(*board({"good": wrote(base, "loss"), "bad": wrote(base + 1, "loss")}, key="loss"), column=LOSS)
    (pair,) = found.pairs
    assert (pair.a, pair.b, pair.beats, pair.apart) == ("good", "bad", 1.0, True)
    assert found.groups == (("good",), ("bad",))


@pytest.mark.parametrize(
    ("sample", "why"),
    [
        (wrote(answers(10, 19)), "19 items: at least 20 are needed"),
        (ItemScores(trouble="it is not CSV"), "scores_per_item.csv: it is not CSV"),
        (wrote(answers(9), "other"), "scores_per_item.csv has no column 'acc'"),
        (wrote(answers(100)), "every item has the same score, which says nothing of others"),
    ],
)
def test_why_there_is_no_interval(sample, why):
    fine = wrote(answers(50))
    mixed = analyse(*board({"fine": fine, "odd": sample}))
    assert whys(mixed)["odd"] == why
    assert mixed.evidence("fine").low is not None
    assert mixed.evidence("odd").low is None
    alone = analyse(*board({"odd": sample}))
    assert alone.notes == (f"no intervals: {why}",)
    assert whys(alone) == {"odd": None}, "said once"
    assert not alone.known


def test_what_was_not_written_and_what_has_no_value():
    made, items = board({"a": wrote(answers(50)), "b": wrote(answers(40))})
    del items["b", 0]
    assert whys(analyse(made, items)) == {"a": None, "b": "its scorer wrote no scores_per_item.csv"}
    assert analyse(made, {}).notes == ("no intervals: its scorer wrote no scores_per_item.csv",)
    assert analyse(made, items, LOSS).notes == ("no intervals: it has no value in Loss",)
    assert analyse(made, items, BOTH).notes == (
        "no intervals: Both is computed from other columns: intervals are known for means over items only",
    )


def test_a_value_that_is_not_the_mean_of_its_items():
    made = board({"a": wrote(answers(50)), "b": wrote(answers(40))}, a=0.506, b=0.404)
    assert whys(analyse(*made)) == {"a": "its value 0.506 is not the mean of its items, 0.5", "b": None}


def test_twenty_items_are_enough():
    assert analyse(*board({"a": wrote(answers(10, 20))})).evidence("a").low is not None


def test_items_in_another_order_and_other_items():
    rng = np.random.default_rng(3)
    x = rng.normal(size=40)
    order = rng.permutation(40)
    same = wrote(x[order], ids=[f"q{n}" for n in order])
    others = wrote(x, ids=[f"r{n}" for n in range(40)])
    found = analyse(*board({"a": wrote(x), "b": same, "c": others}))
    (pair,) = found.pairs
    assert (pair.p, pair.beats) == (1.0, 0.5), "the same scores of the same items"
    assert whys(found)["c"] == "not compared: its items are not those of the others"
    assert found.evidence("c").low is not None
    assert found.evidence("c").group is None


@pytest.mark.parametrize(
    ("aggregation", "value", "items"), [("mean", 0.4, 400), ("sum", 0.8, 400), ("first", 0.5, 100)]
)
def test_several_tasks(aggregation, value, items):
    tasks = {0: wrote(answers(50)), 1: wrote(answers(90, 300))}
    found = analyse(*board({"a": tasks, "b": tasks}, aggregation=aggregation))
    row = found.evidence("a")
    assert row.value == pytest.approx(value)
    assert row.low < row.value < row.high
    assert row.items == items
    small = {0: wrote(answers(50)), 1: wrote(answers(5, 10))}
    if aggregation != "first":
        said = whys(analyse(*board({"a": tasks, "b": small}, aggregation=aggregation)))
        assert said["b"] == "10 items: at least 20 are needed (task 1)"


def test_another_aggregation_is_not_claimed():
    made, items = board({"a": wrote(answers(50))})
    ranked = made.model_copy(update={"aggregation": "average_rank"})
    assert "one value by average_rank" in analyse(ranked, items).notes[0]


def test_the_first_of_many():
    samples = {f"s{n:02}": wrote(answers(90 - n)) for n in range(MOST_ROWS + 5)}
    found = analyse(*board(samples))
    assert len(found.rows) == MOST_ROWS
    assert found.notes[-1] == "the first 25 of 30 submissions are looked at"
    assert min(p.adjusted for p in found.pairs) < 0.05, "the correction leaves something to be found"


@pytest.mark.parametrize("scale", [1e-300, 1e150, 1e306, -1e306])
def test_numbers_of_any_size(scale):
    values = np.linspace(0.1, 1, 30) * scale
    found = analyse(*board({"a": wrote(values), "b": wrote(values[::-1])}))
    assert all(np.isfinite([r.low, r.high]).all() and r.low < r.high for r in found.rows)


def test_an_empty_board():
    found = analyse(rank(SPEC, []), {})
    assert (found.rows, found.known, found.groups) == ((), False, ())
    assert len(found.to_frame()) == len(found.pairs_frame()) == 0
    assert "Iris" in repr(found)


def test_as_frame_text_and_html():
    hostile = "<img src=x onerror=alert(1)>"
    made, items = board({"a": wrote(answers(80)), "b": wrote(answers(75)), "c": wrote(answers(3, 10))})
    found = analyse(made, items, names={"a": hostile, "b": "b\u202e", "c": "c"})
    frame = found.to_frame()
    assert frame.loc[1, "submission"] == hostile
    assert frame["low"].isna().tolist() == [False, False, True]
    assert list(found.pairs_frame().columns) == ["a", "b", "a_beats_b", "p", "p_adjusted", "apart"]
    page = found._repr_html_()
    assert "<img" not in page
    assert "\u202e" not in page + repr(found)
    assert "[0.7" in page
    assert len(page.encode()) < 20_000
    assert repr(found).splitlines()[3] == "  3  c                             0.30  (10 items: at least 20 are needed)"


def test_doubt_in_words():
    made, items = board({"a": wrote(answers(80)), "b": wrote(answers(79)), "c": wrote(answers(3, 10))})
    found = analyse(made, items, names={"a": "A", "b": "B", "c": "C"})
    said = doubt(found, "b", "a")
    assert said.startswith("With the 100 items drawn again, A is better than B in ")
    assert said.endswith("p = 1, 1 for 1 comparison: chance could do that.")
    assert doubt(found, "a", "c") == "How sure that is, is not known (C: 10 items: at least 20 are needed)."
    far = analyse(*board({"a": wrote(answers(90)), "b": wrote(answers(20))}))
    assert doubt(far, "a", "b").endswith("p = 0.0001, 0.0001 for 1 comparison: more than chance would do.")
    assert doubt(analyse(made, {}), "a", "b") == ""
