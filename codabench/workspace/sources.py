"""What a workspace knows of a board beside its rows: scores of items, and what happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from codabench.core.competition import LeaderboardSpec, PhaseSpec
from codabench.core.errors import UsageError
from codabench.core.records import Run, Status
from codabench.core.text import distinct, printable
from codabench.leaderboard.board import Board
from codabench.leaderboard.combined import Ranking
from codabench.leaderboard.events import BoardEvent
from codabench.leaderboard.items import NAME, SIZE_LIMIT, ItemScores, read_items
from codabench.leaderboard.loading import definitions, events_of
from codabench.leaderboard.standings import Standings
from codabench.leaderboard.values import Aggregation
from codabench.workspace.boards import Instead
from codabench.workspace.ranked import LOOKED_AT, Details

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace


@dataclass
class Sources:
    """Where a board comes from.

    Attributes
    ----------
    spec
        The leaderboard as the competition defines it.
    participants
        Participant -> what people are called on the board.
    instead
        The runs that it shows instead of those that boards show.
    """

    workspace: Workspace
    competition: str
    phase: PhaseSpec
    spec: LeaderboardSpec
    ranking: Ranking | None = None
    participants: Mapping[str, str] = field(default_factory=dict)
    instead: Instead = field(default_factory=dict)
    _read: dict[str, ItemScores | None] = field(default_factory=dict, repr=False)

    def events(self) -> tuple[LeaderboardSpec, list[BoardEvent]]:
        """How the board was defined at first, and what happened up to now."""
        rows = self.workspace.db.board_rows(self.competition, self.phase.index)
        first, edits = definitions(rows, self.spec)
        return first, events_of(rows, self.phase.tasks, edits=edits)

    def names(self, known: Mapping[str, str], submissions: Iterable[str]) -> dict[str, str]:
        """What submissions are called: as `known`, and others, such as deleted ones, by a name of their own."""
        missing = [s for s in dict.fromkeys(submissions) if s not in known]
        called = self.workspace.db.called(self.competition, self.phase.index, missing)
        names = distinct([name for name, _ in called.values()], known.values())
        return {**known, **dict(zip(called, names, strict=True))}

    def board(self, until: datetime, aggregation: Aggregation, *, applied: bool) -> Board:
        """The board as it was at a moment; `applied`: whether its rule chooses the rows."""
        first, events = self.events()
        past = [event for event in events if event.at <= until]
        options = {"tasks": self.phase.tasks, "aggregation": aggregation, "ranking": self.ranking}
        board = Standings.after(first, past, rule=first.submission_rule if applied else None, **options).board()
        details = Details(self.workspace, [row.submission for row in board.rows[:LOOKED_AT]], {})
        rows = tuple(
            row.model_copy(
                update={
                    "participant": self.participants.get(row.participant, row.participant),
                    "isolated": details.isolated(row.submission),
                }
            )
            for row in board.rows
        )
        return board.model_copy(update={"rows": rows})

    def items(self, submissions: Iterable[str]) -> dict[tuple[str, int | str], ItemScores]:
        """By submission and task, what scorers wrote of each item; where nothing was written, there is no entry.

        Each file is read once: what a finished run left never changes.
        """
        found = {}
        for shown, _ in self.workspace.db.shown_runs(list(submissions)):
            run = self.instead.get((shown.submission, shown.task), shown)
            if run.status is not Status.FINISHED:
                continue
            if run.id not in self._read:
                self._read[run.id] = self._items(run)
            wrote = self._read[run.id]
            if wrote is not None:
                found[run.submission, run.task] = wrote
        return found

    def _items(self, run: Run) -> ItemScores | None:
        step = run.outcome.step("scoring") if run.outcome else None
        if step is None or step.output is None:
            return None
        with self.workspace.storage.open_tree(step.output) as output:
            if not output.is_file(NAME):
                return None
            with output.open(NAME) as stream:
                return read_items(stream.read(SIZE_LIMIT + 1), [c.key for c in self.spec.columns])


def moment_of(given: datetime | date | str) -> datetime:
    """An instant in UTC; one without a zone is taken as UTC, and a day as its beginning.

    Raises
    ------
    UsageError
        ``CB353``: that is no ISO 8601 date or time.
    """
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        hint = 'write "2026-03-01" or "2026-03-01 12:30"'
        raise UsageError(f"{printable(str(given))!r} is no time", code="CB353", hint=hint) from None
