"""Boards as text and as HTML."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.leaderboard import Entry, board_html, board_text, rank

SPEC = LeaderboardSpec(
    key="b",
    title="Iris",
    columns=(
        ColumnSpec(key="acc", title="Accuracy", index=0, precision=3),
        ColumnSpec(key="sec", title="Seconds", index=1, sorting="asc", precision=1),
        ColumnSpec(key="note", title="Hidden", index=2, hidden=True),
    ),
)


def entry(name, scores, who="you", day=1, **more):
    return Entry(
        submission=name, participant=who, created_at=datetime(2026, 3, day, tzinfo=UTC), tasks={0: scores}, **more
    )


BOARD = rank(
    SPEC,
    [
        entry("forest", {"acc": 0.9, "sec": 12.34, "note": 41.5}),
        entry("nearest", {"acc": 0.95, "sec": 2}),
        entry("tree", {"acc": 0.9, "sec": 12.34}, day=2),
        entry("half", {"acc": 0.99}, expected_tasks=(0, 1)),
    ],
)


def test_text():
    assert board_text(BOARD).splitlines() == [
        "Iris",
        "#  Submission  Accuracy ▲  Seconds ▼   Submitted (UTC)",
        "─  ──────────  ──────────  ─────────  ────────────────",
        "1  nearest          0.950        2.0  2026-03-01 00:00",
        "2  forest           0.900       12.3  2026-03-01 00:00",
        "3  tree             0.900       12.3  2026-03-02 00:00 =",
        "4  half             0.990        n/a  2026-03-01 00:00 *",
        "ranked by Accuracy, larger is better",
        "= ties with the row above, decided by earlier submission",
        "* incomplete",
        "submission rule Add not applied: every finished submission is listed",
        "1 submission without a result for every task, ranked after the complete ones",
    ]


def test_text_of_an_empty_board_and_of_the_first_rows():
    assert "ranked by Accuracy" in board_text(rank(SPEC, []))
    text = board_text(BOARD, limit=1)
    assert "nearest" in text
    assert "forest" not in text
    assert "… 3 more rows" in text


def wide_board(primary=0):
    columns = tuple(ColumnSpec(key=f"k{n}", title=f"Column {n}", index=n) for n in range(12))
    spec = LeaderboardSpec(key="w", title="Wide", columns=columns, primary_index=primary)
    return rank(spec, [entry("a very long name of a submission indeed", {f"k{n}": n for n in range(12)})])


@pytest.mark.parametrize("width", [200, 120, 100, 80, 60, 40])
@pytest.mark.parametrize("primary", [0, 11])
def test_text_fits_the_terminal_and_keeps_the_primary_column(width, primary):
    lines = board_text(wide_board(primary), width).splitlines()
    assert max(map(len, lines)) <= width
    assert f"Column {primary} ▲" in lines[1]
    shown = lines[1].count("▲")
    assert shown == 12 or f"{12 - shown} columns left out" in "\n".join(lines)


def test_participants_are_shown_when_there_are_several():
    assert "Participant" not in board_text(BOARD)
    two = rank(SPEC, [entry("x", {"acc": 1}, who="ann"), entry("y", {"acc": 2}, who="bob")])
    assert "Participant" in board_text(two)
    assert "<td>bob" in board_html(two)


def test_wide_characters_stay_aligned():
    lines = board_text(rank(SPEC, [entry("森林", {"acc": 1}), entry("tree", {"acc": 2})])).splitlines()
    assert lines[4].startswith("2  森林             1.000")


def test_control_characters_never_reach_the_terminal():
    text = board_text(rank(SPEC, [entry("a\x1b[31m\nred\u202e", {"acc": 1})]))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == len(board_text(rank(SPEC, [entry("a", {"acc": 1})])).splitlines())


ALLOWED_TAGS = {"div", "style", "table", "caption", "thead", "tbody", "tr", "th", "td", "i", "p", "small", "b"}


class Balance(HTMLParser):
    """Collects tags and refuses tags that do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text):
    parser = Balance()
    parser.feed(text)
    assert not parser.open
    return parser.seen


def test_html():
    text = board_html(BOARD)
    assert parsed(text)
    assert len(text.encode()) < 20_000
    assert "prefers-color-scheme:dark" in text
    assert "<b>2.0</b>" in text
    assert text.count("<b>") == 2
    assert 'title="12.34">12.3' in text
    assert '<td class="n m">n/a' in text
    assert "tie: earlier submission" in text
    assert "submission rule Add not applied" in text
    assert "41.5" not in text
    assert not re.search(r"<script|https?:|url\(", text)


def test_a_single_value_is_not_called_the_best():
    assert "<b>" not in board_html(rank(SPEC, [entry("only", {"acc": 1})]))


def with_facts(board, headings, *facts):
    """The board with what is known of its first rows."""
    rows = [r.model_copy(update={"facts": f}) for r, f in zip(board.rows, facts, strict=False)]
    return board.model_copy(update={"facts": headings, "rows": (*rows, *board.rows[len(rows) :])})


def test_facts_stand_beside_scores():
    board = with_facts(BOARD, {"net": "Network", "open": "Open?"}, {"net": "wide", "open": True}, {"open": False})
    assert board_text(board).splitlines()[1:5] == [
        "#  Submission  Accuracy ▲  Seconds ▼  Network  Open?   Submitted (UTC)",
        "─  ──────────  ──────────  ─────────  ───────  ─────  ────────────────",
        "1  nearest          0.950        2.0  wide     yes    2026-03-01 00:00",
        "2  forest           0.900       12.3           no     2026-03-01 00:00",
    ]
    narrow = board_text(board, 48)
    assert "Network" in narrow
    assert "Open?" not in narrow
    assert "1 column left out" in narrow
    shown = board_html(board)
    assert "<td>wide</td><td>yes</td>" in shown
    many = {f"k{n}": f"Fact {n}" for n in range(9)}
    assert "3 columns not shown" in board_html(with_facts(BOARD, many))


def test_html_stays_small():
    many = [entry(f"submission number {n}", {"acc": n / 7, "sec": n / 3}) for n in range(1000)]
    text = board_html(rank(SPEC, many))
    assert len(text.encode()) < 20_000
    assert "950 more rows not shown" in text
    board = with_facts(rank(SPEC, many), {f"k{n}": "<&" * 50 for n in range(9)})
    worst = board_html(board.model_copy(update={"notes": ("<&\"'" * 200,) * 40}))
    assert len(worst.encode()) < 20_000
    assert worst.count("<tr>") > 2


@pytest.mark.parametrize(
    "attack", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\u202eb", "</style><b>"]
)
def test_html_escapes_every_text(attack):
    spec = SPEC.model_copy(
        update={"title": attack, "columns": (ColumnSpec(key=attack, title=attack, index=0, sorting="asc"),)}
    )
    entries = [entry(attack, {attack: 1.0}, who=attack), entry("b", {attack: 1.0}, who="b", day=2)]
    board = with_facts(rank(spec, entries), {attack: attack}, {attack: attack})
    text = board_html(board)
    assert attack not in text
    assert "\u202e" not in text
    assert {tag for tag, _ in parsed(text)} <= ALLOWED_TAGS
    assert not any(name.startswith("on") for _, attrs in parsed(text) for name in attrs)
