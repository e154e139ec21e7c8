"""The six submission rules by hand, and over random histories: a board kept up to date is the board worked out anew."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codabench.core.competition import ColumnSpec, LeaderboardSpec, SubmissionRule
from codabench.leaderboard import events as happened
from codabench.leaderboard import rules, standings
from codabench.leaderboard.standings import Standings

START = datetime(2026, 3, 1, tzinfo=UTC)
RULES = list(SubmissionRule)
FORCED = [r for r in RULES if r.value.startswith("Force")]


def spec_with(rule=SubmissionRule.ADD, *columns, **more):
    columns = columns or (
        ColumnSpec(key="s", title="S", index=0),
        ColumnSpec(key="t", title="T", index=1, sorting="asc"),
    )
    return LeaderboardSpec(key="b", title="B", columns=columns, submission_rule=rule, **more)


def history(text):
    """Events in short.

    ``a1`` submits, ``a1=0.5`` is scored, ``!a1`` fails, ``+a1`` is put on the board, ``-a1`` taken off,
    ``~a1`` deleted, ``a1:0.5`` is set by an organizer, ``a1^0.5`` re-evaluated; ``>Add`` is another rule.
    """
    found = []
    for n, word in enumerate(text.split()):
        at, name = START + timedelta(minutes=n), word.strip("+-~!")
        if word[0] in "+-":
            found.append(happened.EntryChosen(at, name, word[0] == "+"))
        elif word[0] == "~":
            found.append(happened.Deleted(at, name))
        elif word[0] == "!":
            found.append(happened.Failed(at, name))
        elif word[0] == ">":
            found.append(happened.BoardEdited(at, spec_with(SubmissionRule(word[1:]))))
        elif "=" in word:
            name, _, value = word.partition("=")
            found.append(happened.Scored(at, name, {0: {"s": float(value)} if value else {}}))
        elif "^" in word:
            name, _, value = word.partition("^")
            found.append(happened.Reevaluated(at, name, {0: {"s": float(value)}}))
        elif ":" in word:
            name, _, value = word.partition(":")
            found.append(happened.ScoreEdited(at, name, 0, "s", float(value) if value else None))
        else:
            found.append(happened.Submitted(at, name, name[0], n, (0,), eligible=not name.endswith("x")))
    return found


@pytest.mark.parametrize(
    ("rule", "text", "board"),
    [
        ("Add", "a1 a1=1 a2 a2=2", ""),
        ("Add", "a1 a1=1 a2 a2=2 +a1 +a2", "a2"),
        ("Add", "a1 a1=1 a2 a2=2 b1 b1=3 +a2 +b1 +a1", "b1 a1"),
        ("Add", "a1 a1=1 a2 a2=2 +a1 +a2 ~a2", ""),
        ("Add", "a1 +a1 b1 b1=0 +b1", "b1 a1"),  # whoever is not scored yet has a place, the last
        ("Add", "a1 a1=1 ax ax=2 +a1 +ax", "a1"),
        ("Add", "a1 a1=1 +a1 a2 a2=3", "a1"),
        ("Add_And_Delete", "a1 a1=1 a2 a2=2 +a1 +a2 -a2", ""),
        ("Add_And_Delete", "a1 a1=1 +a1 -a1 +a1", "a1"),
        ("Add_And_Delete", "a1 a1=1 a2 a2=2 +a2 -a1", "a2"),
        ("Add_And_Delete_Multiple", "a1 a1=1 a2 a2=2 b1 b1=1.5 +a1 +a2 +b1", "a2 b1 a1"),
        ("Add_And_Delete_Multiple", "a1 a1=1 a2 a2=2 +a1 +a2 -a2", "a1"),
        ("Force_Last", "a1 a2 a2=2 a1=1", "a1"),
        ("Force_Last", "a1 a1=1 a2 a2=2 a3 !a3", "a2"),
        ("Force_Last", "a1 a1=1 a2 a2=2 ~a2", "a1"),
        ("Force_Last", "a1 a1=1 a2 a2=2 a1^5", "a2"),  # a re-evaluation does not make it the last
        ("Force_Last", "a1 a1=1 a2 a2=2 a1:5", "a2"),
        ("Force_Last", "a1 a1=1 a2 a2=2 +a1", "a1"),
        ("Force_Last", "a1 a1=1 a2 a2=2 +a1 a3 a3=0", "a3"),
        ("Force_Last", "a1 a1=1 a2 a2=2 +a1 a3 a3=0 ~a3", "a1"),  # as if it had never been
        ("Force_Last", "a1 a1=1 a2 a2=2 +a1 ~a1", "a2"),
        ("Force_Latest_Multiple", "a1 a1=1 a2 a2=2 ax ax=3", "a2 a1"),
        ("Force_Latest_Multiple", "a1 a1=1 a2 a2=2 +a1", "a1"),
        ("Force_Latest_Multiple", "a1 a1=1 a2 a2=2 +a1 a3 a3=3", "a3 a1"),
        ("Force_Best", "a1 a1=1 a2 a2=3 a3 a3=2", "a2"),
        ("Force_Best", "a1 a1=1 a2 a2=3 a3 a3=2 ~a2", "a3"),
        ("Force_Best", "a1 a1=1 a2 a2=3 a3 a3=2 ~a2 ~a3 ~a1", ""),
        ("Force_Best", "a1 a1=1 a2 a2=3 a1:4", "a1"),
        ("Force_Best", "a1 a1=1 a2 a2=3 a1:4 a1:", "a2"),
        ("Force_Best", "a1 a1=1 a2 a2=3 a1^4", "a1"),
        ("Force_Best", "a1 a1=1 a2 a2=1", "a1"),
        ("Force_Best", "a1 a1= a2 a2=-9", "a2"),
        ("Force_Best", "a1 a1=1 a2 a2=3 +a1", "a1"),
        ("Force_Best", "a1 a1=1 a2 a2=3 +a1 a3 a3=0", "a2"),
        ("Force_Best", "a1 a1=1 b1 b1=2 a2 a2=3 >Add", "a2 b1"),  # who is there stays until replaced
        ("Force_Best", "a1 a1=1 b1 b1=2 a2 a2=3 >Add +a1", "b1 a1"),
        ("Force_Latest_Multiple", "a1 a1=1 a2 a2=2 >Add_And_Delete", "a2 a1"),
        ("Force_Latest_Multiple", "a1 a1=1 a2 a2=2 >Add_And_Delete -a2", "a1"),
        ("Add", "a1 a1=1 a2 a2=2 +a1 >Force_Best", "a2"),  # what was chosen before forces nothing
    ],
)
def test_by_hand(rule, text, board):
    spec, rule = spec_with(SubmissionRule(rule)), SubmissionRule(rule)
    kept = Standings(spec, rule=rule, tasks=(0,))
    for event in history(text):
        kept.apply(event)
    assert kept.submissions == board.split()
    assert Standings.after(spec, history(text), rule=rule, tasks=(0,)).submissions == board.split()


@pytest.mark.parametrize(
    ("rule", "add", "remove", "operator"),
    [
        ("Add", True, False, True),
        ("Add_And_Delete", True, True, True),
        ("Add_And_Delete_Multiple", True, True, True),
        ("Force_Last", False, False, True),
        ("Force_Latest_Multiple", False, False, True),
        ("Force_Best", False, False, True),
    ],
)
def test_who_may_choose(rule, add, remove, operator):
    rule = SubmissionRule(rule)
    for role in ("participant", "organizer"):
        assert (rules.refusal(rule, shown=True, role=role) is None) is add
        assert (rules.refusal(rule, shown=False, role=role) is None) is remove
    assert (rules.refusal(rule, shown=True, role="operator") is None) is operator
    assert (rules.refusal(rule, shown=False, role="operator") is None) is remove
    assert rules.refusal(rule, shown=True, role="operator", eligible=False)


VALUES = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12, -1.0, 1e308, -1e308, 5e-324, 0.1, 0.1 + 1e-11])
WRITTEN = st.dictionaries(st.sampled_from(["s", "t"]), VALUES)


@st.composite
def histories(draw):
    """What may happen: people submit to one or two tasks, and everything that can befall a submission befalls some."""
    events, live, deleted = [], {}, set()
    for n in range(draw(st.integers(1, 40))):
        at = START + timedelta(seconds=n // 2)  # two events in one instant
        there = sorted(set(live) - deleted)
        do = draw(st.sampled_from(["submit", "score", "score", "fail", "edit", "choose", "delete", "again", "define"]))
        if do == "submit" or not there:
            name, tasks = f"s{n}", draw(st.sampled_from([(0,), (0, 1), (1,)]))
            live[name] = tasks
            ok = draw(st.integers(0, 5)) > 0
            events.append(happened.Submitted(at, name, draw(st.sampled_from("abc")), n, tasks, eligible=ok))
            continue
        name = draw(st.sampled_from(there))
        some = {t: draw(WRITTEN) for t in live[name] if draw(st.integers(0, 4))}
        match do:
            case "score":
                events.append(happened.Scored(at, name, some))
            case "fail":
                events.append(happened.Failed(at, name))
            case "again":
                events.append(happened.Reevaluated(at, name, some))
            case "edit":
                value = draw(VALUES | st.none())
                task, key = draw(st.sampled_from(live[name])), draw(st.sampled_from(["s", "t"]))
                events.append(happened.ScoreEdited(at, name, task, key, value))
            case "choose":
                events.append(happened.EntryChosen(at, name, draw(st.booleans())))
            case "delete":
                events.append(happened.Deleted(at, name))
                deleted.add(name)
            case "define":
                events.append(happened.BoardEdited(at, draw(specs())))
    return events


@st.composite
def specs(draw):
    s = ColumnSpec(key="s", title="S", index=0, sorting=draw(st.sampled_from(["asc", "desc"])))
    t = ColumnSpec(key="t", title="T", index=1, hidden=draw(st.booleans()))
    kind = draw(st.sampled_from([None, "avg", "mean_rank", "avg_rank"]))
    columns = (s, t)
    if kind:
        columns += (ColumnSpec(key="c", title="C", index=2, computation=kind, computation_indexes=(0, 1)),)
    primary = draw(st.integers(0, len(columns) - 1))
    return spec_with(draw(st.sampled_from(RULES)), *columns, primary_index=primary)


@settings(max_examples=150, deadline=None)
@given(specs(), histories(), st.sampled_from(["mean", "first", "sum", "average_rank"]), st.booleans())
def test_a_board_kept_up_to_date_is_the_board_worked_out_anew(spec, events, aggregation, applied):
    rule = spec.submission_rule if applied else None
    options = {"rule": rule, "tasks": (0, 1), "aggregation": aggregation}
    kept = Standings(spec, **options)
    for n, event in enumerate(events, 1):
        kept.apply(event)
        anew = Standings.after(spec, events[:n], **options)
        assert kept.board() == anew.board()
        assert sorted(kept.submissions) == sorted(s for s in kept.table.submission if kept.is_on(s))
        assert all(math.isfinite(v) for row in kept.board().rows for v in row.scores.values() if v is not None)


def test_a_number_set_for_a_task_that_nobody_has_to_have_completes_nothing():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    events = [
        happened.Submitted(at, "a", "a", tasks=(0,), eligible=False),
        happened.ScoreEdited(at, "a", 0, "s", 1.0),
        happened.Submitted(at, "b", "a", sequence=1, tasks=(1,)),
        happened.Scored(at, "a", {}),
    ]
    (row,) = Standings.after(spec_with(SubmissionRule.ADD), events, tasks=(0, 1)).board().rows
    assert row.incomplete


@settings(max_examples=100, deadline=None)
@given(histories(), st.sampled_from(FORCED))
def test_no_participant_disappears(events, rule):
    events = [e for e in events if not isinstance(e, happened.BoardEdited)]
    kept = Standings(spec_with(rule), rule=rule, tasks=(0, 1))
    for event in events:
        kept.apply(event)
        table = kept.table
        shown = {row.participant for row in kept.board().rows}
        left = {
            table.participant[n]
            for n in range(len(table))
            if table.eligible[n] and table.scored[n] and not table.deleted[n]
        }
        assert left <= shown
        if rule is not SubmissionRule.FORCE_LATEST_MULTIPLE:
            assert len(shown) == len(kept)


@settings(max_examples=100, deadline=None)
@given(specs(), histories(), st.booleans())
def test_numpy_sorts_as_python_does(spec, events, applied):
    options = {"rule": spec.submission_rule if applied else None, "tasks": (0, 1)}
    few = Standings.after(spec, events, **options).board()
    before, standings.LARGE = standings.LARGE, 0
    try:
        assert Standings.after(spec, events, **options).board() == few
    finally:
        standings.LARGE = before


@settings(max_examples=50, deadline=None)
@given(histories(), st.integers(0, 10), st.integers(0, 10))
def test_a_page_is_a_piece_of_the_board(events, start, count):
    kept = Standings.after(spec_with(), events, tasks=(0, 1))
    whole, page = kept.board(), kept.board(start, start + count)
    assert page.rows == whole.rows[start : start + count]
    assert page.notes == whole.notes
    assert page.total == len(whole)
