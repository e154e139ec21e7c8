"""Typed fields out of positioned YAML: what is wrong is noted and reading goes on, so all problems come at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from codabench.bundle.dates import DateError, parse_date
from codabench.bundle.edits import dated, mending, renamed, replaced, written_date
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, Source, kind, value
from codabench.core.problems import Fix, Location, Severity
from codabench.core.text import did_you_mean, is_slip, parse_duration, printable

_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_FALSE = frozenset(("false", "no", "off", "n", "f", "0"))
_WHOLE = re.compile(r"[-+]?\d{1,18}(\.0*)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_NAMES = ("name", "title", "label", "index", "key")
_SPOKEN = ("name", "title", "label")
_MEANT = {
    # Keys of another level.
    "docker_image": "write it at the top of the file: one image serves all tasks",
    "execution_time_limit": "write it in each phase",
    "max_submissions": "write it in each phase",
    "max_submissions_per_day": "write it in each phase",
    "ingestion_only_during_scoring": "write it in each task",
    "submission_rule": "write it in the leaderboard",
    "enable_detailed_results": "write it at the top of the file",
    # Names that the old format, the site or other programs have for them.
    "max_submissions_per_person": "write max_submissions",
    "competition_docker_image": "write docker_image",
    "force_submission_to_leaderboard": "write submission_rule: Force_Last in the leaderboard",
    "has_registration": "write registration_auto_approve, which means the opposite",
    "auto_migration": "write auto_migrate_to_this_phase",
    "is_scoring_only": "write accepts_only_result_submissions",
    "sort": "write sorting",
    "numeric_format": "write precision",
}
"""Keys that somebody relies on although nothing reads them where they stand, and what does what they want."""

_SHAPES = {
    "a list": "write {}: [...], or a dash before each item",
    "a mapping": "write key: value below {}, indented",
}


Where = Node | Location | None


def is_uuid(text: str) -> bool:
    """Whether it is written as the key of something on a server."""
    return bool(_UUID.fullmatch(text))


def shorten(text: str, most: int = 60) -> str:
    """In quotes, on one line, for messages."""
    text = printable(text.replace("\n", "\\n"))
    return f"'{text if len(text) <= most else text[: most - 3] + '...'}'"


def spelled(names: Iterable[str], last: str = "or") -> str:
    """``a, b or c``."""
    listed = list(names)
    return f"{', '.join(listed[:-1])} {last} {listed[-1]}" if len(listed) > 1 else "".join(listed)


class Fields:
    """One mapping of the bundle, read key by key.

    Parameters
    ----------
    what
        For messages: ``phase 'Final'``; empty for the top level.
    noun, told
        What it and the others of its list are, and what has been said of one of them: a key that nothing reads is
        worth one remark, not one for each column.
    """

    def __init__(
        self,
        node: Mapping,
        source: Source,
        what: str = "",
        noun: str = "",
        told: dict[str, tuple[int, int]] | None = None,
    ) -> None:
        self.node, self.source, self.what, self.noun = node, source, what, noun
        self._told = {} if told is None else told
        self._asked: set[str] = set()
        self._blamed: set[str] = set()

    @property
    def place(self) -> Location:
        """Where people look for it: at its name, else where it begins."""
        for key in _NAMES:
            if entry := self.node.entries.get(key):
                start, end = entry
                return self.source.at(start.line, start.column, end.end_line, end.end_column)
        return self.source.of(self.node)

    # ------------------------------------------------------------------ problems
    def error(
        self, code: str, message: str, where: Where = None, hint: str | None = None, fix: Fix | None = None
    ) -> None:
        self.source.add(code, Severity.ERROR, message, where or self.place, hint=hint, fix=fix)

    def warn(
        self, code: str, message: str, where: Where = None, hint: str | None = None, fix: Fix | None = None
    ) -> None:
        self.source.add(code, Severity.WARNING, message, where or self.place, hint=hint, fix=fix)

    def note(
        self, code: str, message: str, where: Where = None, hint: str | None = None, fix: Fix | None = None
    ) -> None:
        self.source.add(code, Severity.NOTE, message, where or self.place, hint=hint, fix=fix)

    def missing(self, key: str, message: str | None = None, hint: str | None = None, fix: Fix | None = None) -> None:
        """A required key is not there; an unknown key that looks like it is what is pointed at."""
        owner = f"{self.what} has no {key}" if self.what else f"{key} is missing"
        for other, (place, _) in self.node.entries.items():
            if other not in self._asked and other not in self._blamed and did_you_mean(other, (key,)):
                self._blamed.add(other)
                mended = fix or self._respelt(other, key)
                self.error("CB101", message or owner, place, f"did you mean {key}?", mended)
                return
        where = Location(file=self.source.file) if not self.what else self.place
        self.error("CB101", message or owner, where, hint or f"add {key}", fix)

    def _respelt(self, wrong: str, right: str) -> Fix | None:
        """The key under another name, which nothing has yet."""
        if right in self.node.entries:
            return None
        edit = renamed(self.source, self.node.entries[wrong][0], right)
        return mending(f"write {right} instead of {shorten(wrong)}", edit, safe=is_slip(wrong, right))

    # ------------------------------------------------------------------ values
    def get(self, key: str) -> Node | None:
        """The value of a key; None if it is absent or null."""
        self._asked.add(key)
        node = self.node.get(key)
        return None if isinstance(node, Scalar) and node.is_null else node

    def text(
        self, key: str, default: str | None = None, *, required: bool = False, most: int | None = None
    ) -> str | None:
        """Text as it was written, also where YAML would see a number or a date."""
        node = self.get(key)
        if node is None or (required and isinstance(node, Scalar) and not node.text.strip()):
            if required:
                self.missing(key)
            return default
        if not isinstance(node, Scalar):
            self._wrong_type(key, "text", node)
            return default
        if most is not None and len(node.text) > most:
            owner = f"the {key} of {self.what}" if self.what else key
            self.error(
                "CB103", f"{owner} has {len(node.text)} characters; at most {most} are possible", node, "shorten it"
            )
        return node.text

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false in the usual spellings."""
        node = self.get(key)
        if node is None:
            return default
        word = node.text.strip().lower() if isinstance(node, Scalar) else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        seen = f", it is {shorten(node.text)}" if isinstance(node, Scalar) else f", it is {kind(node)}"
        self.error("CB102", f"{key} must be true or false{seen}", node, "write true or false")
        return default

    def whole(self, key: str, default: int | None = None, *, least: int | None = None, unit: str = "") -> int | None:
        """A whole number, also in quotes."""
        node = self.get(key)
        if node is None:
            return default
        number = whole_number(node)
        if number is None:
            seen = shorten(node.text) if isinstance(node, Scalar) else kind(node)
            hint, fix = "write digits only", None
            if unit == "seconds" and isinstance(node, Scalar):
                hint = _in_seconds(node.text)
                if (digits := hint.removeprefix("write ")).isdecimal():
                    fix = mending(hint, replaced(self.source, node, digits), safe=False)
            in_unit = f" (of {unit})" if unit else ""
            self.error("CB102", f"{key} must be a whole number{in_unit}, it is {seen}", node, hint, fix)
            return default
        if least is not None and number < least:
            what = "must not be negative" if least == 0 else f"must be at least {least}"
            self.error("CB106", f"{key} {what}, it is {number}", node, f"write {least} or more")
            return default
        return number

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """One of a few words, exactly as they are written."""
        node = self.get(key)
        if node is None:
            return default
        if not isinstance(node, Scalar):
            self._wrong_type(key, "text", node)
            return default
        if node.text in choices:
            return node.text
        guess = did_you_mean(node.text, choices)
        hint = f"did you mean {guess}?" if guess else f"write {spelled(choices)}"
        fix = None
        if guess:
            near = [c for c in choices if is_slip(node.text, c) or (len(c) > 2 and node.text.startswith(c))]
            fix = mending(f"write {guess}", replaced(self.source, node, guess), safe=near == [guess])
        self.error("CB104", f"{key} {shorten(node.text)} is not known: {spelled(choices)}", node, hint, fix)
        return default

    def date(self, key: str, *, required: bool = False) -> datetime | None:
        """A moment in UTC (contract.md 1.6)."""
        node = self.get(key)
        if node is None or (isinstance(node, Scalar) and not node.text.strip()):
            if required:
                self.missing(key, hint=f"add {key}: 2026-02-01")
            return None
        if not isinstance(node, Scalar):
            self._wrong_type(key, "a date", node)
            return None
        try:
            moment, remark = parse_date(node.text, plain=node.plain)
        except DateError as error:
            code = "CB202" if "number" in str(error) else "CB201"
            fix = mending(f"write {error.meant}", replaced(self.source, node, error.meant)) if error.meant else None
            self.error(code, f"{key}: {printable(str(error))}", node, error.hint or "write it as 2026-02-01 14:00", fix)
            return None
        if remark and moment:
            fix = mending(f"write {written_date(moment)}", dated(self.source, node, moment))
            hint = f"write {moment:%Y-%m-%d}, which has one meaning"
            if moment.day <= 12:
                hint += f"; if the day stands first, {moment:%Y-%d-%m}"
            self.warn("CB203", f"{key}: {remark}", node, hint, fix)
        return moment

    def items(self, key: str, *, required: bool = False, message: str | None = None) -> list[Node] | None:
        """The items of a list; None if there is no list."""
        node = self.get(key)
        if node is None:
            if required:
                self.missing(key, message)
            return None
        if isinstance(node, Sequence):
            return node.items
        self._wrong_type(key, "a list", node)
        return None

    def children(self, key: str, noun: str, *, required: bool = False) -> list[Fields]:
        """The mappings in a list, each with a name for messages."""
        found = []
        told: dict[str, tuple[int, int]] = {}
        for position, item in enumerate(self.items(key, required=required) or ()):
            if isinstance(item, Mapping):
                found.append(Fields(item, self.source, _name(item, noun, position), noun, told))
            else:
                hint = f"begin each {noun} with a dash and write key: value below one another"
                self.error("CB102", f"each of the {key} must be a mapping, this is {kind(item)}", item, hint)
        return found

    def mapping(self, key: str, *, required: bool = False) -> Fields | None:
        """The mapping that a key holds."""
        node = self.get(key)
        if isinstance(node, Mapping):
            return Fields(node, self.source, key)
        if node is not None:
            self._wrong_type(key, "a mapping", node)
        elif required:
            self.missing(key)
        return None

    def named(self, key: str, noun: str, *, required: bool = False) -> list[tuple[str, Fields]]:
        """The mappings in a mapping, each with its key; their names for messages are their labels, else their keys."""
        outer = self.mapping(key, required=required)
        told: dict[str, tuple[int, int]] = {}
        found = []
        for name, (place, item) in outer.node.entries.items() if outer else ():
            if isinstance(item, Mapping):
                label = item.get("label")
                shown = label.text if isinstance(label, Scalar) and label.text.strip() else name
                found.append((name, Fields(item, self.source, f"{noun} {shorten(shown, 40)}", noun, told)))
            else:
                hint = "write key: value below it, indented"
                self.error("CB102", f"{noun} {shorten(name, 40)} must be a mapping, it is {kind(item)}", place, hint)
        return found

    def indexes(self, key: str) -> list[tuple[int | str, Node]] | None:
        """A list of the identifiers that tasks and columns have inside the bundle."""
        items = self.items(key)
        if items is None:
            return None
        found = []
        for item in items:
            if (index := identifier(item)) is None:
                hint = f"write them as {key}: [0, 1]"
                self.error("CB102", f"{key} must hold indexes, this is {kind(item)}", item, hint)
            else:
                found.append((index, item))
        return found

    def extras(self, ignored: Collection[str] = (), expected: Collection[str] = ()) -> dict[str, Any]:
        """The keys that nobody asked for, kept aside; to be called last.

        Parameters
        ----------
        ignored
            Keys that a site knows and no bundle can set: worth a note.
        expected
            Keys that every export and example has, although they do nothing: not worth a word.
        """
        kept = {}
        for key, (place, node) in self.node.entries.items():
            if key in self._asked:
                continue
            kept[key] = value(node)
            if key not in self._blamed and key not in expected:
                self._remark(key, place, key in ignored)
        return kept

    def _remark(self, key: str, place: Node, ignored: bool) -> None:
        position, count = self._told.get(key, (len(self.source.problems), 0))
        self._told[key] = position, count + 1
        where = self.what if not count else f"{count + 1} {self.noun}s"
        inside = f" in {where}" if where else ""
        if ignored or key in _MEANT:
            message = f"{key}{inside} has no effect {'in a bundle' if ignored else 'here'}"
        else:
            message = f"unknown key {shorten(key)}{inside} is kept aside"
        if count:
            first = self.source.problems[position]
            self.source.problems[position] = first.model_copy(update={"message": message})
        elif ignored:
            self.note("CB116", message, place)
        elif key in _MEANT:
            new = _MEANT[key].removeprefix("write ")
            edit = renamed(self.source, place, new) if new in self._asked and new not in self.node.entries else None
            fix = mending(f"write {new} instead of {key}, which then counts", edit, safe=False)
            self.warn("CB116", message, place, _MEANT[key], fix)
        else:
            guess = did_you_mean(key, self._asked) if len(key) < 100 else None
            hint = f"did you mean {guess}?" if guess else "it can be removed, or stay"
            self.note("CB105", message, place, hint, self._respelt(key, guess) if guess else None)

    def _wrong_type(self, key: str, wanted: str, node: Node) -> None:
        owner = f"{key} of {self.what}" if self.what else key
        seen = shorten(node.text) if isinstance(node, Scalar) else kind(node)
        hint = _SHAPES.get(wanted, f"write {key} as {wanted}").format(key)
        self.error("CB102", f"{owner} must be {wanted}, it is {seen}", node, hint)


def whole_number(node: Node | None) -> int | None:
    """The whole number that a scalar says, read from its text: no octal, no base 60."""
    if not isinstance(node, Scalar):
        return None
    text = node.text.strip()
    return int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else None


def identifier(node: Node | None) -> int | str | None:
    """An index of the bundle: a number where it looks like one, else its text."""
    if not isinstance(node, Scalar) or node.is_null:
        return None
    number = whole_number(node)
    return number if number is not None else node.text[:256]


def _name(node: Mapping, noun: str, position: int) -> str:
    for key in _NAMES:
        named = node.get(key)
        if isinstance(named, Scalar) and named.text.strip():
            return f"{noun} {shorten(named.text, 40)}" if key in _SPOKEN else f"{noun} {named.text[:40]}"
    return f"{noun} number {position + 1}"


def _in_seconds(text: str) -> str:
    try:
        return f"write {round(parse_duration(text))}"
    except (ValueError, OverflowError):
        return "write it in seconds, such as 600"
