"""What a leaderboard says beyond its rows: why, how sure, since when, and how that looks."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Self

from codabench.core.competition import ColumnSpec, CompetitionSpec, LeaderboardSpec, PhaseSpec
from codabench.core.errors import NotFound, UsageError
from codabench.core.text import did_you_mean, plural, printable
from codabench.leaderboard.board import Board, Row
from codabench.workspace import admission
from codabench.workspace.sources import Sources, moment_of

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

    competition: CompetitionSpec | None = None

    def __init__(
        self,
        board: Board,
        phase: PhaseSpec,
        names: dict[str, str],
        facts: dict[str, dict[str, Any]] | None = None,
        sources: Sources | None = None,
    ) -> None:
        self.board, self.phase, self.names, self.facts = board, phase, names, facts or {}
        self._sources = sources
        # By column and the rows that were looked at: a page of a board is a copy with other rows.
        self._statistics: dict[tuple[str, tuple[str, ...]], Statistics] = {}

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

    def row(self, submission: str) -> Row:
        """The row of a submission, by its name or its id.

        Raises
        ------
        NotFound
            It is not listed.
        """
        for row in self.rows:
            if submission in (row.submission, self.name(row)):
                return row
        close = did_you_mean(submission, [self.name(row) for row in self.rows])
        hint = f"did you mean {printable(close)!r}?" if close else f"it lists {plural(len(self.rows), 'submission')}"
        message = f"no submission {printable(submission)!r} on leaderboard {printable(self.spec.title)}"
        raise NotFound(message, hint=hint)

    def explain(self, a: str, b: str) -> str:
        """Why the submission called `a` stands above the one called `b`, or below it, and how sure that is.

        Raises
        ------
        NotFound
            One of them is not listed.
        """
        from codabench.leaderboard.words import doubt

        one, other = self.row(a), self.row(b)
        said = self._shown().explain(printable(self.name(one)), printable(self.name(other)))
        sure = doubt(self.statistics(), one.submission, other.submission) if self.statistics().known else ""
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
        from codabench.leaderboard.analysis import MOST_ROWS, analyse

        chosen = self._column(column)
        rows = tuple(row.submission for row in self.rows[:MOST_ROWS])
        if (chosen.key, rows) not in self._statistics:
            read = self._sources.items(rows) if self._sources else {}
            self._statistics[chosen.key, rows] = analyse(self.board, read, chosen, self.names)
        return self._statistics[chosen.key, rows]

    def at(self, moment: datetime | date | str) -> Self:
        """The board as it was at a moment: worked out again from what had happened until then.

        Submissions that were deleted later are on it; scores, columns and rule are those of then.

        Parameters
        ----------
        moment
            A time, a day, or text such as ``"2026-03-01 12:30"``; without a zone it is UTC.

        Raises
        ------
        UsageError
            ``CB353``: the text is no time.
        """
        until, known = moment_of(moment), self._known()
        board = known.board(until, self.board.aggregation, applied=self.board.rule_applied)
        notes = (*board.notes, f"as it was on {until:%Y-%m-%d %H:%M:%S} UTC")
        names = known.names(self.names, (row.submission for row in board.rows))
        made = type(self)(board.model_copy(update={"notes": notes}), self.phase, names, self.facts, known)
        made.competition = self.competition
        return made

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
        _, events = known.events()
        told = history(
            known.spec,
            events,
            until=utc_now(),
            column=self._column(column),
            tasks=self.phase.tasks,
            aggregation=self.board.aggregation,
        )
        names = known.names(self.names, (step.submission for step in told if step.submission))
        people = known.participants
        steps = tuple(
            step.model_copy(
                update={
                    "name": names[step.submission] if step.submission else "",
                    "participant": people.get(step.participant, step.participant),
                }
            )
            for step in told
        )
        return told.model_copy(update={"steps": steps})

    def _column(self, key: str | None) -> ColumnSpec:
        """A visible column; None: the one that ranks, or the first if that is hidden."""
        visible = self.board.columns
        ranking = self.spec.primary if self.spec.primary in visible else visible[0]
        return admission.pick(
            visible, ranking.key if key is None else key, "column", lambda c: c.key, lambda c: c.title
        )

    def _known(self) -> Sources:
        if self._sources is None:
            raise UsageError("this board was made without a workspace: nothing is known of its past", code="CB353")
        return self._sources

    def diff(self, later: Insight) -> BoardDiff:
        """What changed from this board to a later one: places, values, and why; ``.to_frame()``, ``.plot()``.

        Raises
        ------
        UsageError
            ``CB353``: one of them is a page of a board, or no board.
        """
        if not isinstance(later, Insight):
            raise UsageError(f"{later!r:.60} is no board", code="CB353", hint='compare with board.at("2026-03-01")')
        from codabench.leaderboard.diff import compare

        for board in (self.board, later.board):
            if board.total > len(board.rows):
                message = f"{len(board.rows)} of {plural(board.total, 'row')} are no board that can be compared"
                raise UsageError(message, code="CB353", hint="compare whole boards, without page=")

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
        rows = tuple(
            r.model_copy(update={"submission": printable(self.name(r)), "facts": self.facts.get(r.submission, {})})
            for r in self.rows
        )
        questions = {q.key: q.title for q in self.competition.fact_sheet} if self.competition else {}
        facts = {key: questions.get(key, key) for row in rows for key in row.facts}
        said = [f"{s.column.title}: {note}" for s in self._asked() for note in s.notes]
        return self.board.model_copy(update={"rows": rows, "facts": facts, "notes": (*self.board.notes, *said)})

    def _asked(self) -> list[Statistics]:
        """Statistics of these rows that say something: of the column that ranks also why they do not."""
        if not self._statistics:
            return []
        from codabench.leaderboard.analysis import MOST_ROWS

        rows, ranking = tuple(row.submission for row in self.rows[:MOST_ROWS]), self._column(None)
        found = [s for (_, looked), s in self._statistics.items() if looked == rows]
        return [s for s in found if s.known or (s.column == ranking and not s.silent)]
