"""From entries to a ranked board."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from codabench.core.competition import LeaderboardSpec
from codabench.core.errors import UsageError
from codabench.core.text import printable
from codabench.leaderboard.board import Board, Entry
from codabench.leaderboard.combined import Ranking
from codabench.leaderboard.standings import Standings
from codabench.leaderboard.table import Table
from codabench.leaderboard.values import Aggregation


def rank(
    spec: LeaderboardSpec,
    entries: Iterable[Entry],
    *,
    aggregation: Aggregation = "mean",
    ranking: Ranking | None = None,
    rule_applied: bool = False,
) -> Board:
    """Rank whole submissions (contract.md 5.2, 5.3 and the ruling on several tasks).

    Computed columns are worked out for each task, then every column is brought from the tasks to one value by
    `aggregation`. `codabench.leaderboard.order` says which row stands higher. The outcome does not depend on the order
    of `entries`.

    Parameters
    ----------
    aggregation
        ``mean`` over the tasks that have a value, ``sum`` of them, or the ``first`` task alone. ``average_rank`` adds
        a column that ranks first: the mean over the tasks of the place that a submission has in the primary column of
        a task, where equal values share the mean of their places; the other columns are means.
    ranking
        A function of a `Row` that gives the number to rank by, the larger the better; its column stands first.
    rule_applied
        Whether `entries` are those that the submission rule chose; otherwise the board says that it lists all.

    Raises
    ------
    UsageError
        If the same submission is given twice. ``CB376``: `ranking` gives something else than a number.
    """
    entries = sorted(entries, key=lambda e: e.submission)
    for a, b in pairwise(entries):
        if a.submission == b.submission:
            raise UsageError(f"submission {printable(a.submission)} is given twice", hint="one entry per submission")
    table = Table()
    for entry in entries:
        n = table.add(
            entry.submission,
            entry.participant,
            entry.created_at,
            sequence=entry.sequence,
            tasks=entry.expected_tasks,
            isolated=entry.isolated,
        )
        table.scored[n] = (entry.created_at, 0, n)
        for task, scores in entry.tasks.items():
            table.score(n, task, scores)
    return Standings(spec, aggregation=aggregation, ranking=ranking, table=table).board(rule_applied=rule_applied)
