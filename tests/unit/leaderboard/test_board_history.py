"""The best of each participant over time: by hand, and against everything worked out again after each event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.leaderboard.events import (
    BoardEdited,
    Deleted,
    EntryChosen,
    Failed,
    Reevaluated,
    Scored,
    ScoreEdited,
    Submitted,
)
from codabench.leaderboard.history import history

ACC = ColumnSpec(key="acc", title="Accuracy", index=0)
SEC = ColumnSpec(key="sec", title="Seconds", index=1, sorting="asc")
SPEC = LeaderboardSpec(key="b", title="Iris", columns=(ACC, SEC))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = START + timedelta(days=1)


def at(minute):
    return START + timedelta(minutes=minute)


def submitted(minute, submission, who):
    return Submitted(at(minute), submission, who, tasks=(0,))


def scored(minute, submission, acc, sec=1.0):
    return Scored(at(minute), submission, {0: {"acc": acc, "sec": sec}})


STORY = [
    submitted(0, "a1", "ada"),
    submitted(1, "b1", "bo"),
    scored(2, "a1", 0.5, 9),
    scored(3, "b1", 0.6, 5),
    submitted(4, "a2", "ada"),
    scored(5, "a2", 0.7, 7),
    submitted(6, "a3", "ada"),
    scored(7, "a3", 0.7, 8),
    submitted(8, "b2", "bo"),
    Failed(at(9), "b2"),
    EntryChosen(at(9), "a1", True),
    Deleted(at(10), "a2"),
    ScoreEdited(at(11), "b1", 0, "acc", 0.9),
    ScoreEdited(at(12), "b1", 0, "acc", None),
    Reevaluated(at(13), "a3", {0: {"acc": 0.1, "sec": 1}}),
    BoardEdited(at(14), SPEC),
    Deleted(at(15), "b1"),
]


def told(found):
    return [((s.at - START).seconds // 60, s.participant, s.submission, s.value, s.rank, s.why) for s in found]


def test_by_hand():
    found = history(SPEC, STORY, until=END)
    assert told(found) == [
        (2, "ada", "a1", 0.5, 1, "scored"),
        (3, "bo", "b1", 0.6, 1, "scored"),
        (5, "ada", "a2", 0.7, 1, "scored"),
        (10, "ada", "a3", 0.7, 1, "deleted"),
        (11, "bo", "b1", 0.9, 1, "score set by hand"),
        (12, "bo", "b1", 0.6, 2, "score set by hand"),
        (13, "ada", "a1", 0.5, 2, "re-evaluated"),
        (15, "bo", None, None, None, "deleted"),
    ]
    assert found.leaders(9) == ["ada"]
    assert [(s.participant, s.at) for s in found.extended()][-1] == ("ada", END)


def test_smaller_may_be_better():
    found = history(SPEC, STORY[:6], until=END, column=SEC)
    assert [(who, value, rank) for _, who, _, value, rank, _ in told(found)] == [
        ("ada", 9, 1),
        ("bo", 5, 1),
        ("ada", 7, 2),
    ]
    assert found.leaders(1) == ["bo"]


def test_equal_values_share_a_place():
    events = [submitted(0, "a", "ada"), submitted(0, "b", "bo"), scored(1, "a", 0.5), scored(2, "b", 0.5 + 1e-13)]
    assert [s.rank for s in history(SPEC, events, until=END)] == [1, 1]


def test_several_tasks():
    events = [
        Submitted(at(0), "a", "ada", tasks=("x", "y")),
        Scored(at(1), "a", {"y": {"acc": 0.8}, "x": {"acc": 0.4}}),
    ]
    values = {
        how: [s.value for s in history(SPEC, events, until=END, tasks=("x", "y"), aggregation=how)]
        for how in ("mean", "sum", "first")
    }
    assert {how: pytest.approx(found[0]) for how, found in values.items()} == {"mean": 0.6, "sum": 1.2, "first": 0.4}
    assert not history(SPEC, events, until=END, aggregation="average_rank")


def test_what_has_no_history():
    ranks = ColumnSpec(key="r", title="Ranks", index=2, computation="avg_rank", computation_indexes=(0, 1))
    found = history(SPEC, STORY, until=END, column=ranks)
    assert len(found) == 0
    assert "made of ranks" in found.notes[0]
    assert "made of ranks" in repr(found)


def test_as_frame_text_and_html():
    evil = "<script>x</script>"
    found = history(SPEC, STORY, until=END, names={"a1": evil, "b1": "b\u202e"})
    frame = found.to_frame()
    assert list(frame.columns) == ["at", "participant", "submission", "value", "rank", "why"]
    assert frame["rank"].isna().sum() == frame["value"].isna().sum() == 1
    page = found._repr_html_()
    assert "<script" not in page
    assert "\u202e" not in page + repr(found)
    assert repr(found).splitlines()[:2] == [
        "Iris: Accuracy, 8 steps",
        f"  2026-03-01 12:02  ada: 0.50 ({evil}, scored)",
    ]
    assert len(history(SPEC, [], until=END).to_frame()) == 0


@given(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from("sred"), st.sampled_from([0.1, 0.2, 0.3, 0.4])), max_size=30)
)
def test_it_is_what_one_would_work_out_again(story):
    """Four people with two submissions each; after every event the best is looked for among everything there is."""
    events, values, gone, best = [submitted(0, f"s{n}", f"p{n % 4}") for n in range(8)], {}, set(), {}
    expected = []
    for minute, (n, kind, value) in enumerate(story, 1):
        name = f"s{n}"
        if kind == "d":
            gone.add(name)
            events.append(Deleted(at(minute), name))
        elif kind == "s" or name not in values:
            values[name] = value
            events.append(scored(minute, name, value))
        elif kind == "r":
            values[name] = value
            events.append(Reevaluated(at(minute), name, {0: {"acc": value}}))
        else:
            events.append(ScoreEdited(at(minute), name, 0, "other", value))
        who = f"p{n % 4}"
        now = max((v for s, v in values.items() if s not in gone and f"p{int(s[1:]) % 4}" == who), default=None)
        if now != best.get(who):
            expected.append((minute, who, now))
        best[who] = now
    found = [(m, who, value) for m, who, _, value, _, _ in told(history(SPEC, events, until=END))]
    seen, changes = {}, []
    for m, who, value in found:  # another submission with the same value is a step, but no other value
        if seen.get(who) != value:
            changes.append((m, who, value))
        seen[who] = value
    assert changes == expected
