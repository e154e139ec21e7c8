"""What happens to a board, as small frozen records: the history that `codabench.leaderboard.standings` folds.

Each event names one submission, but for `BoardEdited`. Events are in the order in which they happened; `at` is for
people and for `board.at(time)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from codabench.core.competition import LeaderboardSpec

TaskScores = Mapping[int | str, Mapping[str, float]]
"""For each task that finished, what its scoring program wrote, by column key."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission was admitted.

    Attributes
    ----------
    sequence
        Order of arrival, for submissions of the same instant.
    tasks
        What it is run on.
    eligible
        False: a rerun on tasks of somebody's choice. No rule puts it on the board, nor may anybody (contract.md 5.5).
    """

    at: datetime
    submission: str
    participant: str
    sequence: int = 0
    tasks: tuple[int | str, ...] = ()
    eligible: bool = True
    isolated: bool = True


@dataclass(frozen=True, slots=True)
class Scored:
    """All runs of a submission have ended, and one at least finished."""

    at: datetime
    submission: str
    scores: TaskScores = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """All runs of a submission have ended, and none finished."""

    at: datetime
    submission: str


@dataclass(frozen=True, slots=True)
class Reevaluated:
    """A re-evaluation of a scored submission was promoted. It does not make it the last one scored."""

    at: datetime
    submission: str
    scores: TaskScores


@dataclass(frozen=True, slots=True)
class ScoreEdited:
    """An organizer set a number for one task; None takes back what was set."""

    at: datetime
    submission: str
    task: int | str
    key: str
    value: float | None


@dataclass(frozen=True, slots=True)
class EntryChosen:
    """Somebody who may (`rules.refusal`) put a submission on the board, or took it off."""

    at: datetime
    submission: str
    shown: bool
    by: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A submission is listed no more."""

    at: datetime
    submission: str


@dataclass(frozen=True, slots=True)
class BoardEdited:
    """The columns of the board, or its rule, became others."""

    at: datetime
    leaderboard: LeaderboardSpec


SubmissionEvent = Submitted | Scored | Failed | Reevaluated | ScoreEdited | EntryChosen | Deleted
BoardEvent = SubmissionEvent | BoardEdited
