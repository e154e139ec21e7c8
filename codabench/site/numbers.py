"""The integers by which clients of Codabench know what a workspace names by keys."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from codabench.core.errors import NotFound
from codabench.site.part import Part


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
    """Given out at the first look, and never twice. A number says nothing, and opens nothing."""

    def of(self, kind: Kind, *parts: object) -> int:
        """The number of one thing, such as ``of(Kind.PHASE, competition, 0)``."""
        key = joined(*parts)
        return self.db.numbers(kind.value, [key])[key]

    def many(self, kind: Kind, keys: Iterable[str]) -> dict[str, int]:
        """The numbers of many things by their keys; those of several parts are made with `joined`."""
        return self.db.numbers(kind.value, keys)

    def key(self, kind: Kind, number: int) -> str:
        """What has that number; `NotFound` if nothing of this kind has."""
        found = self.db.numbered(kind.value, number)
        if found is None:
            raise NotFound(f"there is no such {kind.value}, or not for you")
        return found

    def parts(self, kind: Kind, number: int) -> list[str]:
        """The same, in its parts."""
        return self.key(kind, number).split(":")


def joined(*parts: object) -> str:
    """The key of a thing inside another: ``joined(competition, 0)``."""
    return ":".join(str(part) for part in parts)
