"""Tables of text that fit where they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from codabench.core.text import cut, printable, text_width

_NARROWEST = 12


def grid(
    heads: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: str = "",
    elastic: str = "",
    width: int | None = None,
) -> str:
    """A table of text.

    Parameters
    ----------
    right
        The heads of columns of numbers, separated by commas.
    elastic
        The heads of columns that are cut, the widest first, until the table fits.
    width
        Columns of the terminal; None: nothing is cut.
    """
    columns = [[head, *(_one_line(row[n]) for row in rows)] for n, head in enumerate(heads)]
    # A column that says nothing is left out, unless it is the first.
    columns = [c for n, c in enumerate(columns) if n == 0 or not rows or any(c[1:])]
    _fit(columns, set(elastic.split(",")), width)
    widths = [max(map(text_width, column)) for column in columns]
    columns = [[column[0], "─" * wide, *column[1:]] for column, wide in zip(columns, widths, strict=True)]
    numbers = set(right.split(","))
    lines = []
    for n in range(len(columns[0])):
        cells = []
        for column, wide in zip(columns, widths, strict=True):
            pad = " " * (wide - text_width(column[n]))
            cells.append(pad + column[n] if column[0] in numbers else column[n] + pad)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _one_line(value: object) -> str:
    return " ".join(printable("" if value is None else str(value)).split("\n"))


def _fit(columns: list[list[str]], elastic: set[str], width: int | None) -> None:
    """Cut elastic columns, the widest first, until all is in `width` or nothing can be cut."""
    if width is None:
        return
    while (over := sum(max(map(text_width, c)) + 2 for c in columns) - 2 - width) > 0:
        widths = {n: max(map(text_width, c)) for n, c in enumerate(columns) if c[0] in elastic}
        widest = max(widths, key=lambda n: widths[n], default=None)
        if widest is None or widths[widest] <= _NARROWEST:
            return
        columns[widest][1:] = [cut(text, max(_NARROWEST, widths[widest] - over)) for text in columns[widest][1:]]
