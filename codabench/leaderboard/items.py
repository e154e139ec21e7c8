"""``scores_per_item.csv``: what a scorer says of each item, beside the score of all (docs/statistics.md).

It is written by untrusted code: everything is bounded, and what is malformed is left aside as a whole, with a reason.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from codabench.core.problems import Fault, Problem, Severity
from codabench.core.text import plural, printable

NAME = "scores_per_item.csv"
ID = "item"
"""The heading of the first column."""
SIZE_LIMIT = 16 * 1024 * 1024
MOST_ITEMS = 100_000
MOST_COLUMNS = 1_000
_ID_LIMIT = 200
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ItemScores:
    """What one run wrote of each item.

    Attributes
    ----------
    ids
        The items, in the order of the file.
    values
        Column key -> a finite number for each item; only columns of the leaderboard.
    trouble
        Why the file cannot be used; the rest is empty then.
    """

    ids: tuple[str, ...] = ()
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)
    trouble: str | None = None

    @property
    def problem(self) -> Problem | None:
        """The trouble as a warning (``CB649``): the run has its scores all the same."""
        if self.trouble is None:
            return None
        return Problem(
            code="CB649",
            severity=Severity.WARNING,
            message=f"{NAME} is left aside: {self.trouble}",
            hint="the board has its scores, but no intervals; docs/statistics.md describes the file",
            fault=Fault.ORGANIZER,
        )


class _MalformedError(Exception):
    pass


def read_items(data: bytes, keys: Collection[str]) -> ItemScores:
    """The scores of items in the bytes of a file.

    Parameters
    ----------
    data
        The file, or its first ``SIZE_LIMIT + 1`` bytes.
    keys
        Keys of the columns of leaderboards; other columns may hold anything.
    """
    try:
        return _parse(_text(data), keys)
    except _MalformedError as error:
        return ItemScores(trouble=str(error))


def _text(data: bytes) -> str:
    if len(data) > SIZE_LIMIT:
        raise _MalformedError(f"it is larger than {SIZE_LIMIT} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _MalformedError(f"it is not UTF-8 text: byte {error.start}") from None


def _parse(text: str, keys: Collection[str]) -> ItemScores:
    rows = _rows(text)
    head = next(rows, None)
    if not head or head[0] != ID:
        raise _MalformedError(f"its first line does not begin with {ID!r}")
    if len(head) > MOST_COLUMNS:
        raise _MalformedError(f"it has more than {plural(MOST_COLUMNS, 'column')}")
    if len(set(head)) < len(head):
        twice = next(name for name in head if head.count(name) > 1)
        raise _MalformedError(f"two columns are called {_shown(twice)}")
    places = {name: n for n, name in enumerate(head) if n and name in keys}
    ids: dict[str, None] = {}
    values: dict[str, list[float]] = {name: [] for name in places}
    for row in rows:
        item = _item(row, head, ids)
        ids[item] = None
        for name, place in places.items():
            values[name].append(_number(row[place], item, name))
    return ItemScores(tuple(ids), {name: tuple(column) for name, column in values.items()})


def _rows(text: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row)
    except csv.Error as error:
        raise _MalformedError(f"it is not CSV: {error}") from None


def _item(row: list[str], head: list[str], ids: Collection[str]) -> str:
    item = row[0]
    if len(row) != len(head):
        raise _MalformedError(f"item {_shown(item)} has {plural(len(row), 'cell')}, and there are {len(head)} columns")
    if not item or len(item) > _ID_LIMIT or not item.isprintable():
        raise _MalformedError(f"{_shown(item)} names no item: 1 to {_ID_LIMIT} characters that can be seen")
    if item in ids:
        raise _MalformedError(f"item {_shown(item)} is there twice")
    if len(ids) == MOST_ITEMS:
        raise _MalformedError(f"it has more than {plural(MOST_ITEMS, 'item')}")
    return item


def _number(cell: str, item: str, name: str) -> float:
    # The pattern keeps out what float() would take beyond numbers, and the length keeps it from being asked for long.
    if len(cell) <= 400 and _NUMBER.fullmatch(cell) and math.isfinite(number := float(cell)):
        return number
    raise _MalformedError(f"item {_shown(item)} has no finite number in {_shown(name)}: {_shown(cell)}")


def _shown(text: str) -> str:
    return repr(printable(text if len(text) <= 40 else text[:37] + "..."))
