"""What a leaderboard says beyond its rows: why, how sure, since when, and how that looks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from codabench.core.competition import ColumnSpec, LeaderboardSpec, PhaseSpec
from codabench.core.errors import UsageError
from codabench.core.text import printable
from codabench.leaderboard.board import Board, Row
from codabench.workspace import admission
from codabench.workspace.evidence import Evidence

if TYPE_CHECKING:
    from codabench.leaderboard.diff import BoardDiff
    from codabench.leaderboard.history import History
    from codabench.leaderboard.plots import Plot
    from codabench.leaderboard.statistics import Statistics


class Insight:
    """The part of a `Leaderboard` that explains it.

    Attributes
    ----------
    names
        Submission id -> what it is called; also of those that are not on the board.
    facts
        Submission id -> parameters, and answers that the fact sheet puts on the leaderboard.
    """

    def __init__(
        self,
        board: Board,
        phase: PhaseSpec,
        names: dict[str, str],
        facts: dict[str, dict[str, Any]] | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        self.board, self.phase, self.names, self.facts = board, phase, names, facts or {}
        self._evidence = evidence
        self._statistics: dict[str, Statistics] = {}
        self._said: list[str] = []

    @property
    def spec(self) -> LeaderboardSpec:
        return self.board.leaderboard

    @property
    def rows(self) -> tuple[Row, ...]:
        """Best first."""
        return self.board.rows

    def name(self, row: Row) -> str:
        """What a row's submission is called."""
        return self.names[row.submission]

    def explain(self, a: str, b: str) -> str:
        """Why the submission called `a` stands above the one called `b`, or below it, and how sure that is."""
        from codabench.leaderboard.words import doubt

        known = sorted(self.names.values())
        one, other = (admission.pick(known, wanted, "submission", lambda n: n, lambda n: n) for wanted in (a, b))
        said = self._shown().explain(printable(one), printable(other))
        ids = {name: id for id, name in self.names.items()}
        sure = doubt(self.statistics(), ids[one], ids[other]) if self.statistics().known else ""
        return f"{said} {sure}".rstrip()

    def statistics(self, column: str | None = None) -> Statistics:
        """Intervals, P(a beats b), and which submissions cannot be told apart (docs/statistics.md).

        Known where scorers write ``scores_per_item.csv`` and the values of the column are means over items; otherwise
        the notes say why not. The first 25 submissions are looked at. Read and computed once for each column.

        Parameters
        ----------
        column
            Its key; None: the one that ranks, or the first if that is hidden.

        Raises
        ------
        NotFound
            No visible column of that key.
        StorageError
            What a run left cannot be read any more.
        """
        from codabench.leaderboard.statistics import MOST_ROWS, analyse

        chosen = self._column(column)
        if chosen.key not in self._statistics:
            read = self._evidence.items(r.submission for r in self.rows[:MOST_ROWS]) if self._evidence else {}
            found = self._statistics[chosen.key] = analyse(self.board, read, chosen, self.names)
            if found.known or (read and chosen == self._column(None)):
                self._said += [f"{chosen.title}: {note}" for note in found.notes]
        return self._statistics[chosen.key]

    def at(self, moment: datetime | str) -> Self:
        """The board as it was at a moment: worked out again from what had happened until then.

        Submissions that were deleted later are on it, and scores are those of then. Columns and rule are those of now.

        Parameters
        ----------
        moment
            A time, or text such as ``"2026-03-01 12:30"``; without a zone it is UTC.

        Raises
        ------
        UsageError
            ``CB353``: the text is no time.
        """
        from codabench.leaderboard.standings import Standings
        from codabench.workspace.happened import moment_of

        until, known = moment_of(moment), self._known()
        past = known.past()
        events = past.until(until)
        attempted = past.tasks(events)
        standings = Standings.after(
            known.spec,
            events,
            rule=known.spec.submission_rule if self.board.rule_applied else None,
            tasks=tuple(t for t in self.phase.tasks if t in attempted),
            aggregation=self.board.aggregation,
        )
        board = standings.board()
        notes = (*board.notes, f"as it was on {until:%Y-%m-%d %H:%M:%S} UTC")
        shown = board.model_copy(update={"notes": notes})
        return type(self)(shown, self.phase, past.names(self.names), self.facts, self._evidence)

    def history(self, column: str | None = None) -> History:
        """The best value of each participant over time, whatever the submission rule shows; ``.plot()``.

        Parameters
        ----------
        column
            Its key; None: the one that ranks, or the first if that is hidden.

        Raises
        ------
        NotFound
            No visible column of that key.
        """
        from codabench.leaderboard.history import history
        from codabench.workspace.dispatcher import utc_now

        known = self._known()
        past = known.past()
        return history(
            known.spec,
            past.events,
            until=utc_now(),
            column=self._column(column),
            tasks=tuple(t for t in self.phase.tasks if t in past.tasks(past.events)),
            aggregation=self.board.aggregation,
            names=past.names(self.names),
        )

    def _column(self, key: str | None) -> ColumnSpec:
        """A visible column; None: the one that ranks, or the first if that is hidden."""
        visible = self.board.columns
        ranking = self.spec.primary if self.spec.primary in visible else visible[0]
        return admission.pick(
            visible, ranking.key if key is None else key, "column", lambda c: c.key, lambda c: c.title
        )

    def _known(self) -> Evidence:
        if self._evidence is None:
            raise UsageError("this board was made without a workspace: nothing is known of its past", code="CB353")
        return self._evidence

    def diff(self, later: Insight) -> BoardDiff:
        """What changed from this board to a later one: places, values, and why; ``.to_frame()``, ``.plot()``."""
        from codabench.leaderboard.diff import compare

        return compare(self.board, later.board, {**self.names, **later.names})

    def plot(self) -> Plot:
        """Dots by rank, a panel for each visible column, with intervals where they are known: ``.save("board.svg")``.

        Raises
        ------
        MissingExtra
            ``pip install 'codabench[plot]'``.
        """
        from codabench.leaderboard.plots import altair, board_plot

        altair()
        return board_plot(self.board, self.names, {c.key: self.statistics(c.key) for c in self.board.columns})

    def _shown(self) -> Board:
        """The board with names people know in place of ids; what its statistics say, once they were asked for."""
        rows = tuple(r.model_copy(update={"submission": printable(self.name(r))}) for r in self.rows)
        return self.board.model_copy(update={"rows": rows, "notes": (*self.board.notes, *self._said)})
