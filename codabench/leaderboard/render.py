"""A board as text for a terminal, and what is said below it wherever it is shown."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

from codabench.core.competition import ColumnSpec, Sorting
from codabench.core.text import cut, plural, printable, text_width
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.values import display, plain

GLYPH = {Sorting.DESC: "▲", Sorting.ASC: "▼"}
_NAME_MIN, _NAME_MAX = 12, 64


def board_text(board: Board, width: int = 100, *, limit: int | None = None) -> str:
    """The board as a table of at most `width` columns of a terminal.

    Names are shortened first, then columns other than the primary one are left out from the right, facts before scores,
    and a line says how many. What still does not fit is not cut.

    Parameters
    ----------
    limit
        Show only that many rows.
    """
    rows = board.rows[:limit]
    people = several_people(board)
    left = [["#", *(f"{r.rank}" for r in rows)], ["Submission", *(name(r.submission) for r in rows)]]
    if people:
        left.append(["Participant", *(name(r.participant) for r in rows)])
    right = [[_heading(c), *(display(r.scores.get(c.key), c.precision) for r in rows)] for c in board.columns]
    facts = [[name(title), *(name(plain(r.facts.get(key))) for r in rows)] for key, title in board.facts.items()]
    dates = ["Submitted (UTC)", *(f"{r.created_at:%Y-%m-%d %H:%M}" for r in rows)]
    names = range(1, len(left))
    _shorten(left, names, width - sum(_cells(c) + 2 for c in right))
    hidden = 0
    spare = [
        column for column, c in zip(right, board.columns, strict=True) if c.index != board.leaderboard.primary_index
    ]
    while spare and len(right) > 1 and _total(left + right) > width:
        right.remove(spare.pop())
        hidden += 1
    table, texts = left + right, {*names}
    for column in facts:
        if not hidden and _total([*table, column]) <= width:
            texts.add(len(table))
            table.append(column)
        else:
            hidden += 1
    if not hidden and _total([*table, dates]) <= width:
        table.append(dates)
    lines = [_line(table, n, texts) for n in range(len(rows) + 1)]
    lines.insert(1, "  ".join("─" * _cells(c) for c in table))
    lines = [_mark(line, row) for line, row in zip(lines, [None, None, *rows], strict=True)]
    more = [f"… {plural(len(board) - len(rows), 'more row')}"] if len(board) > len(rows) else []
    more += [f"{plural(hidden, 'column')} left out: the terminal is too narrow"] if hidden else []
    below = [textwrap.fill(note, max(width, 40), subsequent_indent="  ") for note in (*more, *footnotes(board))]
    return "\n".join([printable(board.leaderboard.title), *lines, *below])


def _mark(line: str, row: Row | None) -> str:
    marks = (("=", row.tie_break), ("*", row.incomplete), ("°", not row.isolated)) if row else ()
    flags = "".join(mark for mark, holds in marks if holds)
    return f"{line.rstrip()} {flags}".rstrip() if flags else line.rstrip()


def footnotes(board: Board) -> list[str]:
    """What is said below the table: what ranks, ties, missing tasks, the notes of the board."""
    primary = board.leaderboard.primary
    notes = [] if primary.hidden else [f"ranked by {printable(primary.title)}, {better(primary)}"]
    ties = [r for r in board.rows if r.tie_break]
    if ties:
        rules = ", then ".join(dict.fromkeys(printable(r.tie_break or "") for r in ties))
        notes.append(f"= ties with the row above, decided by {rules}")
    if any(r.incomplete for r in board.rows):
        notes.append("* incomplete")
    if any(not r.isolated for r in board.rows):
        notes.append("° not isolated: functions of the caller were called in its own process")
    return [*notes, *(printable(n) for n in board.notes)]


def better(column: ColumnSpec) -> str:
    return "larger is better" if column.sorting is Sorting.DESC else "smaller is better"


def _heading(column: ColumnSpec) -> str:
    return f"{printable(column.title)} {GLYPH[column.sorting]}"


def several_people(board: Board) -> bool:
    """Whether a column for participants tells more than the one for submissions."""
    several = len({r.participant for r in board.rows}) > 1
    return several and any(r.participant != r.submission for r in board.rows)


def name(text: str) -> str:
    return cut(printable(text).replace("\n", " "), _NAME_MAX)


# ---------------------------------------------------------------- columns of a terminal
def _cells(column: Sequence[str]) -> int:
    return max(map(text_width, column))


def _total(table: Sequence[Sequence[str]]) -> int:
    # Two for the marks of ties and missing tasks behind the last column.
    return sum(_cells(c) + 2 for c in table) + 1


def _shorten(left: list[list[str]], names: range, room: int) -> None:
    """Cut the columns `names` of `left`, the widest first, until they fit into `room` or are as short as may be."""
    while (over := _total(left) - room) > 0:
        widest = max(names, key=lambda n: _cells(left[n]))
        target = max(_NAME_MIN, _cells(left[widest]) - over)
        if target == _cells(left[widest]) or _cells(left[widest]) <= _NAME_MIN:
            return
        left[widest] = [cut(text, target) for text in left[widest]]


def _line(table: Sequence[Sequence[str]], n: int, texts: Collection[int]) -> str:
    cells = []
    for place, column in enumerate(table):
        pad = " " * (_cells(column) - text_width(column[n]))
        cells.append(column[n] + pad if place in texts else pad + column[n])
    return "  ".join(cells)
