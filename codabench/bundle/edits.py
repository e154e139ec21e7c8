"""Edits of YAML text that leave everything else as it is: comments, quotes, indentation, line ends, byte order mark."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from datetime import datetime, time

from codabench.bundle.nodes import NEWLINE, Mapping, Node, Scalar, Source
from codabench.core.problems import Edit, Fix

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./ :+-]*(?<![ :])")
_HARD = re.compile(r"""['"\\]|[^ -~]""")
"""What quotes of one kind or the other would need an escape for."""
_INDENT = re.compile(r"[ -]*")


def mending(description: str, *edits: Edit | None, safe: bool = True) -> Fix | None:
    """A fix of these edits; None if one of them cannot be made."""
    made = tuple(dict.fromkeys(edit for edit in edits if edit))
    return Fix(description=description, safe=safe, edits=made) if made and None not in edits else None


def written_date(moment: datetime) -> str:
    """A moment in UTC as every reader takes it, once it is in quotes: the day alone at midnight."""
    return moment.date().isoformat() if moment.time() == time() else moment.replace(tzinfo=None).isoformat(" ")


# ---------------------------------------------------------------------- one edit
def raw(source: Source, node: Node) -> str | None:
    """What stands at a node, quotes included; None if it runs over several lines."""
    if node.line != node.end_line or node.line > len(source.lines):
        return None
    return source.lines[node.line - 1][node.column - 1 : node.end_column - 1]


def replaced(source: Source, node: Node, text: str, *, quoted: bool = False) -> Edit | None:
    """A scalar with another text, in the quotes it had; in quotes anyway where `text` is taken for something else.

    None where more than its text stands at its place: an anchor, a tag, several lines.
    """
    written = raw(source, node)
    if not isinstance(node, Scalar) or not written or _HARD.search(text):
        return None
    quote = written[0] if written[0] in "'\"" else ""
    if not quote:
        if written != node.text:
            return None
        if quoted or not _PLAIN.fullmatch(text) or ": " in text:
            quote = '"'
    return _edit(source, node, f"{quote}{text}{quote}")


def dated(source: Source, node: Node, moment: datetime) -> Edit | None:
    """A date written so that every reader takes it for this moment in UTC."""
    text = written_date(moment)
    return replaced(source, node, text, quoted=" " in text)


def renamed(source: Source, key: Node, name: str) -> Edit | None:
    """A key with another name."""
    return replaced(source, key, name)


def unquoted(source: Source, node: Node, text: str) -> Edit | None:
    """A scalar as a plain one, for numbers and flags."""
    written = raw(source, node)
    if not isinstance(node, Scalar) or not written or (written[0] not in "'\"" and written != node.text):
        return None
    return _edit(source, node, text)


def added(source: Source, mapping: Mapping, before: Node | None, key: str, value: str) -> Edit | None:
    """A key with a value, before another key of the mapping.

    None where that key does not begin its line in a plain way.
    """
    if (
        before is None
        or not isinstance(before, Scalar)
        or raw(source, before) not in (before.text, *_both(before.text))
    ):
        return None
    head = source.lines[before.line - 1][: before.column - 1]
    opening = source.lines[mapping.line - 1][mapping.column - 1 : mapping.column]
    if opening == "{":
        return _insertion(source, before.line, before.column, f"{key}: {value}, ")
    if opening in "&!" or not _INDENT.fullmatch(head):
        return None
    return _insertion(source, before.line, before.column, f"{key}: {value}\n{' ' * len(head)}")


def listed(source: Source, mapping: Mapping) -> list[Edit | None]:
    """A mapping as the only item of a list."""
    first = min((key for key, _ in mapping.entries.values()), key=lambda n: (n.line, n.column), default=None)
    begins = (mapping.line, mapping.column)
    opening = source.lines[mapping.line - 1][mapping.column - 1 : mapping.column]
    if opening == "{":
        return [_insertion(source, *begins, "["), _insertion(source, mapping.end_line, mapping.end_column, "]")]
    head = source.lines[mapping.line - 1][: mapping.column - 1]
    if first is None or (first.line, first.column) != begins or head.strip(" "):
        return [None]
    lines = range(mapping.line, mapping.end_line + (mapping.end_column > 1))
    return [
        _insertion(source, n, mapping.column if n == mapping.line else 1, "- " if n == mapping.line else "  ")
        for n in lines
        if source.lines[n - 1].strip()
    ]


def without(source: Source, key: Node, node: Node) -> Edit | None:
    """A key and its value taken out, where they have their lines for themselves."""
    head = source.lines[key.line - 1][: key.column - 1]
    last = node.end_line - (node.end_column == 1 and node.end_line > key.line)
    if head.strip(" ") or node.line < key.line or last >= len(source.lines):
        return None
    rest = source.lines[last - 1][node.end_column - 1 :] if last == node.end_line else ""
    if rest.strip() and not rest.lstrip().startswith("#"):
        return None
    return Edit(file=source.file, line=key.line, column=1, end_line=last + 1, end_column=1, text="")


def _both(text: str) -> tuple[str, str]:
    return f'"{text}"', f"'{text}'"


def _edit(source: Source, node: Node, text: str) -> Edit:
    place = {"line": node.line, "column": node.column, "end_line": node.end_line, "end_column": node.end_column}
    return Edit(file=source.file, text=text, **place)


def _insertion(source: Source, line: int, column: int, text: str) -> Edit:
    return Edit(file=source.file, line=line, column=column, end_line=line, end_column=column, text=text)


# ---------------------------------------------------------------------- all edits
def apply_edits(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The UTF-8 text of a file with edits that do not overlap."""
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    text = data.decode("utf-8-sig")
    breaks = [*NEWLINE.finditer(text)]
    starts = [0, *(found.end() for found in breaks)]
    newline = breaks[0].group() if breaks else "\n"
    parts, done = [], 0
    for edit in sorted(edits, key=_order):
        begin, end = starts[edit.line - 1] + edit.column - 1, starts[edit.end_line - 1] + edit.end_column - 1
        parts += [text[done:begin], edit.text.replace("\n", newline)]
        done = end
    return mark + "".join([*parts, text[done:]]).encode()


def overlap(edit: Edit, others: Iterable[Edit]) -> bool:
    """Whether two edits concern one place; two insertions at one place do."""
    begin, end = _bounds(edit)
    return any(edit.file == o.file and begin <= _bounds(o)[1] and _bounds(o)[0] <= end for o in others)


def _order(edit: Edit) -> tuple[int, int]:
    return edit.line, edit.column


def _bounds(edit: Edit) -> tuple[tuple[int, int], tuple[int, int]]:
    return (edit.line, edit.column), (edit.end_line, edit.end_column)
