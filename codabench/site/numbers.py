"""The integers by which clients of Codabench know what a workspace names by keys."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from codabench.core.errors import NotFound
from codabench.site.part import Part

if TYPE_CHECKING:
    from codabench.site.site import Site

_KEPT = 100_000
"""Numbers that a process remembers."""


class Kind(StrEnum):
    """What has a number of its own. Accounts, data sets, tasks, participants and jobs have one in the database."""

    COMPETITION = "competition"
    PHASE = "phase"
    BOARD = "board"
    COLUMN = "column"
    PAGE = "page"
    SUBMISSION = "submission"
    """Runs, too: a submission of several tasks appears as one that has children."""
    SCORE = "score"


class Numbers(Part):
    """Given out at the first look, and never twice. A number says nothing, and opens nothing.

    Since a number is for ever, what was asked for is not asked for again.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._numbers: dict[tuple[Kind, str], int] = {}
        self._keys: dict[tuple[Kind, int], str] = {}
        self._tasks: dict[str, int] = {}

    def of(self, kind: Kind, *parts: object) -> int:
        """The number of one thing, such as ``of(Kind.PHASE, competition, 0)``."""
        key = joined(*parts)
        return self.many(kind, [key])[key]

    def many(self, kind: Kind, keys: Iterable[str]) -> dict[str, int]:
        """The numbers of many things by their keys; those of several parts are made with `joined`."""
        wanted = list(keys)
        found = {key: number for key in wanted if (number := self._numbers.get((kind, key))) is not None}
        missing = [key for key in wanted if key not in found]
        if not missing:
            return found
        new = self.db.numbers(kind.value, missing)
        if len(self._numbers) + len(new) > _KEPT:
            self._numbers = {}
        self._numbers.update({(kind, key): number for key, number in new.items()})
        return {**found, **new}

    def key(self, kind: Kind, number: int) -> str:
        """What has that number; `NotFound` if nothing of this kind has."""
        found = self._keys.get((kind, number)) or self.db.numbered(kind.value, number)
        if found is None:
            raise NotFound(f"there is no such {kind.value}, or not for you")
        if len(self._keys) >= _KEPT:
            self._keys = {}
        self._keys[kind, number] = found
        return found

    def tasks(self, keys: Iterable[str]) -> dict[str, int]:
        """The numbers of tasks by their keys, also of deleted ones; keys that no task has are left out."""
        wanted = set(keys)
        if not wanted <= self._tasks.keys():
            self._tasks.update({task.key: task.id for task in self.db.tasks_ever(wanted)})
        return {key: self._tasks[key] for key in wanted if key in self._tasks}

    def parts(self, kind: Kind, number: int) -> list[str]:
        """The same, in its parts."""
        return self.key(kind, number).split(":")


def joined(*parts: object) -> str:
    """The key of a thing inside another: ``joined(competition, 0)``."""
    return ":".join(str(part) for part in parts)
