"""A leaderboard as tables: frames, CSV, JSON, pages of rows, and the files that servers give organizers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from codabench.core.competition import CompetitionSpec, LeaderboardSpec, PhaseSpec
from codabench.core.errors import UsageError
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.values import plain

if TYPE_CHECKING:
    import pandas as pd

    from codabench.workspace.handles import RunHandle


_FIXED = ("rank", "submission", "participant", "submitted_at")


class Tables:
    """The part of a `Leaderboard` that writes it down.

    Attributes
    ----------
    pages
        Submission id -> task -> the run whose scorer wrote a page with details (``run.detailed_results``).
    duplicates
        Groups of names of submissions that are equal byte by byte, of different participants.
    """

    board: Board
    phase: PhaseSpec
    names: dict[str, str]
    facts: dict[str, dict[str, Any]]
    competition: CompetitionSpec | None = None
    pages: Mapping[str, Mapping[int | str, RunHandle]] = {}
    duplicates: Sequence[Sequence[str]] = ()

    @property
    def total(self) -> int:
        """How many rows the whole board has."""
        return self.board.total or len(self.board.rows)

    def page(self, number: int, size: int = 50) -> Self:
        """A piece of the board; pages are counted from 1, and the one after the last is empty.

        Raises
        ------
        UsageError
            There is no such page.
        """
        from codabench.workspace.ranked import page_range

        start, stop = page_range(number, size)
        made = copy.copy(self)
        made.board = self.board.model_copy(update={"rows": self.board.rows[start:stop], "total": self.total})
        return made

    def to_frame(self, *, layout: Literal["wide", "long"] = "wide") -> pd.DataFrame:
        """The board as a table.

        Parameters
        ----------
        layout
            ``wide``: one row for each submission, indexed by rank; columns by key, missing values NaN; with several
            tasks, ``KEY.TASK`` for each of them after the values that rank. The facts of submissions come last. What
            would be called like another column is ``score.NAME``, ``task.NAME`` or ``fact.NAME``. ``long``: one row for
            each submission, task and column.
        """
        if layout not in ("wide", "long"):
            raise UsageError(f"no layout {layout!r}", code="CB350", hint="wide or long")
        return self._long() if layout == "long" else self._wide()

    def _wide(self) -> pd.DataFrame:
        import pandas as pd

        tasks = list(dict.fromkeys(t for row in self.board.rows for t in row.per_task))
        several = [(task, c.key) for task in tasks for c in self.board.columns] if len(tasks) > 1 else []
        scores, facts, called = self._names()
        places = {place: called("task", f"{place[1]}.{place[0]}") for place in several}
        rows = [
            {
                "rank": row.rank,
                "submission": self.names[row.submission],
                "participant": row.participant,
                "submitted_at": row.created_at,
                **{name: row.scores.get(key) for key, name in scores.items()},
                **{name: row.per_task.get(task, {}).get(key) for (task, key), name in places.items()},
                **{name: self.facts.get(row.submission, {}).get(fact) for fact, name in facts.items()},
            }
            for row in self.board.rows
        ]
        values = [*scores.values(), *places.values()]
        frame = pd.DataFrame(rows, columns=[*_FIXED, *values, *facts.values()]).set_index("rank")
        return frame.astype(dict.fromkeys(values, "float64"))

    def _names(self) -> tuple[dict[str, str], dict[str, str], Callable[[str, str], str]]:
        """What the columns of a table are called: by key, by fact; and how others are, since none is called twice."""
        taken = set(_FIXED)

        def called(kind: str, name: str) -> str:
            while name in taken:
                name = f"{kind}.{name}"
            taken.add(name)
            return name

        known = dict.fromkeys(fact for row in self.board.rows for fact in self.facts.get(row.submission, ()))
        scores = {c.key: called("score", c.key) for c in self.board.columns}
        return scores, {fact: called("fact", fact) for fact in known}, called

    def _long(self) -> pd.DataFrame:
        import pandas as pd

        columns = ["rank", "submission", "participant", "task", "column", "value"]
        rows = [
            (row.rank, self.names[row.submission], row.participant, task, column.key, scores.get(column.key))
            for row in self.board.rows
            for task, scores in row.per_task.items()
            for column in self.board.columns
        ]
        return pd.DataFrame(rows, columns=columns).astype({"value": "float64"})

    def to_csv(self) -> str:
        """The board as CSV with full values, the facts of submissions last.

        Text that a spreadsheet would take for a formula is quoted (security.md H07).
        """
        from codabench.leaderboard.exports import table

        scores, facts, _ = self._names()

        def values(row: Row) -> list[str]:
            own, known = (row.scores.get(key) for key in scores), self.facts.get(row.submission, {})
            return [*("" if v is None else repr(v) for v in own), *(plain(known.get(fact)) for fact in facts)]

        rows = [
            [r.rank, self.names[r.submission], r.participant, r.created_at.isoformat(), *values(r)]
            for r in self.board.rows
        ]
        return table([[*_FIXED, *scores.values(), *facts.values()], *rows])

    def to_dict(self) -> dict[str, Any]:
        """The shape that ``run --json`` prints."""
        spec: LeaderboardSpec = self.board.leaderboard
        return {
            "columns": [
                {
                    "key": c.key,
                    "title": c.title,
                    "sorting": c.sorting.value,
                    "primary": c.index == spec.primary_index,
                }
                for c in self.board.columns
            ],
            "rows": [
                {"rank": r.rank, "submission": self.names[r.submission], "scores": dict(r.scores)}
                for r in self.board.rows
            ],
        }
