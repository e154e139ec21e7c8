"""A board as HTML for a notebook or a page."""

from __future__ import annotations

from codabench.core import markup
from codabench.core.competition import ColumnSpec, Sorting
from codabench.core.text import plural
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.render import GLYPH, better, footnotes, name, several_people
from codabench.leaderboard.values import comparable, display, plain

_MOST_COLUMNS = 20
_MOST_FACTS = 6
_MOST_NOTES = 4_000
"""Bytes of the notes."""

_MARGIN = 200
"""Bytes for the end of the table, and for how much was left out."""


def board_html(board: Board, *, limit: int = 50) -> str:
    """The board as a static, self-contained table: scoped styles, light and dark, no script. All text is escaped.

    Parameters
    ----------
    limit
        Show at most that many rows; also no more than fit into `codabench.core.markup.LIMIT`.
    """
    columns = _columns(board)
    best = {c.key: _best(board, c) for c in columns}
    people = several_people(board)
    primary = board.leaderboard.primary_index
    heads = ['<th class="n">#', '<th scope="col">Submission', *(['<th scope="col">Participant'] if people else [])]
    for c in columns:
        mark = ' class="n p"' if c.index == primary else ' class="n"'
        title = markup.escape(markup.one_line(c.title))
        heads.append(f'<th scope="col"{mark} title="{better(c)}">{title} <i>{GLYPH[c.sorting]}</i>')
    facts = list(board.facts)[:_MOST_FACTS]
    heads += [f'<th scope="col">{markup.escape(markup.one_line(board.facts[key]))}' for key in facts]
    heads.append('<th scope="col">Submitted (UTC)')
    rows = [_row(row, columns, best, facts, people=people) for row in board.rows[:limit]]
    notes = footnotes(board)
    left = len(board.columns) - len(columns) + len(board.facts) - len(facts)
    if left:
        notes.insert(0, f"{plural(left, 'column')} not shown")
    if len(board) > limit:
        notes.insert(0, f"{plural(len(board) - limit, 'more row')} not shown")
    title = markup.escape(markup.one_line(board.leaderboard.title))
    head = f"<table><caption>{title}</caption><thead><tr>{''.join(f'{h}</th>' for h in heads)}</tr></thead>"
    below = markup.fitting([markup.note(markup.one_line(n, 300)) for n in notes], "note", limit=_MOST_NOTES)
    room = markup.LIMIT - len(markup.block("board", head, below).encode()) - _MARGIN
    body = markup.fitting(rows, "row", wrap=f'<tr><td class="m" colspan={len(heads)}>', limit=room)
    return markup.block("board", head, f"<tbody>{body}</tbody></table>", below)


def _columns(board: Board) -> list[ColumnSpec]:
    """As many as can be read, the one that ranks among them."""
    primary = board.leaderboard.primary_index
    others = [c for c in board.columns if c.index != primary]
    taken = {c.index for c in others[: _MOST_COLUMNS - 1]} | {primary}
    return [c for c in board.columns if c.index in taken]


def _row(row: Row, columns: list[ColumnSpec], best: dict[str, float | None], facts: list[str], *, people: bool) -> str:
    cells = [f'<td class="n">{row.rank}', f"<td>{markup.escape(name(row.submission))}{_flags(row)}"]
    cells += [f"<td>{markup.escape(name(row.participant))}"] if people else []
    cells += [_cell(c, row.scores.get(c.key), best[c.key]) for c in columns]
    cells += [f"<td>{markup.escape(name(plain(row.facts.get(key))))}" for key in facts]
    cells.append(f"<td>{row.created_at:%Y-%m-%d %H:%M}")
    return "<tr>" + "".join(f"{c}</td>" for c in cells) + "</tr>"


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
    return f" <small>{markup.escape(', '.join(words))}</small>" if words else ""


def _best(board: Board, column: ColumnSpec) -> float | None:
    values = [comparable(v) for r in board.rows if (v := r.scores.get(column.key)) is not None]
    if len(values) < 2:
        return None
    return max(values) if column.sorting is Sorting.DESC else min(values)
