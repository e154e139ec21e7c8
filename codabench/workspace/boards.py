"""Boards that are kept up to date: as long as the mark of the database is the same, nothing is read again."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from codabench.core.boards import BoardMark
from codabench.core.competition import LeaderboardSpec, PhaseSpec, SubmissionRule
from codabench.core.records import Run, Status
from codabench.db.database import Database
from codabench.leaderboard.combined import Ranking
from codabench.leaderboard.loading import events_of, standings_of
from codabench.leaderboard.standings import Standings
from codabench.leaderboard.table import Table
from codabench.leaderboard.values import Aggregation

_KEPT, _KEPT_ROWS = 256, 200_000
"""Boards that are kept, and submissions on all of them but the last: a site looks at many small ones in turn."""

_MANY = 500
"""After more events than this a board is worked out anew, which is faster."""

Instead = Mapping[tuple[str, int | str], Run]
"""(submission, task) -> the run that a board is to show instead of the one that it would show."""


@dataclass
class _Kept:
    spec: LeaderboardSpec
    tasks: tuple[int | str, ...]
    standings: Standings
    mark: BoardMark


class Boards:
    """The boards that a workspace was asked for last."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()
        self._lock = threading.RLock()

    @contextmanager
    def look(
        self,
        competition: str,
        phase: PhaseSpec,
        spec: LeaderboardSpec,
        *,
        rule: SubmissionRule | None = None,
        aggregation: Aggregation = "mean",
        ranking: Ranking | None = None,
        instead: Instead | None = None,
    ) -> Iterator[Standings]:
        """A board as it is now; it does not change while it is looked at."""
        options: dict[str, Any] = {"rule": rule, "tasks": phase.tasks, "aggregation": aggregation}
        if ranking is not None or instead:
            yield self._other(competition, phase, spec, instead or {}, {**options, "ranking": ranking})
            return
        key = (competition, phase.index, spec.key, rule, aggregation)
        with self._lock:
            kept = self._kept.pop(key, None)
            # Somebody may have edited the bundle.
            known = kept is not None and (kept.spec, kept.tasks) == (spec, phase.tasks)
            if kept is None or not known or not self._refreshed(kept, competition, phase):
                kept = self._loaded(competition, phase, spec, options)
            self._kept[key] = kept
            self._forget()
            yield kept.standings

    def _forget(self) -> None:
        """Keep no more than there is room for: what was looked at longest ago goes first."""
        rows = sum(len(kept.standings.table) for kept in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > _KEPT or rows > _KEPT_ROWS):
            _, gone = self._kept.popitem(last=False)
            rows -= len(gone.standings.table)

    def _loaded(self, competition: str, phase: PhaseSpec, spec: LeaderboardSpec, options: dict[str, Any]) -> _Kept:
        with _no_collection():
            rows = self._db.board_rows(competition, phase.index)
            standings = standings_of(rows, spec, **options)
        return _Kept(spec, phase.tasks, standings, rows.mark)

    def _refreshed(self, kept: _Kept, competition: str, phase: PhaseSpec) -> bool:
        """Apply what has happened since; False if that takes longer than to begin again."""
        rows = self._db.board_rows(competition, phase.index, since=kept.mark)
        if rows is None:
            return False
        events = events_of(rows, phase.tasks, kept.standings.table.number)
        if len(events) > _MANY:
            return False
        for event in events:
            kept.standings.apply(event)
        kept.mark = rows.mark
        return True

    def _other(
        self, competition: str, phase: PhaseSpec, spec: LeaderboardSpec, instead: Instead, options: dict[str, Any]
    ) -> Standings:
        """A board that is not kept."""
        rows = self._db.board_rows(competition, phase.index)
        return standings_of(rows, spec, change=partial(_put, instead), **options)


def _put(instead: Instead, table: Table) -> None:
    """Have a table show other runs."""
    for (submission, task), run in instead.items():
        n = table.number.get(submission)
        if n is None:
            continue
        if run.status is Status.FINISHED:
            table.score(n, task, run.outcome.scores if run.outcome else {})
            table.scored[n] = table.scored[n] or (run.finished_at or run.created_at, 0, n)
        else:
            table.unscore(n, task)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without looking for garbage: of the many small objects that come none is, and looking takes as long."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
