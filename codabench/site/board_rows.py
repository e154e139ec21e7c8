"""What people see of a leaderboard: numbers and names for keys, values as they are read (platform.md V11, 3.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.core.competition import ColumnSpec, CompetitionSpec, LeaderboardSpec, PhaseSpec
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.values import display
from codabench.site.actors import Actor, account_of
from codabench.site.competitions import Found
from codabench.site.finding import child_key
from codabench.site.numbers import Kind, joined

if TYPE_CHECKING:
    from codabench.site.site import Site


class ShownColumn(NamedTuple):
    """A column with its number."""

    number: int
    spec: ColumnSpec


class BoardHead(NamedTuple):
    """A leaderboard without its rows.

    Attributes
    ----------
    place
        Among the leaderboards of its competition.
    columns
        By index; hidden ones only for those who may export results.
    """

    number: int
    competition: str
    place: int
    spec: LeaderboardSpec
    columns: tuple[ShownColumn, ...]


@dataclass(frozen=True)
class ShownTask:
    """A task of the phase.

    Attributes
    ----------
    number
        None: it is no task that the site knows by a key.
    """

    index: int | str
    number: int | None
    key: str | None
    name: str


class Cell(NamedTuple):
    """A value as it is, and as people read it: rounded, or ``n/a``."""

    value: float | None
    text: str


class ShownRow(NamedTuple):
    """A place on the board: one submission, with all of its runs.

    Attributes
    ----------
    number
        Of the submission.
    owner
        Account; None: submitted on the machine itself.
    name
        What its owner wants to be called, else the name of the account.
    is_mine
        It is the reader's.
    answers
        To the questions of the fact sheet that are on the board, by key.
    cells
        By column key, over all tasks; `per_task`: by index of the task, too.
    places
        Of the tasks that it was submitted for, among these.
    pages
        By index of the task: the number under which the page with details is asked for, where there is a link.
    incomplete, tied, tie_break
        See `codabench.leaderboard.board.Row`.
    """

    rank: int
    number: int
    submission: str
    owner: int | None
    username: str
    name: str
    is_mine: bool
    created_at: datetime
    answers: Mapping[str, Any]
    cells: Mapping[str, Cell]
    per_task: Mapping[int | str, Mapping[str, Cell]]
    places: Mapping[int | str, int]
    pages: Mapping[int | str, int]
    incomplete: bool
    tied: bool
    tie_break: str | None


class ShownBoard(NamedTuple):
    """A leaderboard of a phase.

    Attributes
    ----------
    columns
        Those that are not hidden, by index.
    questions
        Key and title of each question whose answers are shown.
    start, total
        The place of the first row of `rows`, and how many the board has.
    notes
        What a reader should know, one sentence each.
    state
        The same as long as the board is; what `Boards.changes` goes on from.
    """

    head: BoardHead
    phase: PhaseSpec
    phase_number: int
    columns: tuple[ShownColumn, ...]
    tasks: tuple[ShownTask, ...]
    questions: tuple[tuple[str, str], ...]
    rows: tuple[ShownRow, ...]
    start: int
    total: int
    notes: tuple[str, ...]
    state: str


class Ranked(NamedTuple):
    """A board, or a piece of it, with rows for nobody in particular: names and answers are filled in at each look."""

    board: Board
    rows: tuple[ShownRow, ...]
    state: str


# ---------------------------------------------------------------------- rows
def rows_of(site: Site, found: Found, phase: PhaseSpec, board: Board, *, pages: bool) -> tuple[ShownRow, ...]:
    """The rows of a board, whose numbers and values are read for all of them at once.

    Parameters
    ----------
    pages
        Whether there are links to pages with details.
    """
    tasks, ids = found.spec.tasks_of(phase), [row.submission for row in board.rows]
    tasks_of = site.db.submitted_for(ids)
    linked = _pages(site, ids, tasks_of) if pages else {}
    numbers = site.numbers.many(Kind.SUBMISSION, [*ids, *(key for known in linked.values() for key in known.values())])

    def cells(scores: Mapping[str, float | None]) -> dict[str, Cell]:
        values = ((c, scores.get(c.key)) for c in board.columns)
        return {c.key: Cell(value, display(value, c.precision)) for c, value in values}

    def made(row: Row) -> ShownRow:
        # With one task, what is computed over the whole board belongs to that task, too.
        per_task = {tasks[0].index: row.scores} if len(tasks) == 1 else row.per_task
        return ShownRow(
            rank=row.rank,
            number=numbers[row.submission],
            submission=row.submission,
            owner=account_of(row.participant),
            username=row.participant,
            name=row.participant,
            is_mine=False,
            created_at=row.created_at,
            answers={},
            cells=cells(row.scores),
            per_task={task.index: cells(per_task.get(task.index, {})) for task in tasks},
            places={task: place for place, task in enumerate(tasks_of.get(row.submission, ()))},
            pages={task: numbers[key] for task, key in linked.get(row.submission, {}).items()},
            incomplete=row.incomplete,
            tied=row.tied,
            tie_break=row.tie_break,
        )

    return tuple(map(made, board.rows))


def addressed(
    site: Site, actor: Actor, found: Found, phase: PhaseSpec, rows: Sequence[ShownRow]
) -> tuple[ShownRow, ...]:
    """Rows for one reader, with what people change at any time: what they are called, and what they answered."""
    accounts = {row.owner for row in rows if row.owner is not None}
    called_so = site.db.called_so(accounts)
    asked = [q.key for q in found.spec.fact_sheet if q.is_on_leaderboard]
    called = site.db.called(found.id, phase.index, [row.submission for row in rows]) if asked else {}

    def made(row: ShownRow) -> ShownRow:
        sheet = called[row.submission][1] if row.submission in called else None
        username, name = called_so.get(row.owner or 0, (row.username, row.name))
        return row._replace(
            username=username,
            name=name,
            is_mine=row.owner is not None and row.owner == actor.account,
            answers={key: (sheet or {}).get(key) for key in asked},
        )

    return tuple(map(made, rows))


def _pages(
    site: Site, submissions: Sequence[str], tasks_of: Mapping[str, Sequence[int | str]]
) -> dict[str, dict[int | str, str]]:
    """By submission and task, the key of what is asked for the page that a scoring program wrote."""
    found: dict[str, dict[int | str, str]] = {}
    for id, runs in site.db.runs_shown(submissions).items():
        several = len(tasks_of[id]) > 1
        found[id] = {
            run.task: child_key(id, run.position) if several else id
            for run in runs
            if run.outcome and run.outcome.detailed_results
        }
    return found


def shown_tasks(site: Site, spec: CompetitionSpec, phase: PhaseSpec) -> tuple[ShownTask, ...]:
    """The tasks of a phase with their numbers."""
    tasks = spec.tasks_of(phase)
    numbers = site.numbers.tasks(task.key for task in tasks if task.key)
    return tuple(ShownTask(t.index, numbers.get(t.key or ""), t.key, t.name) for t in tasks)


def head_of(site: Site, competition: str, place: int, spec: LeaderboardSpec, *, hidden: bool) -> BoardHead:
    """A leaderboard without its rows; `hidden`: with the columns that others do not see."""
    columns = [c for c in sorted(spec.columns, key=lambda c: c.index) if hidden or not c.hidden]
    keys = [joined(competition, place, c.index) for c in columns]
    numbers = site.numbers.many(Kind.COLUMN, keys)
    shown = tuple(ShownColumn(numbers[key], c) for key, c in zip(keys, columns, strict=True))
    return BoardHead(site.numbers.of(Kind.BOARD, competition, place), competition, place, spec, shown)
