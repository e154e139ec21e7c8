"""YAML with the place of every key and value (security.md Y01-Y08).

The events of the parser are composed here, without recursion and within bounds; nothing is constructed from tags, and a
scalar stays the text that was written: whether ``010``, ``no`` or ``2026-01-01`` is a number, a flag, a date or a title
is decided by the field that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

from codabench.bundle.edits import mending, without
from codabench.bundle.fields import shorten
from codabench.bundle.nodes import NEWLINE, Mapping, Node, Scalar, Sequence, Source, kind
from codabench.core.problems import Severity
from codabench.core.text import human_size, printable

MAX_BYTES = 1 << 20
MAX_NODES = 50_000
MAX_DEPTH = 64
MAX_SCALAR = 200_000

_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
)
_LESS = "move long texts into pages, and remove aliases of aliases"
_MISFIT = ("did not find expected '-'", "did not find expected key", "expected <block end>")
# CodaLab's own exports, written by Python 2, tag texts: nothing is constructed, they stay texts.
_TEXTS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "python/str", "python/unicode"))


class _StopReading(Exception):  # noqa: N818 - control flow, not an error
    """The file cannot be read any further; the problem has been added."""


def read_yaml(data: bytes, file: str) -> tuple[Node | None, Source]:
    """The one document in a YAML file, None if it is empty or broken; every problem is in the source.

    At most 1 MiB, 50,000 nodes after aliases are expanded, depth 64, 200,000 characters in one scalar. Never raises.
    """
    source = Source(file)
    try:
        text = _decode(data, source)
        source.lines = NEWLINE.split(text)
        return _Composer(source).document(text), source
    except _StopReading:
        return None, source


def _decode(data: bytes, source: Source) -> str:
    if len(data) > MAX_BYTES:
        _stop(source, "CB005", f"{source.file} is larger than {human_size(MAX_BYTES)}", None)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        source.lines = [*NEWLINE.split(data.decode("utf-8-sig", "replace"))]
        where = source.at(len(NEWLINE.findall(before)) + 1, len(NEWLINE.split(before)[-1]) + 1)
        _stop(source, "CB004", f"{source.file} is not UTF-8 text", where, "save it with the encoding UTF-8")
    return text


def _stop(source: Source, code: str, message: str, where: Any, hint: str | None = None) -> NoReturn:
    source.add(code, Severity.ERROR, message, where, hint=hint or (_LESS if code == "CB005" else None))
    raise _StopReading


class _Composer:
    """Builds nodes from events; open collections are on a stack of its own, so that depth costs no recursion."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    def document(self, text: str) -> Node | None:
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            return self._compose(yaml.parse(text, Loader=loader), yaml.events)
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.YAMLError as error:  # a character that YAML does not allow
            self._character(text, error)
        return None

    def _compose(self, events: Iterator[Any], types: Any) -> Node | None:
        root: Node | None = None
        stack: list[tuple[Node, list[Node], str | None]] = []
        documents = 0
        for event in events:
            self._count += 1
            if self._count > 2 * MAX_NODES:
                where = self._source.at(event.start_mark.line + 1, event.start_mark.column + 1)
                _stop(self._source, "CB005", f"more than {MAX_NODES} values", where)
            if isinstance(event, types.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    where = self._source.at(event.start_mark.line + 1, event.start_mark.column + 1)
                    message = f"{self._source.file} holds a second document"
                    _stop(self._source, "CB007", message, where, "one file, one document: remove what follows ---")
            elif isinstance(event, types.CollectionStartEvent):
                stack.append((self._open(event, types, len(stack)), [], event.anchor))
                continue
            elif isinstance(event, types.CollectionEndEvent):
                node, children, anchor = stack.pop()
                self._close(node, children)
                # Only a bracket has a length: the end of a block is found where the next thing begins.
                if event.end_mark.index > event.start_mark.index:
                    node.end_line, node.end_column = event.end_mark.line + 1, event.end_mark.column + 1
                if anchor:
                    self._anchors[anchor] = node
                root = self._place(node, stack, root)
            elif isinstance(event, (types.ScalarEvent, types.AliasEvent)):
                leaf = self._alias(event, len(stack)) if isinstance(event, types.AliasEvent) else self._scalar(event)
                root = self._place(leaf, stack, root)
        return root

    @staticmethod
    def _place(node: Node, stack: list[tuple[Node, list[Node], str | None]], root: Node | None) -> Node | None:
        if not stack:
            return node
        stack[-1][1].append(node)
        return root

    def _open(self, event: Any, types: Any, depth: int) -> Node:
        where = _span(event)
        node: Node = Mapping(*where) if isinstance(event, types.MappingStartEvent) else Sequence(*where)
        if depth >= MAX_DEPTH:
            _stop(self._source, "CB005", f"lists and mappings are nested more than {MAX_DEPTH} deep", node)
        self._check_tag(event.tag, node)
        if event.anchor:
            self._anchors[event.anchor] = None
        return node

    def _close(self, node: Node, children: list[Node]) -> None:
        for child in children:
            # An alias is a node from above: it says nothing about where this one ends.
            if (child.end_line, child.end_column) > (node.end_line, node.end_column):
                node.end_line, node.end_column = child.end_line, child.end_column
            node.size += child.size
            node.depth = max(node.depth, child.depth + 1)
        if node.size > MAX_NODES:
            _stop(self._source, "CB005", f"more than {MAX_NODES} values, with aliases written out", node)
        if isinstance(node, Sequence):
            node.items = children
        elif isinstance(node, Mapping):
            self._fill(node, children)

    def _fill(self, node: Mapping, children: list[Node]) -> None:
        merged: list[Mapping] = []
        places: dict[str, list[tuple[Node, Node]]] = {}
        for key, item in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                _stop(self._source, "CB006", f"{kind(key)} cannot be a key", key, "keys are text")
            elif key.plain and key.text == "<<":
                merged += self._merge(item)
            else:
                places.setdefault(key.text, []).append((key, item))
                node.entries.pop(key.text, None)
                node.entries[key.text] = (key, item)
        for text, entries in places.items():
            if len(entries) > 1:
                self._duplicate(text, entries)
        for other in merged:
            for text, entry in other.entries.items():
                node.entries.setdefault(text, entry)

    def _merge(self, node: Node) -> list[Mapping]:
        listed = node.items if isinstance(node, Sequence) else [node]
        if not all(isinstance(item, Mapping) for item in listed):
            _stop(self._source, "CB006", "<< takes a mapping or a list of mappings", node)
        return [item for item in listed if isinstance(item, Mapping)]

    def _duplicate(self, text: str, entries: list[tuple[Node, Node]]) -> None:
        (first, ignored), last = entries[0], entries[-1][0]
        times = f"twice (lines {first.line} and {last.line})"
        if len(entries) > 2:
            times = f"{len(entries)} times (lines {first.line} to {last.line})"
        message, also = f"the key {shorten(text)} stands {times}; the last one counts", (self._source.of(first),)
        what = f"remove the one in line {first.line}, which does not count"
        fix = mending(what, without(self._source, first, ignored), safe=False)
        self._source.add("CB003", Severity.WARNING, message, last, hint="keep one of them", also=also, fix=fix)

    def _scalar(self, event: Any) -> Scalar:
        node = Scalar(*_span(event), text=event.value, plain=event.implicit[0] or event.tag not in (None, "!", *_TEXTS))
        if len(event.value) > MAX_SCALAR:
            node.end_line, node.end_column = node.line, node.column + 20
            _stop(
                self._source, "CB005", f"a value of {len(event.value)} characters; at most {MAX_SCALAR} are read", node
            )
        if event.tag not in _TEXTS:
            self._check_tag(event.tag, node)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, depth: int) -> Node:
        here = Scalar(*_span(event))
        if event.anchor not in self._anchors:
            _stop(self._source, "CB001", f"not YAML: there is no anchor {shorten(event.anchor)} before this", here)
        target = self._anchors[event.anchor]
        if target is None:
            _stop(self._source, "CB005", f"the alias {shorten(event.anchor)} stands inside what it stands for", here)
        if depth + target.depth > MAX_DEPTH:
            _stop(self._source, "CB005", f"lists and mappings are nested more than {MAX_DEPTH} deep", here)
        if target.size > MAX_NODES:
            _stop(self._source, "CB005", f"more than {MAX_NODES} values, with aliases written out", here)
        return target

    def _check_tag(self, tag: str | None, node: Node) -> None:
        if tag and tag != "!" and tag not in _TAGS:
            short = tag.replace("tag:yaml.org,2002:", "!!")
            _stop(self._source, "CB006", f"the tag {shorten(short)} is not read", node, "write the plain value")

    def _syntax(self, error: Any) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = mark.line + 1, mark.column + 1
        problem, context = str(error.problem or ""), str(error.context or "")
        text = self._source.lines[line - 1] if line <= len(self._source.lines) else ""
        indent = text[: len(text) - len(text.lstrip())]
        if "quoted scalar" in context and "end of stream" in problem:
            line, column = error.context_mark.line + 1, error.context_mark.column + 1
            code, what, hint = "CB001", "the quoted text that begins here is never closed", "close the quotes"
        elif "\t" in indent or "'\\t'" in problem:
            column = indent.find("\t") + 1 or column
            code, what, hint = "CB002", "a tab is used for indentation", "indent with spaces"
        elif problem.startswith(_MISFIT) and text[: mark.column].rstrip().endswith(("'", '"')):
            code, what = "CB001", "text follows the quote that closes the text before it"
            hint = "write a quote inside of quotes twice, or take quotes of the other kind around it"
        elif "expected ':'" in problem and "simple key" in context:
            line, column = error.context_mark.line + 1, error.context_mark.column + 1
            code, what, hint = "CB001", "there is no colon after the key", "write key: value"
        elif problem.startswith(_MISFIT):
            code, what, hint = (
                "CB001",
                "this line does not fit the indentation of the lines above",
                "align it with them",
            )
        elif "mapping values are not allowed" in problem:
            code, what = "CB001", "a colon where none can stand"
            hint = "quote a text that holds ': ', and indent keys alike"
        else:
            code, what, hint = "CB001", problem + (f" ({context})" if context else ""), "see the line shown"
        end = max(column + 1, len(text.rstrip()) + 1) if line == mark.line + 1 else None
        _stop(self._source, code, f"not YAML: {what}", self._source.at(line, column, line, end), hint)

    def _character(self, text: str, error: Any) -> None:
        at = getattr(error, "position", None)
        bad = re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
        if bad:
            at = bad.start()
        before = text[: at or 0]
        where = self._source.at(len(NEWLINE.findall(before)) + 1, len(NEWLINE.split(before)[-1]) + 1)
        shown = printable(bad.group()) if bad else "one"
        _stop(self._source, "CB004", f"a character that cannot stand in YAML: {shown}", where, "remove it")


def _span(event: Any) -> tuple[int, int, int, int]:
    start, end = event.start_mark, event.end_mark
    return start.line + 1, start.column + 1, end.line + 1, end.column + 1
