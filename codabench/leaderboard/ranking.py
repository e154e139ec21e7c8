"""From entries to a ranked board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from codabench.core.competition import ColumnSpec, LeaderboardSpec, Sorting
from codabench.core.errors import UsageError
from codabench.core.text import plural, printable
from codabench.leaderboard import order
from codabench.leaderboard.board import Board, Entry, Row
from codabench.leaderboard.values import (
    RANK_COMPUTATIONS,
    Aggregation,
    column_ranks,
    from_ranks,
    over_tasks,
    with_computed,
)


def rank(
    spec: LeaderboardSpec,
    entries: Iterable[Entry],
    *,
    aggregation: Aggregation = "mean",
    rule_applied: bool = False,
) -> Board:
    """Rank whole submissions (contract.md 5.2, 5.3 and the ruling on several tasks).

    Computed columns are worked out for each task, then every column is brought from the tasks to one value by
    `aggregation`. `codabench.leaderboard.order` says which row stands higher. The outcome does not depend on the order
    of `entries`.

    Parameters
    ----------
    aggregation
        ``mean`` over the tasks that have a value, ``sum`` of them, or the ``first`` task alone.
    rule_applied
        Whether `entries` are those that the submission rule chose; otherwise the board says that it lists all.

    Raises
    ------
    UsageError
        If the same submission is given twice.
    """
    entries = sorted(entries, key=lambda e: e.submission)
    for a, b in pairwise(entries):
        if a.submission == b.submission:
            raise UsageError(f"submission {printable(a.submission)} is given twice", hint="one entry per submission")
    rows = _with_rank_columns(spec.columns, [_unplaced(spec, e, aggregation) for e in entries])
    columns = order.deciding_columns(spec)
    rows.sort(key=lambda r: order.sort_key(columns, r))
    return Board(
        leaderboard=spec,
        columns=tuple(sorted((c for c in spec.columns if not c.hidden), key=lambda c: c.index)),
        rows=_placed(columns, rows),
        aggregation=aggregation,
        rule_applied=rule_applied,
        notes=_notes(spec, rows, aggregation, rule_applied),
    )


def _unplaced(spec: LeaderboardSpec, entry: Entry, aggregation: Aggregation) -> Row:
    """The row of an entry, without its rank and without columns that are computed from ranks."""
    expected = entry.expected_tasks or tuple(entry.tasks)
    per_task = {t: with_computed(spec.columns, entry.tasks[t]) for t in expected if t in entry.tasks}
    # An absent task keeps its place, so that "first" means the first of the phase and not the first that succeeded.
    in_order = [per_task.get(t, {}) for t in expected]
    primary = spec.primary
    has_primary = {task.get(primary.key) is not None for task in in_order}
    mixed = len(has_primary) > 1 and primary.computation not in RANK_COMPUTATIONS
    return Row(
        rank=0,
        submission=entry.submission,
        participant=entry.participant,
        created_at=entry.created_at,
        sequence=entry.sequence,
        scores=over_tasks(spec.columns, in_order, aggregation),
        per_task=per_task,
        incomplete=len(per_task) < len(expected) or mixed,
        isolated=entry.isolated,
    )


def _with_rank_columns(columns: Sequence[ColumnSpec], rows: list[Row]) -> list[Row]:
    """Fill the columns that are computed from the ranks of all submissions (contract.md 2.4, `Computation`)."""
    by_index = {c.index: c for c in columns}
    for column in sorted(columns, key=lambda c: c.index):
        inputs = [by_index[i] for i in column.computation_indexes if i in by_index]
        if column.computation not in RANK_COMPUTATIONS or not inputs:
            continue
        ranks = [
            column_ranks(column, [r.scores.get(c.key) for r in rows], ascending=c.sorting is Sorting.ASC)
            for c in inputs
        ]
        values = from_ranks(column, ranks)
        rows = [r.model_copy(update={"scores": {**r.scores, column.key: v}}) for r, v in zip(rows, values, strict=True)]
    return rows


def _placed(columns: list[ColumnSpec], rows: Sequence[Row]) -> tuple[Row, ...]:
    """`rows`, best first, with rank and ties written in."""
    tied = [order.same_primary(columns, a, b) for a, b in pairwise(rows)]
    placed = []
    for n, row in enumerate(rows):
        above, below = n > 0 and tied[n - 1], n < len(tied) and tied[n]
        rule = order.decided_by(columns, rows[n - 1], row).rule if above else None
        placed.append(row.model_copy(update={"rank": n + 1, "tied": above or below, "tie_break": rule}))
    return tuple(placed)


def _notes(spec: LeaderboardSpec, rows: Sequence[Row], aggregation: Aggregation, rule_applied: bool) -> tuple[str, ...]:
    notes = []
    if not rule_applied:
        notes.append(f"submission rule {spec.submission_rule.value} not applied: every finished submission is listed")
    tasks = max((len(r.per_task) for r in rows), default=0)
    if tasks > 1:
        how = {"mean": "mean over", "sum": "sum over", "first": "first of"}[aggregation]
        notes.append(f"each value is the {how} {plural(tasks, 'task')}")
    late = sum(r.incomplete for r in rows)
    if late:
        notes.append(f"{plural(late, 'submission')} without a result for every task, ranked after the complete ones")
    if spec.primary.hidden:
        notes.append("ranked by a column that is not shown")
    return tuple(notes)
