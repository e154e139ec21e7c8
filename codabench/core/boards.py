"""What a database says of a board: rows by kind, and a mark by which it is known whether anything has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from codabench.core.competition import LeaderboardSpec


class BoardMark(NamedTuple):
    """What has been seen. Two equal ones stand for equal rows: nothing of a board changes without one of these.

    Attributes
    ----------
    submissions, edits, choices
        The highest number, and how many there are where numbers do not come in the order of their transactions.
    deleted, promoted, changed
        How many submissions of the phase are deleted, how many re-evaluations of the competition are promoted, and how
        often its leaderboards became others.
    live
        The runs whose status is not final, of any competition.
    """

    submissions: tuple[int, int]
    edits: tuple[int, int]
    choices: tuple[int, int]
    deleted: int
    promoted: int
    changed: int
    live: frozenset[str]


class SubmissionSeen(NamedTuple):
    sequence: int
    id: str
    participant: str
    created_at: datetime
    origin: str | None
    origin_kind: str | None
    deleted_at: datetime | None


class RunSeen(NamedTuple):
    submission: str
    task: int | str
    status: str
    shown: bool
    batch: str | None
    finished_at: datetime | None
    id: str
    scores: Mapping[str, float]


class EditSeen(NamedTuple):
    run: str
    key: str
    value: float | None
    at: datetime


class ChoiceSeen(NamedTuple):
    submission: str
    shown: bool
    by: str
    at: datetime


class BoardsBefore(NamedTuple):
    """The leaderboards of a competition as they were until a moment."""

    until: datetime
    leaderboards: Sequence[LeaderboardSpec]


@dataclass(frozen=True, slots=True)
class BoardRows:
    """The rows of a phase, or those that are new since a mark.

    Attributes
    ----------
    runs
        Those that were queued first, and those of re-evaluations that were promoted.
    promoted
        When re-evaluations were promoted, by id.
    before
        What the leaderboards of the competition were before they became what they are, oldest first.
    """

    mark: BoardMark
    submissions: Sequence[SubmissionSeen] = ()
    runs: Sequence[RunSeen] = ()
    edits: Sequence[EditSeen] = ()
    choices: Sequence[ChoiceSeen] = ()
    promoted: dict[str, datetime] = field(default_factory=dict)
    before: Sequence[BoardsBefore] = ()
