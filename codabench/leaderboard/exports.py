"""Boards as files: those that servers give organizers (contract.md 5.8), and tables."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from codabench.core.competition import CompetitionSpec, PhaseSpec
from codabench.core.text import distinct
from codabench.leaderboard.board import Board

_EPOCH = (1980, 1, 1, 0, 0, 0)


class Results(NamedTuple):
    """A board as a server exports it: every column of every task, hidden ones included.

    Attributes
    ----------
    name
        ``<title of the board> - <name of the phase>(<phase>)``.
    columns
        ``<name of the task>(<task>)-<title of the column>``, task by task.
    rows
        ``<participant>-<submission>`` with the answers to the fact sheet and a text for each column, best first.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, Mapping[str, Any] | None, tuple[str, ...]], ...]


def results_of(
    board: Board,
    spec: CompetitionSpec,
    phase: PhaseSpec,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    phase_number: int | None = None,
    task_numbers: Mapping[int | str, int] | None = None,
) -> Results:
    """What is exported of a board.

    Parameters
    ----------
    phase_number, task_numbers
        By which a server knows the phase, and tasks by their index; None: those of the competition.
    """
    tasks = spec.tasks_of(phase)
    columns = sorted(board.leaderboard.columns, key=lambda c: c.index)
    numbers = task_numbers or {}
    headings = [
        f"{task.name}({numbers.get(task.index, task.index)})-{column.title}" for task in tasks for column in columns
    ]
    rows = []
    for row in board.rows:
        # With one task, what is computed over the whole board belongs to that task, too.
        per_task = {tasks[0].index: row.scores} if len(tasks) == 1 else row.per_task
        values = [per_task.get(task.index, {}).get(column.key) for task in tasks for column in columns]
        answers = (facts or {}).get(row.submission)
        rows.append((f"{row.participant}-{row.submission}", answers, tuple(map(full, values))))
    name = f"{board.leaderboard.title} - {phase.name}({phase.index if phase_number is None else phase_number})"
    return Results(name, tuple(distinct(headings)), tuple(rows))


def full(value: float | None) -> str:
    """Ten decimals, as servers write it; more where ten are not the number."""
    if value is None:
        return ""
    text = f"{value:.10f}"
    return text if abs(value) < 1e21 and (value == 0 or abs(value) >= 1e-6) else repr(value)


def results_json(boards: Iterable[Results]) -> str:
    """Board -> row -> answers and values."""
    document = {
        board.name: {
            key: {
                **({"fact_sheet_answers": dict(answers)} if answers else {}),
                **dict(zip(board.columns, values, strict=True)),
            }
            for key, answers, values in board.rows
        }
        for board in boards
    }
    return json.dumps(document, indent=4, ensure_ascii=False)


def results_csv(board: Results) -> str:
    """A table of one board; empty if nobody is on it."""
    if not board.rows:
        return ""
    rows = [
        (key, json.dumps(dict(answers), ensure_ascii=False) if answers else "", *values)
        for key, answers, values in board.rows
    ]
    return table([("Username", "fact_sheet_answers", *board.columns), *rows])


def results_zip(boards: Iterable[Results]) -> bytes:
    """A table of each board that somebody is on. Equal boards give equal bytes."""
    shown = [board for board in boards if board.rows]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for board, name in zip(shown, distinct(file_name(board.name) for board in shown), strict=True):
            archive.writestr(zipfile.ZipInfo(f"{name}.csv", _EPOCH), results_csv(board).encode())
    return out.getvalue()


def table(rows: Iterable[Sequence[Any]]) -> str:
    """CSV in which text that a spreadsheet would take for a formula is quoted (security.md H07)."""
    out = io.StringIO()
    csv.writer(out).writerows([[cell(value) for value in row] for row in rows])
    return out.getvalue()


def cell(value: Any) -> Any:
    """A value of a table: text that is no number cannot be taken for a formula."""
    if not isinstance(value, str) or value[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n"):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def file_name(name: str) -> str:
    """A name that a file can have everywhere."""
    return "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name).strip(". ")[:150] or "board"
