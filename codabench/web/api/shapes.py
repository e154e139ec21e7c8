"""Leaderboards as clients of Codabench read them (platform.md 3.5, 3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from codabench.site.board_rows import BoardHead, ShownBoard, ShownColumn, ShownRow
from codabench.web.api.common import wire

ScoreNumbers = Mapping[tuple[str, int | str, str], int]
"""By submission, index of the task and key of the column."""


class Score(BaseModel):
    """A value in a column of the leaderboard: a text with ten decimals."""

    id: int
    index: int
    score: str
    column_key: str


class Column(BaseModel):
    """A column of a leaderboard."""

    id: int
    computation: str | None
    computation_indexes: list[str] | None
    title: str
    key: str
    sorting: str
    index: int
    hidden: bool
    precision: int


class Leaderboard(BaseModel):
    """A leaderboard without its rows."""

    id: int
    primary_index: int
    title: str
    key: str
    columns: list[Column]
    hidden: bool
    submission_rule: str


class ColumnsOfTask(BaseModel):
    """A group of columns of a leaderboard."""

    name: str
    id: int | None
    colWidth: int  # noqa: N815 - what clients read
    columns: list[Column]


class ShownScoreOfTask(Score):
    """A value as it is shown: rounded."""

    task_id: int | None


class PageOfResult(BaseModel):
    """Where a page with details is asked for."""

    task: int | None
    id: int


class RowOfBoard(BaseModel):
    """A row of a leaderboard."""

    id: int
    owner: str
    slug_url: str
    organization: None = None
    created_when: str
    fact_sheet_answers: dict[str, Any] | None
    scores: list[ShownScoreOfTask]
    detailed_results: list[PageOfResult]


class Board(BaseModel):
    """A leaderboard of a phase with its rows, the best first."""

    title: str
    id: int
    primary_index: int
    fact_sheet_keys: list[tuple[str, str]] | None
    tasks: list[ColumnsOfTask]
    submissions: list[RowOfBoard]


class Entries(Leaderboard):
    """A leaderboard with the rows of each phase."""

    submissions: list[RowOfBoard]


# ---------------------------------------------------------------------- leaderboards
def column_of(column: ShownColumn) -> Column:
    spec = column.spec
    return Column(
        id=column.number,
        computation=spec.computation and spec.computation.value,
        computation_indexes=[str(index) for index in spec.computation_indexes] or None,
        title=spec.title,
        key=spec.key,
        sorting=spec.sorting.value,
        index=spec.index,
        hidden=spec.hidden,
        precision=spec.precision,
    )


def leaderboard_of(head: BoardHead) -> Leaderboard:
    return Leaderboard(
        id=head.number,
        primary_index=head.spec.primary_index,
        title=head.spec.title,
        key=head.spec.key,
        columns=[column_of(column) for column in head.columns],
        hidden=head.spec.hidden,
        submission_rule=head.spec.submission_rule.value,
    )


def board_of(board: ShownBoard, numbers: ScoreNumbers) -> Board:
    """A board of a phase.

    Parameters
    ----------
    numbers
        Of values, as `Boards.score_numbers` gives them.
    """
    columns = [column_of(column) for column in board.columns]
    return Board(
        title=board.head.spec.title,
        id=board.phase_number,
        primary_index=board.head.spec.primary_index,
        fact_sheet_keys=list(board.questions) or None,
        tasks=[
            ColumnsOfTask(name=task.name, id=task.number, colWidth=len(columns), columns=columns)
            for task in board.tasks
        ],
        submissions=rows_of(board, numbers),
    )


def rows_of(board: ShownBoard, numbers: ScoreNumbers) -> list[RowOfBoard]:
    tasks = {task.index: task.number for task in board.tasks}
    return [_row(board, row, tasks, numbers) for row in board.rows]


def _row(board: ShownBoard, row: ShownRow, tasks: dict[int | str, int | None], numbers: ScoreNumbers) -> RowOfBoard:
    scores = [
        ShownScoreOfTask(
            id=numbers[row.submission, task, column.spec.key],
            index=column.spec.index,
            score=cell.text,
            column_key=column.spec.key,
            task_id=number,
        )
        for task, number in tasks.items()
        for column in board.columns
        if (cell := row.per_task.get(task, {}).get(column.spec.key)) is not None and cell.value is not None
    ]
    return RowOfBoard(
        id=row.number,
        owner=row.name,
        slug_url=f"/profiles/user/{row.username}/",
        created_when=wire(row.created_at),
        fact_sheet_answers=dict(row.answers) if board.questions else None,
        scores=scores,
        detailed_results=[PageOfResult(task=tasks.get(task), id=number) for task, number in row.pages.items()],
    )
