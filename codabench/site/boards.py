"""Leaderboards as people may see them (platform.md 2.4, V11, O63): looked at, drawn, exported, followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from codabench.core.boards import BoardMark
from codabench.core.competition import LeaderboardSpec, PhaseSpec
from codabench.core.errors import Invalid, NotFound, Refused
from codabench.leaderboard import exports
from codabench.leaderboard.board import Board
from codabench.leaderboard.standings import Standings
from codabench.site.actors import Actor, account_of
from codabench.site.board_rows import (
    BoardHead,
    Ranked,
    ShownBoard,
    ShownColumn,
    addressed,
    head_of,
    rows_of,
    shown_tasks,
)
from codabench.site.competitions import Found
from codabench.site.facts import BoardFacts, SubmissionFacts
from codabench.site.finding import Looked, score_key
from codabench.site.numbers import Kind
from codabench.site.part import Part
from codabench.site.policy import Action
from codabench.site.recent import Recent
from codabench.workspace.admission import choose_phase

if TYPE_CHECKING:
    from codabench.site.site import Site

Format = Literal["json", "csv", "zip"]
_MEDIA: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "zip": "application/x-zip-compressed",
}

Score = tuple[str, int | str, str]
"""A submission, a task, the key of a column."""

_BOARDS, _DRAWINGS, _ROWS, _BYTES = 1000, 64, 20_000, 32 << 20
"""What is kept to be shown again: states of boards, drawings, rows, bytes that were written of them."""

_PAUSE = 2.0
"""Seconds between two looks at a board that somebody follows."""


class Exported(NamedTuple):
    """A file that is downloaded."""

    name: str
    media_type: str
    data: bytes


class Change(NamedTuple):
    """A board is another than before: ``(id, kind, data)`` of a server-sent event; `id` is the state of the board."""

    id: str
    kind: str
    data: dict[str, Any]


class _Seen(NamedTuple):
    mark: BoardMark
    board: LeaderboardSpec
    tasks: tuple[int | str, ...]
    state: str
    total: int


class _Looked(NamedTuple):
    found: Found
    place: int
    spec: LeaderboardSpec
    phase: PhaseSpec


class Boards(Part):
    """Every method takes the id of a competition, and mostly which of its leaderboards: its place or its key.

    `key` is that of the secret link of the competition, where somebody shows it.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._seen: Recent[tuple[str, int, int], _Seen] = Recent(_BOARDS)
        self._drawn: Recent[tuple[Any, ...], str] = Recent(_DRAWINGS)
        self._rows: Recent[tuple[Any, ...], Ranked] = Recent(_ROWS)
        self._written: Recent[tuple[Any, ...], bytes] = Recent(_BYTES)
        self._scores: Recent[tuple[Any, ...], dict[Score, int]] = Recent(_ROWS)

    # ------------------------------------------------------------------ looking
    def list(self, actor: Actor, competition: str, *, key: str = "") -> tuple[BoardHead, ...]:
        """The leaderboards of a competition that the actor may see."""
        found = self.site.competitions.look(actor, competition, key=key)
        boards = enumerate(found.spec.ranking)
        may_see = (each for each in boards if self._may_see(actor, found, each[1]))
        return tuple(self._head(actor, found, place, spec) for place, spec in may_see)

    def numbered(self, actor: Actor, number: int, *, key: str = "") -> BoardHead:
        """A leaderboard by its number.

        Raises
        ------
        NotFound
            There is none, or the actor may not know of its competition.
        Refused
            It is hidden from the actor.
        """
        competition, place = self.site.numbers.parts(Kind.BOARD, number)
        looked = self._look(actor, competition, int(place), None, key)
        return self._head(actor, looked.found, looked.place, looked.spec)

    def every_phase(self, actor: Actor, number: int, *, key: str = "") -> Iterator[ShownBoard]:
        """The same, as it is in each phase."""
        competition, place = self.site.numbers.parts(Kind.BOARD, number)
        looked = self._look(actor, competition, int(place), None, key)
        for phase in looked.found.spec.phases:
            yield self.read(actor, competition, looked.place, phase=phase.index, key=key)

    def read(
        self,
        actor: Actor,
        competition: str,
        board: int | str | None = None,
        *,
        phase: int | None = None,
        key: str = "",
        start: int = 0,
        stop: int | None = None,
    ) -> ShownBoard:
        """A leaderboard as it is now: people by the names they chose, values rounded, without hidden columns.

        Parameters
        ----------
        board
            None: the first.
        phase
            Its place; None: the one that is open, else the last that began.
        start, stop
            Only these rows: the best is at 0.

        Raises
        ------
        NotFound
            No such competition, board or phase, or the actor may not know of it.
        Refused
            The board is hidden from the actor.
        """
        looked = self._look(actor, competition, board, phase, key)
        found, period = looked.found, looked.phase
        ranked = self._shown(looked, max(start, 0), stop, pages=self._links_pages(actor, found))
        head = self._head(actor, found, looked.place, looked.spec)
        numbers = {column.spec.key: column.number for column in head.columns}
        return ShownBoard(
            head=head,
            phase=period,
            phase_number=self.site.numbers.of(Kind.PHASE, found.id, period.index),
            columns=tuple(ShownColumn(numbers[c.key], c) for c in ranked.board.columns),
            tasks=shown_tasks(self.site, found.spec, period),
            questions=tuple((q.key, q.title) for q in found.spec.fact_sheet if q.is_on_leaderboard),
            rows=addressed(self.site, actor, found, period, ranked.rows),
            start=max(start, 0),
            total=ranked.board.total,
            notes=ranked.board.notes,
            state=ranked.state,
        )

    def score_numbers(self, actor: Actor, board: ShownBoard) -> dict[Score, int]:
        """The number of each value that rows show, by submission, task and key of the column."""
        which = (board.head.number, board.phase_number, board.state, board.start, len(board.rows))
        found = self._scores.get(which)
        if found is not None:
            return found
        keys = {
            (row.submission, task, column.spec.key): score_key(row.submission, place, column.spec.key)
            for row in board.rows
            for task, place in row.places.items()
            for column in board.columns
        }
        numbers = self.site.numbers.many(Kind.SCORE, keys.values())
        return self._scores.put(which, {score: numbers[key] for score, key in keys.items()}, len(board.rows))

    def written(self, actor: Actor, board: ShownBoard, form: str, write: Callable[[ShownBoard], bytes]) -> bytes:
        """A board in some form, which is written once for all who see the same.

        Parameters
        ----------
        form
            What `write` makes, of nothing but the board.
        """
        rows = tuple((r.username, r.name, r.is_mine, tuple(r.pages.items()), repr(r.answers)) for r in board.rows)
        about = (board.head.number, board.phase, board.tasks, board.questions, board.columns, board.start)
        which = (form, board.state, board.phase_number, repr(about), rows)
        found = self._written.get(which)
        if found is None:
            found = write(board)
            self._written.put(which, found, len(found))
        return found

    # ------------------------------------------------------------------ drawn
    def svg(
        self,
        actor: Actor,
        competition: str,
        board: int | str | None = None,
        *,
        phase: int | None = None,
        key: str = "",
    ) -> str:
        """The first rows of a leaderboard as a drawing: dots by rank, a panel for each column.

        Raises
        ------
        MissingExtra
            ``pip install 'codabench[plot]'``.
        """
        from codabench.leaderboard.plots import MOST_ROWS, board_plot

        looked = self._look(actor, competition, board, phase, key)
        ranked = self._ranked(looked, 0, MOST_ROWS)
        people = self.site.accounts.shown_names(_accounts(ranked))
        names = {row.submission: people.get(row.participant, row.participant) for row in ranked.rows}
        what = (looked.found.id, looked.spec.title, looked.phase.index, ranked.model_dump_json(), *names.values())
        return self._drawn.get(what) or self._drawn.put(what, board_plot(ranked, names, {}).svg())

    # ------------------------------------------------------------------ exported
    def export(
        self,
        actor: Actor,
        competition: str,
        *,
        phase: int | None = None,
        format: Format = "json",  # noqa: A002
    ) -> Exported:
        """Everything that leaderboards have, hidden columns too, as a file (contract.md 5.8).

        Parameters
        ----------
        phase
            Its place; None: every phase, but for ``csv``, which is of one.

        Raises
        ------
        Invalid
            ``CB802``: there is no such format, or more than one board for a table.
        """
        found = self.site.competitions.look(actor, competition, Action.RESULTS_EXPORT)
        if format not in get_args(Format):
            raise Invalid({"format": f"There are: {', '.join(get_args(Format))}."})
        periods = found.spec.phases if phase is None else (_phase_of(found, phase),)
        boards = [(place, spec, period) for period in periods for place, spec in enumerate(found.spec.ranking)]
        if format == "csv" and len(boards) != 1:
            raise Invalid({"phase": "Select a phase, or download a zip: there is more than one leaderboard."})
        results = [self._results(_Looked(found, *each)) for each in boards]
        if format == "csv":
            name, data = results[0].name, exports.results_csv(results[0]).encode()
        elif format == "zip":
            name, data = found.spec.title, exports.results_zip(results)
        else:
            name, data = found.spec.title, exports.results_json(results).encode()
        return Exported(f"{exports.file_name(name)}.{format}", _MEDIA[format], data)

    def _results(self, looked: _Looked) -> exports.Results:
        """A board by the names and numbers that clients of Codabench know."""
        found, period = looked.found, looked.phase
        ranked = self._ranked(looked, 0, None)
        numbers = self.site.numbers.many(Kind.SUBMISSION, [row.submission for row in ranked.rows])
        names = self.db.usernames(_accounts(ranked))
        called = self.db.called(found.id, period.index, list(numbers))
        rows = tuple(
            row.model_copy(
                update={
                    "submission": str(numbers[row.submission]),
                    "participant": names.get(account_of(row.participant) or 0, row.participant),
                }
            )
            for row in ranked.rows
        )
        tasks = {t.index: t.number for t in shown_tasks(self.site, found.spec, period) if t.number is not None}
        return exports.results_of(
            ranked.model_copy(update={"rows": rows}),
            found.spec,
            period,
            {str(numbers[id]): sheet for id, (_, sheet) in called.items() if sheet},
            phase_number=self.site.numbers.of(Kind.PHASE, found.id, period.index),
            task_numbers=tasks,
        )

    # ------------------------------------------------------------------ followed
    def state(
        self,
        actor: Actor,
        competition: str,
        board: int | str | None = None,
        *,
        phase: int | None = None,
        key: str = "",
    ) -> Change:
        """How a leaderboard stands: its `id` is the same as long as nothing on it changes, in every process."""
        looked = self._look(actor, competition, board, phase, key)
        seen = self._state(looked)
        number = self.site.numbers.of(Kind.BOARD, looked.found.id, looked.place)
        return Change(seen.state, "board", {"board": number, "phase": looked.phase.index, "total": seen.total})

    def changes(
        self,
        actor: Actor,
        competition: str,
        board: int | str | None = None,
        after: str | None = None,
        *,
        phase: int | None = None,
        key: str = "",
        every: float = _PAUSE,
    ) -> Iterator[Change | None]:
        """How a leaderboard stands whenever that is another than before; it ends when the actor may not see it.

        None comes where nothing has changed: whoever sends events on learns that the other side is gone only by
        sending something.

        Parameters
        ----------
        after
            The `id` of what is known already.
        every
            Seconds between two looks.
        """
        now = self.state(actor, competition, board, phase=phase, key=key)
        while True:
            yield None if now.id == after else now
            after = now.id
            time.sleep(every)
            try:
                now = self.state(actor, competition, board, phase=phase, key=key)
            except (NotFound, Refused):
                return

    def _state(self, looked: _Looked) -> _Seen:
        """Worked out again only where something of the database says that it may be another."""
        place = (looked.found.id, looked.place, looked.phase.index)
        mark = self.db.board_mark(looked.found.id, looked.phase.index)
        seen = self._seen.get(place)
        if seen is not None and seen[:3] == (mark, looked.spec, looked.phase.tasks):
            return seen
        with self._standings(looked) as standings:
            seen = _Seen(mark, looked.spec, looked.phase.tasks, standings.fingerprint, len(standings))
        return self._seen.put(place, seen)

    def _shown(self, looked: _Looked, start: int, stop: int | None, *, pages: bool) -> Ranked:
        """The board as it is now, with rows for nobody in particular."""

        def key(state: str) -> tuple[Any, ...]:
            return (looked.found.id, looked.place, looked.phase.index, looked.phase.tasks, state, start, stop, pages)

        known = self._rows.get(key(self._state(looked).state))
        if known is not None:
            return known
        with self._standings(looked) as standings:
            # Since it was looked at there may be another one.
            board, state = standings.board(start, stop), standings.fingerprint
        rows = rows_of(self.site, looked.found, looked.phase, board, pages=pages)
        return self._rows.put(key(state), Ranked(board, rows, state), len(rows) + 1)

    # ------------------------------------------------------------------ what it rests on
    def _look(self, actor: Actor, competition: str, board: int | str | None, phase: int | None, key: str) -> _Looked:
        # Who sees the board of a competition need not see the rest of it: staff, before it is published.
        found = Looked(self.site, actor, key=key).competition(competition)
        boards = found.spec.ranking if found is not None else ()
        place = next((n for n, spec in enumerate(boards) if board in (None, n, spec.key)), None)
        if found is None or place is None:
            raise NotFound("there is no such leaderboard, or not for you")
        self.site.policy.require(actor, Action.BOARD_READ, BoardFacts(found.facts, boards[place].hidden))
        period = choose_phase(found.spec, self.site.now()) if phase is None else _phase_of(found, phase)
        return _Looked(found, place, boards[place], period)

    def _may_see(self, actor: Actor, found: Found, spec: LeaderboardSpec) -> bool:
        return self.site.policy.allows(actor, Action.BOARD_READ, BoardFacts(found.facts, spec.hidden))

    def _head(self, actor: Actor, found: Found, place: int, spec: LeaderboardSpec) -> BoardHead:
        hidden = self.site.policy.allows(actor, Action.RESULTS_EXPORT, found.facts)
        return head_of(self.site, found.id, place, spec, hidden=hidden)

    def _links_pages(self, actor: Actor, found: Found) -> bool:
        """Whether pages with details are linked: where organizers want that, for those who may open them."""
        spec = found.spec
        facts = SubmissionFacts(found.facts, detailed_results=spec.enable_detailed_results)
        may = self.site.policy.allows(actor, Action.SUBMISSION_DETAILED_RESULT, facts)
        return may and spec.show_detailed_results_in_leaderboard

    def _standings(self, looked: _Looked) -> AbstractContextManager[Standings]:
        spec = looked.spec
        return self.site.workspace.boards.look(looked.found.id, looked.phase, spec, rule=spec.submission_rule)

    def _ranked(self, looked: _Looked, start: int, stop: int | None) -> Board:
        with self._standings(looked) as standings:
            return standings.board(start, stop)


def _phase_of(found: Found, place: int) -> PhaseSpec:
    if not 0 <= place < len(found.spec.phases):
        raise NotFound("there is no such phase, or not for you")
    return found.spec.phases[place]


def _accounts(board: Board) -> set[int]:
    """Those whose submissions are on a board."""
    return {account for row in board.rows if (account := account_of(row.participant)) is not None}
