"""What a reader of a board should know, one sentence each."""

from __future__ import annotations

from codabench.core.competition import LeaderboardSpec
from codabench.core.text import plural
from codabench.leaderboard.values import Aggregation

_OVER = {"mean": "mean over", "sum": "sum over", "first": "first of", "average_rank": "mean over"}


def notes_on(
    spec: LeaderboardSpec, *, applied: bool, tasks: int, late: int, aggregation: Aggregation
) -> tuple[str, ...]:
    """The notes below a board.

    Parameters
    ----------
    applied
        Whether the submission rule chose the rows; otherwise every finished submission is listed.
    tasks, late
        How many tasks there are results for, and how many rows are incomplete.
    """
    notes = []
    if not applied:
        notes.append(f"submission rule {spec.submission_rule.value} not applied: every finished submission is listed")
    if tasks > 1:
        notes.append(f"each value is the {_OVER[aggregation]} {plural(tasks, 'task')}")
        if aggregation == "average_rank":
            notes.append(f"ranked by the mean of the places in {plural(tasks, 'task')}, equal values share a place")
    if late:
        notes.append(f"{plural(late, 'submission')} without a result for every task, ranked after the complete ones")
    if spec.primary.hidden:
        notes.append("ranked by a column that is not shown")
    return tuple(notes)
