"""The order of boards: tables worked out by hand, and what must hold for every board."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.core.errors import NotFound, UsageError
from codabench.leaderboard import Entry, rank

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def column(key, index, **more):
    return ColumnSpec(key=key, title=more.pop("title", key.title()), index=index, **more)


def board_spec(*columns, **more):
    return LeaderboardSpec(key="board", title="Board", columns=columns, **more)


def entry(name, scores=None, *, minute=0, tasks=None, expected=(), **more):
    return Entry(
        submission=name,
        participant=more.pop("who", name),
        created_at=NOON + timedelta(minutes=minute),
        tasks={0: scores} if scores is not None else tasks or {},
        expected_tasks=expected,
        **more,
    )


def names(board):
    return [r.submission for r in board.rows]


ACC, TIME = column("acc", 0), column("time", 1, sorting="asc")
TWO = board_spec(ACC, TIME)


@pytest.mark.parametrize(
    ("spec", "entries", "order", "tie_breaks"),
    [
        pytest.param(
            TWO,
            [entry("a", {"acc": 1}), entry("b", {"acc": 3}), entry("c", {"acc": 2})],
            "b c a",
            [None, None, None],
            id="larger first",
        ),
        pytest.param(
            board_spec(ACC, TIME, primary_index=1),
            [entry("a", {"time": 1}), entry("b", {"acc": 3}), entry("c", {"time": 0})],
            "c a b",
            [None, None, None],
            id="smaller first, missing last",
        ),
        pytest.param(
            TWO,
            [entry("a", {"acc": 1, "time": 5}), entry("b", {"acc": 1, "time": 4}), entry("c", {"acc": 1})],
            "b a c",
            [None, "Time", "Time"],
            id="the next column breaks the tie, missing last",
        ),
        pytest.param(
            board_spec(ACC, column("time", 1, sorting="asc", hidden=True)),
            [entry("a", {"acc": 1, "time": 5}), entry("b", {"acc": 1, "time": 4}, minute=1)],
            "a b",
            [None, "earlier submission"],
            id="a hidden column breaks no tie",
        ),
        pytest.param(
            board_spec(column("acc", 0, hidden=True), TIME),
            [entry("a", {"acc": 1, "time": 1}), entry("b", {"acc": 2, "time": 2})],
            "b a",
            [None, None],
            id="a hidden primary column still ranks",
        ),
        pytest.param(
            TWO,
            [
                entry("a", {"acc": 1}, sequence=2),
                entry("b", {"acc": 1}, sequence=1),
                entry("c", {"acc": 1}, sequence=2),
            ],
            "b a c",
            [None, "order of arrival", "identifier"],
            id="one instant: arrival, then identifier",
        ),
        pytest.param(
            board_spec(column("z", 7), column("y", 3), column("p", 5), primary_index=5),
            [entry("a", {"p": 1, "y": 1, "z": 9}), entry("b", {"p": 1, "y": 2, "z": 0})],
            "b a",
            [None, "Y"],
            id="primary first, then by index and not by place",
        ),
        pytest.param(
            TWO,
            [entry("a", {}), entry("b", {"time": 3}), entry("c", {"acc": -9})],
            "c b a",
            [None, None, "Time"],
            id="without a primary value the other columns decide",
        ),
        pytest.param(
            TWO,
            [entry("late", {"acc": 0.0}, minute=1), entry("early", {"acc": -0.0})],
            "early late",
            [None, "earlier submission"],
            id="minus zero is zero",
        ),
        pytest.param(
            TWO,
            [
                entry("partial", tasks={1: {"acc": 9}}, expected=(1, 2)),
                entry("whole", tasks={1: {"acc": 1}, 2: {"acc": 2}}, expected=(1, 2)),
                entry("nothing", tasks={}, expected=(1, 2)),
                entry("half scored", tasks={1: {"acc": 8}, 2: {"time": 1}}, expected=(1, 2)),
                entry("unscored", tasks={1: {}, 2: {}}, expected=(1, 2)),
            ],
            "whole,partial,half scored,unscored,nothing",
            [None, None, None, None, None],
            id="complete, incomplete, without a primary value",
        ),
    ],
)
def test_order(spec, entries, order, tie_breaks):
    board = rank(spec, entries)
    assert names(board) == order.split("," if "," in order else " ")
    assert [r.rank for r in board.rows] == list(range(1, len(entries) + 1))
    assert [r.tie_break for r in board.rows] == tie_breaks


def test_tied_marks_both_neighbours():
    board = rank(TWO, [entry("a", {"acc": 2}), entry("b", {"acc": 1}), entry("c", {"acc": 1}), entry("d", {"acc": 0})])
    assert [(r.submission, r.tied) for r in board.rows] == [("a", False), ("b", True), ("c", True), ("d", False)]


@pytest.mark.parametrize(
    ("aggregation", "order", "scores"),
    [("mean", "ab", [4.5, 3.5]), ("sum", "ab", [9.0, 7.0]), ("first", "ba", [5.0, 1.0])],
)
def test_several_tasks(aggregation, order, scores):
    entries = [
        entry("a", tasks={"x": {"acc": 1}, "y": {"acc": 8}}, expected=("x", "y")),
        entry("b", tasks={"y": {"acc": 2}, "x": {"acc": 5}}, expected=("x", "y")),
    ]
    board = rank(TWO, entries, aggregation=aggregation)
    assert "".join(names(board)) == order
    assert [r.scores["acc"] for r in board.rows] == scores
    assert list(board.row("b").per_task) == ["x", "y"]
    assert board.aggregation == aggregation


def test_first_means_the_first_task_of_the_phase_and_not_the_first_that_succeeded():
    board = rank(TWO, [entry("a", tasks={"y": {"acc": 8}}, expected=("x", "y"))], aggregation="first")
    assert board.rows[0].scores["acc"] is None


def test_computed_columns_are_computed_for_each_task_and_then_averaged():
    spec = board_spec(column("best", 0, computation="max", computation_indexes=(1, 2)), column("p", 1), column("q", 2))
    row = rank(spec, [entry("a", tasks={1: {"p": 1, "q": 5}, 2: {"p": 3, "best": 77}}, expected=(1, 2))]).rows[0]
    assert row.per_task == {1: {"best": 5, "p": 1, "q": 5}, 2: {"best": 3, "p": 3, "q": None}}
    assert row.scores == {"best": 4, "p": 2, "q": 5}
    assert not row.incomplete


def test_columns_from_ranks_of_all_submissions():
    spec = board_spec(
        column("mean", 0, sorting="asc", computation="mean_rank", computation_indexes=(1, 2)),
        column("p", 1),
        column("q", 2, sorting="asc"),
    )
    board = rank(spec, [entry("a", {"p": 9, "q": 9}), entry("b", {"p": 8, "q": 1}), entry("c", {"p": 8, "mean": 0})])
    # ranks by p: 1 2 2; by q: 2 1, and 3 for the one without
    assert {r.submission: r.scores["mean"] for r in board.rows} == {"a": 1.5, "b": 1.5, "c": 2.5}
    assert names(board) == ["a", "b", "c"]
    assert not any(r.incomplete for r in board.rows)


def test_notes_say_what_was_not_done():
    board = rank(TWO, [entry("a", tasks={1: {"acc": 1}, 2: {"acc": 1}}), entry("b", tasks={1: {}}, expected=(1, 2))])
    assert board.notes == (
        "submission rule Add not applied: every finished submission is listed",
        "each value is the mean over 2 tasks",
        "1 submission without a result for every task, ranked after the complete ones",
    )
    assert rank(TWO, [entry("a", {"acc": 1})], rule_applied=True).notes == ()
    assert "not shown" in rank(board_spec(column("a", 0, hidden=True)), []).notes[-1]


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (
            "fast",
            "best",
            "best (rank 1) is above fast (rank 2) because Acc decides: 0.9 > 0.5 by 0.4, larger is better.",
        ),
        (
            "fast",
            "slow",
            "fast (rank 2) is above slow (rank 3) because both have 0.5 in Acc, and "
            "Time decides: 1.0 < 2.0 by 1, smaller is better.",
        ),
        (
            "slow",
            "late",
            "slow (rank 3) is above late (rank 4) because both have 0.5 in Acc, and slow was submitted earlier: "
            "2026-03-01 12:00:00 UTC before 2026-03-01 12:05:00 UTC.",
        ),
        (
            "late",
            "part",
            "late (rank 4) is above part (rank 5) because late has a result for every task and part has not.",
        ),
        ("part", "none", "part (rank 5) is above none (rank 6) because none has no value in Acc."),
        ("best", "best", "best is one submission, on rank 1."),
    ],
)
def test_explain(a, b, sentence):
    board = rank(
        TWO,
        [
            entry("best", {"acc": 0.9}),
            entry("fast", {"acc": 0.5, "time": 1}),
            entry("slow", {"acc": 0.5, "time": 2}),
            entry("late", {"acc": 0.5, "time": 2}, minute=5),
            entry("part", tasks={0: {"acc": 1}}, expected=(0, 1)),
            entry("none", {}),
        ],
    )
    assert board.explain(a, b) == sentence
    assert board.explain(b, a) == sentence


def test_explain_shows_no_control_characters():
    board = rank(TWO, [entry("a\x1b[2J", {"acc": 1}), entry("b\u202e", {"acc": 2})])
    assert board.explain("a\x1b[2J", "b\u202e").isprintable()


def test_a_submission_that_is_not_on_the_board_is_named():
    board = rank(TWO, [entry("baseline", {"acc": 1})])
    with pytest.raises(NotFound, match="baselin") as caught:
        board.explain("baselin", "baseline")
    assert caught.value.hint == "did you mean baseline?"


def test_one_submission_twice_is_refused():
    with pytest.raises(UsageError, match="given twice"):
        rank(TWO, [entry("a", {"acc": 1}), entry("a", {"acc": 2})])


def test_values_that_are_no_finite_numbers_are_refused():
    with pytest.raises(ValidationError):
        entry("a", {"acc": float("nan")})


def test_times_without_zone_are_utc_and_others_are_converted():
    naive = Entry(submission="a", participant="p", created_at=datetime(2026, 3, 1, 12))
    east = Entry(submission="b", participant="p", created_at=NOON.astimezone(timezone(timedelta(hours=5))))
    assert naive.created_at == east.created_at == NOON
    assert east.created_at.utcoffset() == timedelta(0)


def test_records_are_flat_and_no_column_hides_another():
    spec = board_spec(column("rank", 0), column("acc", 1), column("secret", 2, hidden=True))
    board = rank(spec, [entry("a", tasks={"t": {"rank": 3, "acc": 4, "secret": 5}}, who="Ann")])
    assert board.records() == [
        {
            "rank": 1,
            "submission": "a",
            "participant": "Ann",
            "created_at": NOON,
            "score.rank": 3,
            "acc": 4,
            "incomplete": False,
        }
    ]
    assert board.records(per_task=True)[0]["t.acc"] == 4


# ---------------------------------------------------------------- properties
VALUES = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 0.3, 0.1 + 0.2, 1.0, 1e-12]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCORES = st.fixed_dictionaries({"acc": VALUES, "time": VALUES}).map(
    lambda d: {k: v for k, v in d.items() if v is not None}
)
SPECS = st.builds(
    lambda s1, s2, hidden, primary: board_spec(
        column("acc", 0, sorting=s1), column("time", 1, sorting=s2, hidden=hidden), primary_index=primary
    ),
    st.sampled_from(["asc", "desc"]),
    st.sampled_from(["asc", "desc"]),
    st.booleans(),
    st.integers(0, 1),
)


@st.composite
def entry_lists(draw):
    expected = tuple(range(draw(st.integers(1, 3))))
    count = draw(st.integers(0, 8))
    return [
        entry(
            f"s{n}",
            tasks=draw(st.dictionaries(st.sampled_from(expected), SCORES)),
            expected=expected,
            minute=draw(st.integers(0, 2)),
            sequence=draw(st.integers(0, 2)),
        )
        for n in range(count)
    ]


@given(SPECS, entry_lists(), st.randoms())
def test_the_order_in_which_entries_come_does_not_matter(spec, entries, random):
    shuffled = random.sample(entries, len(entries))
    assert rank(spec, entries) == rank(spec, shuffled)


@given(SPECS, entry_lists())
def test_missing_is_last_and_complete_comes_before_incomplete(spec, entries):
    board = rank(spec, entries)
    places = [(r.scores[spec.primary.key] is None, r.incomplete) for r in board.rows]
    assert places == sorted(places)


@given(SPECS, entry_lists(), st.integers(0, 7))
def test_a_submission_more_or_less_swaps_no_two_others(spec, entries, gone):
    with_it = names(rank(spec, entries))
    without = names(rank(spec, [e for e in entries if e.submission != f"s{gone}"]))
    assert [n for n in with_it if n != f"s{gone}"] == without


@given(SPECS, entry_lists())
def test_adding_the_worst_changes_no_row_above_it(spec, entries):
    board = rank(spec, entries)
    longer = rank(spec, [*entries, entry("zzz", tasks={}, expected=(0,), minute=99)])
    assert names(longer) == [*names(board), "zzz"]
    assert [r.tie_break for r in longer.rows[:-1]] == [r.tie_break for r in board.rows]


@given(SPECS, entry_lists())
def test_every_pair_has_a_reason(spec, entries):
    board = rank(spec, entries)
    for a in board.rows:
        for b in board.rows[a.rank :]:
            assert board.explain(b.submission, a.submission).startswith(f"{a.submission} (rank {a.rank}) is above")


# ---------------------------------------------------------------- ranked by something else
def test_average_rank():
    tasks = {
        "a": {1: {"acc": 0.9, "time": 1}, 2: {"acc": 0.1}},  # 1st and 3rd
        "b": {1: {"acc": 0.5}, 2: {"acc": 0.8}},  # 2nd and 2nd
        "c": {1: {"acc": 0.1}, 2: {"acc": 0.9}},  # 3rd and 1st
        "d": {1: {"acc": 0.05}, 2: {"acc": 0.05}},
    }
    board = rank(TWO, [entry(n, tasks=t, expected=(1, 2)) for n, t in tasks.items()], aggregation="average_rank")
    assert {r.submission: r.scores["average_rank"] for r in board.rows} == {"a": 2, "b": 2, "c": 2, "d": 4}
    assert names(board) == ["b", "a", "c", "d"], "equal ranks: the mean of acc decides"
    assert [r.tie_break for r in board.rows] == [None, "Acc", "Time", None]
    assert board.rows[0].scores["acc"] == pytest.approx(0.65)
    assert [c.key for c in board.columns] == ["average_rank", "acc", "time"]
    assert "ranked by the mean of the places in 2 tasks, equal values share a place" in board.notes


def test_average_rank_of_equal_and_missing_values():
    tasks = {"a": {1: {"acc": 1}, 2: {}}, "b": {1: {"acc": 1}, 2: {"acc": 1}}, "c": {1: {}, 2: {}}}
    board = rank(TWO, [entry(n, tasks=t, expected=(1, 2)) for n, t in tasks.items()], aggregation="average_rank")
    # Task 1: a and b share places 1 and 2. Task 2: b is first, a and c share the last two.
    assert {r.submission: r.scores["average_rank"] for r in board.rows} == {"b": 1.25, "a": 2.0, "c": None}
    assert names(board) == ["b", "a", "c"]


def test_a_ranking_of_ones_own():
    def balance(row):
        return row.scores["acc"] - 0.1 * row.scores["time"] if row.scores["acc"] is not None else None

    entries = [entry("a", {"acc": 1, "time": 9}), entry("b", {"acc": 0.5, "time": 1}), entry("c", {})]
    board = rank(TWO, entries, ranking=balance)
    assert names(board) == ["b", "a", "c"]
    assert [r.scores["balance"] for r in board.rows] == [pytest.approx(0.4), pytest.approx(0.1), None]
    assert board.leaderboard.primary.title == "balance"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", 10**400, [1]])
def test_a_ranking_that_gives_no_number(value):
    with pytest.raises(UsageError, match=r"the ranking function gives .* for a") as caught:
        rank(TWO, [entry("a", {"acc": 1})], ranking=lambda row: value)
    assert caught.value.code == "CB376"


def test_a_thousand_columns():
    columns = [column(f"c{n}", n, sorting="asc" if n % 2 else "desc") for n in range(1000)]
    total = column("sum", 1000, computation="sum", computation_indexes=tuple(range(1000)))
    scores = {f"c{n}": 1e308 * (-1) ** (n // 2) for n in range(1000)}
    last = {**scores, "c999": 5.0}
    board = rank(board_spec(*columns, total), [entry("a", scores), entry("b", last), entry("c", {"other": 1})])
    assert [r.rank for r in board.rows] == [1, 2, 3]
    assert names(board)[-1] == "c"
