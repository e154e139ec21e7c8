"""What goes into a ranking and what comes out: entries, rows, the board."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, FiniteFloat

from codabench.core.base import Record
from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.core.errors import NotFound
from codabench.core.text import did_you_mean, plural, printable
from codabench.leaderboard.values import Aggregation


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_utc)]
"""An instant in UTC; one without zone is taken as UTC."""


class Entry(Record):
    """A whole submission with what its runs scored.

    Attributes
    ----------
    created_at
        When it was submitted; the earlier one wins a tie.
    sequence
        Order of arrival, for submissions of the same instant.
    tasks
        For each task that finished, the scores that its scoring program wrote, by column key.
    expected_tasks
        The tasks of the phase, in its order; empty: those in `tasks`.
    isolated
        Every run took place in a program of its own.
    """

    submission: str
    participant: str
    created_at: Moment
    sequence: int = 0
    tasks: dict[int | str, dict[str, FiniteFloat]] = {}
    expected_tasks: tuple[int | str, ...] = ()
    isolated: bool = True


class Row(Record):
    """A place on the board.

    Attributes
    ----------
    rank
        1, 2, 3, ...: the position; ranks are not shared (contract.md 5.2).
    scores
        A value for every column, hidden ones included; None if missing.
    per_task
        The same for each task, in the order of the phase, with computed columns.
    incomplete
        A task is missing, or has no primary value while another has one.
    tied
        The row above or the row below has the same primary value.
    tie_break
        Where the row above has the same primary value: the rule that put it above.
    isolated
        False: functions of the caller were called in its own process.
    facts
        Parameters of the submission, and answers to the fact sheet that belong on the board, by key.
    """

    rank: int
    submission: str
    participant: str
    created_at: Moment
    sequence: int = 0
    scores: dict[str, float | None]
    per_task: dict[int | str, dict[str, float | None]] = {}
    incomplete: bool = False
    tied: bool = False
    tie_break: str | None = None
    isolated: bool = True
    facts: dict[str, Any] = {}


class Board(Record):
    """A ranked leaderboard.

    Attributes
    ----------
    columns
        The visible columns, by index. Hidden ones are in ``leaderboard.columns``.
    total
        How many rows the whole board has, where `rows` is a page of it.
    rule_applied
        Whether the submission rule of the bundle chose the rows; a local board lists every finished submission.
    notes
        What a reader of the board should know, one sentence each.
    facts
        The headings of the columns with facts, by key.
    """

    leaderboard: LeaderboardSpec
    columns: tuple[ColumnSpec, ...]
    rows: tuple[Row, ...]
    total: int = 0
    aggregation: Aggregation = "mean"
    rule_applied: bool = False
    notes: tuple[str, ...] = ()
    facts: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, submission: str) -> Row:
        """The row of a submission.

        Raises
        ------
        NotFound
            If it is not on the board.
        """
        for row in self.rows:
            if row.submission == submission:
                return row
        names = [r.submission for r in self.rows]
        close = did_you_mean(submission, names)
        hint = f"did you mean {printable(close)}?" if close else f"the board has {plural(len(names), 'submission')}"
        raise NotFound(f"no submission {printable(submission)} on leaderboard {self.leaderboard.title}", hint=hint)

    def explain(self, a: str, b: str) -> str:
        """Which of two submissions stands higher, and by which rule; what rounding or several tasks hide.

        Raises
        ------
        NotFound
            If one of them is not on the board.
        """
        from codabench.leaderboard.words import explain

        return explain(self, a, b)

    def records(self, *, per_task: bool = False) -> list[dict[str, Any]]:
        """The rows as flat dicts, for a table: rank, submission, participant, created_at, then the visible columns.

        A column whose key is one of those names appears as ``score.<key>``; with `per_task` each task adds
        ``<task>.<key>``.
        """
        taken = ("rank", "submission", "participant", "created_at", "incomplete")
        names = {c.key: f"score.{c.key}" if c.key in taken else c.key for c in self.columns}
        found = []
        for row in self.rows:
            record: dict[str, Any] = {name: getattr(row, name) for name in taken[:4]}
            record.update({names[c.key]: row.scores.get(c.key) for c in self.columns})
            if per_task:
                for task, scores in row.per_task.items():
                    record.update({f"{task}.{c.key}": scores.get(c.key) for c in self.columns})
            found.append({**record, "incomplete": row.incomplete})
        return found
