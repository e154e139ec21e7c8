"""A board as text for a terminal and as HTML for a notebook or a page."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence

from codabench.core.competition import ColumnSpec, Sorting
from codabench.core.text import cut, plural, printable, text_width
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.values import comparable, display

_GLYPH = {Sorting.DESC: "▲", Sorting.ASC: "▼"}
_NAME_MIN, _NAME_MAX = 12, 64


def board_text(board: Board, width: int = 100, *, limit: int | None = None) -> str:
    """The board as a table of at most `width` columns of a terminal.

    Names are shortened first, then columns other than the primary one are left out from the right, and a line says how
    many. What still does not fit is not cut.

    Parameters
    ----------
    limit
        Show only that many rows.
    """
    rows = board.rows[:limit]
    people = _several_people(board)
    left = [["#", *(f"{r.rank}" for r in rows)], ["Submission", *(_name(r.submission) for r in rows)]]
    if people:
        left.append(["Participant", *(_name(r.participant) for r in rows)])
    right = [[_heading(c), *(display(r.scores.get(c.key), c.precision) for r in rows)] for c in board.columns]
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
    if not hidden and _total([*left, *right, dates]) <= width:
        right.append(dates)
    table = left + right
    lines = [_line(table, n, names) for n in range(len(rows) + 1)]
    lines.insert(1, "  ".join("─" * _cells(c) for c in table))
    lines = [_mark(line, row) for line, row in zip(lines, [None, None, *rows], strict=True)]
    more = [f"… {plural(len(board) - len(rows), 'more row')}"] if len(board) > len(rows) else []
    more += [f"{plural(hidden, 'column')} left out: the terminal is too narrow"] if hidden else []
    below = [textwrap.fill(note, max(width, 40), subsequent_indent="  ") for note in (*more, *_footnotes(board))]
    return "\n".join([printable(board.leaderboard.title), *lines, *below])


def board_html(board: Board, *, limit: int = 50) -> str:
    """The board as a static, self-contained table: scoped styles, light and dark, no script. All text is escaped."""
    people = _several_people(board)
    best = {c.key: _best(board, c) for c in board.columns}
    primary = board.leaderboard.primary_index
    heads = ['<th class="n">#', '<th scope="col">Submission', *(['<th scope="col">Participant'] if people else [])]
    for c in board.columns:
        mark = ' class="n p"' if c.index == primary else ' class="n"'
        heads.append(f'<th scope="col"{mark} title="{_better(c)}">{_escape(c.title)} <i>{_GLYPH[c.sorting]}</i>')
    heads.append('<th scope="col">Submitted (UTC)')
    body = []
    for row in board.rows[:limit]:
        cells = [f'<td class="n">{row.rank}', f"<td>{_escape(_name(row.submission))}{_flags(row)}"]
        cells += [f"<td>{_escape(_name(row.participant))}"] if people else []
        cells += [_cell(c, row.scores.get(c.key), best[c.key]) for c in board.columns]
        cells.append(f"<td>{row.created_at:%Y-%m-%d %H:%M}")
        body.append("<tr>" + "".join(f"{c}</td>" for c in cells) + "</tr>")
    notes = _footnotes(board)
    if len(board) > limit:
        notes.insert(0, f"{plural(len(board) - limit, 'more row')} not shown")
    return (
        f'<div class="cb-board">{_STYLE}<table><caption>{_escape(board.leaderboard.title)}</caption><thead><tr>'
        + "".join(f"{h}</th>" for h in heads)
        + f"</tr></thead><tbody>{''.join(body)}</tbody></table>"
        + "".join(f"<p>{_escape(n)}</p>" for n in notes)
        + "</div>"
    )


_STYLE = """<style>
.cb-board{--ink:#1a1f26;--dim:#5b6470;--line:#d5dae1;--tint:#f3f6fa;
color:var(--ink);overflow-x:auto;font:14px/1.45 system-ui,sans-serif}
@media(prefers-color-scheme:dark){.cb-board{--ink:#e6e9ee;--dim:#9aa4b2;--line:#3a414c;--tint:#20262f}}
.cb-board table{border-collapse:collapse;margin:.3em 0}
.cb-board caption{text-align:left;font-weight:600;padding:.2em .6em}
.cb-board th,.cb-board td{padding:.25em .7em;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
.cb-board th{color:var(--dim);font-weight:500}.cb-board th.p{color:var(--ink);font-weight:700}
.cb-board i{font-style:normal;font-size:.75em}
.cb-board .n{text-align:right;font-variant-numeric:tabular-nums}
.cb-board .m,.cb-board p,.cb-board small{color:var(--dim)}
.cb-board tbody tr:nth-child(odd){background:var(--tint)}
.cb-board p{margin:.1em .6em;font-size:.85em}
</style>"""


def _cell(column: ColumnSpec, value: float | None, best: float | None) -> str:
    text = display(value, column.precision)
    if value is None:
        return f'<td class="n m">{text}'
    exact = "" if float(text) == value else f' title="{value!r}"'
    return f'<td class="n"{exact}>' + (f"<b>{text}</b>" if comparable(value) == best else text)


def _flags(row: Row) -> str:
    words = ["incomplete"] if row.incomplete else []
    if row.tie_break:
        words.append(f"tie: {row.tie_break}")
    if not row.isolated:
        words.append("not isolated")
    return f" <small>{_escape(', '.join(words))}</small>" if words else ""


def _mark(line: str, row: Row | None) -> str:
    marks = (("=", row.tie_break), ("*", row.incomplete), ("°", not row.isolated)) if row else ()
    flags = "".join(mark for mark, holds in marks if holds)
    return f"{line.rstrip()} {flags}".rstrip() if flags else line.rstrip()


def _footnotes(board: Board) -> list[str]:
    """What is said below the table: what ranks, ties, missing tasks, the notes of the board."""
    primary = board.leaderboard.primary
    notes = [] if primary.hidden else [f"ranked by {printable(primary.title)}, {_better(primary)}"]
    ties = [r for r in board.rows if r.tie_break]
    if ties:
        rules = ", then ".join(dict.fromkeys(printable(r.tie_break or "") for r in ties))
        notes.append(f"= ties with the row above, decided by {rules}")
    if any(r.incomplete for r in board.rows):
        notes.append("* incomplete")
    if any(not r.isolated for r in board.rows):
        notes.append("° not isolated: functions of the caller were called in its own process")
    return [*notes, *(printable(n) for n in board.notes)]


def _best(board: Board, column: ColumnSpec) -> float | None:
    values = [comparable(v) for r in board.rows if (v := r.scores.get(column.key)) is not None]
    if len(values) < 2:
        return None
    return max(values) if column.sorting is Sorting.DESC else min(values)


def _better(column: ColumnSpec) -> str:
    return "larger is better" if column.sorting is Sorting.DESC else "smaller is better"


def _heading(column: ColumnSpec) -> str:
    return f"{printable(column.title)} {_GLYPH[column.sorting]}"


def _several_people(board: Board) -> bool:
    """Whether a column for participants tells more than the one for submissions."""
    several = len({r.participant for r in board.rows}) > 1
    return several and any(r.participant != r.submission for r in board.rows)


def _name(text: str) -> str:
    return cut(printable(text).replace("\n", " "), _NAME_MAX)


def _escape(text: str) -> str:
    return html.escape(printable(text))


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


def _line(table: Sequence[Sequence[str]], n: int, names: range) -> str:
    cells = []
    for place, column in enumerate(table):
        pad = " " * (_cells(column) - text_width(column[n]))
        cells.append(column[n] + pad if place in names else pad + column[n])
    return "  ".join(cells)
