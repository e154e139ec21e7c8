"""What a workspace knows of a board beside its rows: scores of items, and what happened to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from codabench.core.competition import LeaderboardSpec
from codabench.core.records import Run, Status
from codabench.leaderboard.items import NAME, SIZE_LIMIT, ItemScores, read_items
from codabench.workspace.happened import Past

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace


class Evidence:
    """Reads each file of item scores once: what a finished run left never changes.

    Parameters
    ----------
    spec
        The leaderboard as the competition defines it.
    """

    def __init__(self, workspace: Workspace, competition: str, phase: int, spec: LeaderboardSpec) -> None:
        self._workspace, self.spec = workspace, spec
        self._keys = frozenset(c.key for c in spec.columns)
        self._competition, self._phase = competition, phase
        self._read: dict[str, ItemScores | None] = {}

    def past(self) -> Past:
        """What happened up to now."""
        return Past(self._workspace.db, self._competition, self._phase, self._keys)

    def items(self, submissions: Iterable[str]) -> dict[tuple[str, int | str], ItemScores]:
        """By submission and task; where nothing was written, there is no entry."""
        found = {}
        for submission in submissions:
            for run in self._workspace.db.runs_of(submission):
                if run.shown and run.status is Status.FINISHED:
                    if run.id not in self._read:
                        self._read[run.id] = self._items(run)
                    wrote = self._read[run.id]
                    if wrote is not None:
                        found[submission, run.task] = wrote
        return found

    def _items(self, run: Run) -> ItemScores | None:
        step = run.outcome.step("scoring") if run.outcome else None
        if step is None or step.output is None:
            return None
        with self._workspace.storage.open_tree(step.output) as output:
            if not output.is_file(NAME):
                return None
            with output.open(NAME) as stream:
                return read_items(stream.read(SIZE_LIMIT + 1), self._keys)
