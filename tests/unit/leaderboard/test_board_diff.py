"""Two boards compared: places, values, reasons, and how it is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.leaderboard import Entry, rank
from codabench.leaderboard.diff import compare

SPEC = LeaderboardSpec(
    key="b",
    title="Iris",
    columns=(
        ColumnSpec(key="acc", title="Accuracy", index=0, precision=2),
        ColumnSpec(key="sec", title="Seconds", index=1, sorting="asc", precision=1),
        ColumnSpec(key="secret", title="Secret", index=2, hidden=True),
    ),
)


def entry(name, scores, who=None, day=1, **more):
    at = datetime(2026, 3, day, tzinfo=UTC)
    return Entry(submission=name, participant=who or name, created_at=at, tasks={0: scores}, **more)


def board(**scores):
    return rank(SPEC, [entry(name, {"acc": value}) for name, value in scores.items()])


def reasons(before, after):
    return {r.submission: (r.rank_before, r.rank_after, r.reason) for r in compare(before, after)}


def test_nothing_differs():
    found = compare(board(a=0.9, b=0.8), board(a=0.9, b=0.8))
    assert not found
    assert found.changed == ()
    assert found.summary() == (
        "0 submissions with changed scores · 0 changed ranks · 2 submissions equal to the last bit"
    )
    assert all(r.same and r.reason == "" and r.change == 0 for r in found)


def test_places_values_and_reasons():
    found = compare(board(a=0.9, b=0.8, c=0.7, gone=0.1), board(a=0.75, b=0.8, c=0.7, new=0.95))
    assert {r.submission: (r.rank_before, r.rank_after, r.reason) for r in found} == {
        "new": (None, 1, "new on the board"),
        "b": (2, 2, ""),
        "a": (1, 3, "Accuracy 0.90 → 0.75"),
        "c": (3, 4, "behind new"),
        "gone": (4, None, "no longer on the board"),
    }
    assert [r.submission for r in found] == ["new", "b", "a", "c", "gone"]
    assert found.summary() == (
        "1 submission with changed scores · 2 changed ranks · 1 new · 1 gone · "
        "top 3: new: – → 1, a: 1 → 3, c: 3 → 4 · 2 submissions equal to the last bit"
    )
    assert len(found) == 4


def test_the_same_people_with_other_submissions():
    old, new = entry("one", {"acc": 0.5}, "ada"), entry("two", {"acc": 0.6}, "ada")
    assert reasons(rank(SPEC, [old]), rank(SPEC, [new])) == {
        "two": (None, 1, "in place of one"),
        "one": (1, None, "replaced by two"),
    }


def test_who_passed_whom():
    moved = reasons(board(a=0.9, b=0.8, c=0.7, d=0.6, e=0.5), board(a=0.1, b=0.2, c=0.3, d=0.4, e=0.5))
    assert moved["e"] == (5, 1, "no longer behind a, b, c, 1 more")
    assert reasons(board(x=0.5, a=0.1), board(x=0.5, a=0.6))["x"] == (1, 2, "behind a")


def test_what_rounding_and_hiding_would_conceal():
    tiny = compare(board(a=0.9), board(a=0.9 + 1e-12))
    assert [r.reason for r in tiny] == ["Accuracy 0.9 → 0.900000000001"]
    hidden = [rank(SPEC, [entry("a", {"acc": 1, "secret": s})]) for s in (1, 2)]
    (row,) = compare(*hidden)
    assert (row.same, row.reason) == (False, "a value that is not shown changed")
    assert "secret" not in row.after
    lost = [rank(SPEC, [entry("a", {"acc": 1}, expected_tasks=tasks)]) for tasks in ((0,), (0, 1))]
    assert [r.reason for r in compare(*lost)] == ["a task is missing now"]
    assert [r.reason for r in compare(*reversed(lost))] == ["no task is missing any more"]


def test_a_board_that_is_ranked_otherwise():
    entries = [entry("a", {"acc": 1, "sec": 1}), entry("b", {"acc": 2, "sec": 2})]
    other = SPEC.model_copy(update={"primary_index": 1})
    found = compare(rank(SPEC, entries), rank(other, entries))
    assert {r.reason for r in found} == {"the board is ranked otherwise"}
    assert found.notes == ("the columns of the two boards differ",)


def test_as_a_frame():
    frame = compare(board(a=0.9, b=0.8), board(b=0.95)).to_frame()
    assert list(frame.columns) == [
        *("submission", "participant", "rank_before", "rank_after", "change"),
        *("acc_before", "acc_after", "acc_change", "sec_before", "sec_after", "sec_change", "reason"),
    ]
    assert frame["rank_after"].dtype == "Int64"
    assert frame["change"].isna().tolist() == [False, True]
    assert frame.loc[0, "acc_change"] == pytest.approx(0.15)
    assert len(compare(board(), board()).to_frame()) == 0


def test_as_text_and_as_html():
    many = {f"s{n}": n / 100 for n in range(60)}
    names = {s: f"</table><script>{s}" for s in many}
    before, after = board(**many), board(**{s: -v for s, v in many.items()})
    found = compare(before, after, names)
    assert repr(found).splitlines()[-1] == "  … 40 more rows: .to_frame()"
    page = found._repr_html_()
    assert "<script" not in page
    assert page.count("<td") > 100
    assert len(page.encode()) < 20_000
    assert "Accuracy" in repr(compare(board(a=1), board(a=2)))
    wide = found.model_copy(update={"columns": found.columns[:1] * 1000})
    assert len(wide._repr_html_().encode()) < 20_000
    assert "988 columns not shown" in wide._repr_html_()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8), st.data())
def test_every_difference_has_a_reason(values, data):
    names = [f"s{n}" for n in range(len(values))]
    before = board(**{n: v for n, (v, _) in zip(names, values, strict=True)})
    kept = data.draw(st.lists(st.sampled_from(names), unique=True))
    after = board(**{n: w for n, (_, w) in zip(names, values, strict=True) if n in kept})
    found = compare(before, after)
    assert {r.submission for r in found} == set(names)
    for row in found:
        assert bool(row.reason) == (row.change != 0 or not row.same)
        assert row.change is None or (row.same == (row.before == row.after))


def test_people_who_swap_places():
    for order in permutations("abc"):
        found = compare(board(a=0.3, b=0.2, c=0.1), board(**{n: 1 - k / 10 for k, n in enumerate(order)}))
        assert sorted(r.rank_after for r in found) == [1, 2, 3]
        assert sum(r.change for r in found) == 0
