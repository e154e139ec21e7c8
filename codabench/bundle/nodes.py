"""What a YAML file says, with the place of every key and value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from codabench.core.problems import Fix, Location, Problem, Severity

NEWLINE = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "yes", "on"))
_FALSE = frozenset(("false", "no", "off"))
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")


@dataclass(slots=True, eq=False)
class Node:
    """Where something stands: lines and columns from 1, ends exclusive.

    `size` and `depth` count what aliases stand for.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    size: int = field(default=1, init=False)
    depth: int = field(default=1, init=False)


@dataclass(slots=True, eq=False)
class Scalar(Node):
    """`text` as written (unquoted); `plain` if there were no quotes and no tag that says text."""

    text: str = ""
    plain: bool = True

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in _NULLS


@dataclass(slots=True, eq=False)
class Sequence(Node):
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping(Node):
    """`entries` holds (key, value) by the text of the key, merge keys included; explicit keys win."""

    entries: dict[str, tuple[Node, Node]] = field(default_factory=dict)

    def get(self, key: str) -> Node | None:
        found = self.entries.get(key)
        return found[1] if found else None

    def key(self, key: str) -> Node | None:
        found = self.entries.get(key)
        return found[0] if found else None


def kind(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, Scalar):
        return "nothing" if node.is_null else "text"
    return "a list" if isinstance(node, Sequence) else "a mapping"


def value(node: Node | None) -> Any:
    """A plain Python value, for what is only carried along; timestamps stay text."""
    if isinstance(node, Sequence):
        return [value(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key: value(inner) for key, (_, inner) in node.entries.items()}
    return scalar_value(node) if isinstance(node, Scalar) else None


def scalar_value(node: Scalar) -> str | int | float | bool | None:
    """The value of a scalar by the rules of YAML 1.1, without its octal, hexadecimal and base-60 numbers."""
    text = node.text
    if not node.plain:
        return text
    if text in _NULLS:
        return None
    if text.lower() in _TRUE or text.lower() in _FALSE:
        return text.lower() in _TRUE
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    return float(text) if _FLOAT.fullmatch(text) and not text.lstrip("+-").isdigit() else text


class Source:
    """The text of one YAML file, and the problems found in it."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self.lines = NEWLINE.split(text)
        self.problems: list[Problem] = []

    def at(self, line: int, column: int = 1, end_line: int | None = None, end_column: int | None = None) -> Location:
        """A place with the text of its line."""
        if line > len(self.lines):  # what follows "---" at the very end is nothing, and said to stand on the next line
            line = end_line = len(self.lines)
            column = end_column = len(self.lines[-1]) + 1
        excerpt = self.lines[line - 1] if 0 < line <= len(self.lines) else None
        if end_line is not None and end_line > line:
            end_line, end_column = line, len((excerpt or "").rstrip()) + 1
        return Location(
            file=self.file, line=line, column=column, end_line=end_line or line, end_column=end_column, excerpt=excerpt
        )

    def of(self, node: Node | None) -> Location:
        """The place of a node; the file alone if there is none."""
        if node is None:
            return Location(file=self.file)
        return self.at(node.line, node.column, node.end_line, node.end_column)

    def add(
        self,
        code: str,
        severity: Severity,
        message: str,
        where: Node | Location | None,
        *,
        hint: str | None = None,
        also: tuple[Location, ...] = (),
        fix: Fix | None = None,
    ) -> None:
        place = where if isinstance(where, Location) else self.of(where)
        problem = Problem(code=code, severity=severity, message=message, hint=hint, where=place, also=also, fix=fix)
        self.problems.append(problem)
