"""Runs and what happens to them. A status changes here only: event, status, outcome, scores in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from codabench.core.errors import NotFound, StateError
from codabench.core.events import EventKind, StatusEvent, next_status
from codabench.core.problems import Fault
from codabench.core.records import Attempt, HandScore, Outcome, Run, Status, Submission
from codabench.db.connection import Connected, Found
from codabench.db.convert import attempt_from, event_from, event_row, hand_score_from, run_from, run_row
from codabench.db.recording import Happened, Told, Writing
from codabench.db.tables import ATTEMPT, EVENT, HAND_SCORE, RUN, SUBMISSION

# What every status event needs, built once: putting a statement together costs more than carrying it out.
_HELD = (
    select(RUN, ATTEMPT.c.token, ATTEMPT.c.holder, ATTEMPT.c.expires_at)
    .outerjoin(ATTEMPT, RUN.c.attempt == ATTEMPT.c.id)
    .with_for_update(of=RUN)  # PostgreSQL: whoever changes this run waits; SQLite has no such words and one writer
)
_RUN_AND_TOKEN = _HELD.where(RUN.c.id == bindparam("run"))
# All take rows in the same order, or two who change several would wait for each other.
_RUNS_AND_TOKENS = _HELD.where(RUN.c.id.in_(bindparam("runs", expanding=True))).order_by(RUN.c.id)
_ATTEMPTS = (
    select(ATTEMPT.c.run, func.count().label("many"))
    .where(ATTEMPT.c.run.in_(bindparam("runs", expanding=True)))
    .group_by(ATTEMPT.c.run)
)


class Runs(Connected):
    """Guarded changes of runs, and questions about them."""

    def runs(self, competition: str, phase: int | None = None, *, shown: bool = True) -> list[Run]:
        """The runs of the submissions to a competition that are not deleted, in their order, then by place of the task.

        Parameters
        ----------
        shown
            Only those that boards show, not those of re-evaluations or those that were replaced; False: all.
        """
        query = (
            select(RUN)
            .join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id)
            .where(SUBMISSION.c.competition == competition, SUBMISSION.c.deleted_at.is_(None))
            .order_by(SUBMISSION.c.sequence, RUN.c.position, RUN.c.created_at)
        )
        if phase is not None:
            query = query.where(SUBMISSION.c.phase == phase)
        if shown:
            query = query.where(RUN.c.shown)
        with self._read() as db:
            return [run_from(row) for row in db.execute(query)]

    def run(self, id: str) -> Run:
        """One run; `NotFound` if there is none."""
        with self._read() as db:
            row = db.execute(select(RUN).where(RUN.c.id == id)).first()
        if row is None:
            raise NotFound(f"no run {id!r} in {self.url}")
        return run_from(row)

    def runs_of(self, submission: str) -> list[Run]:
        """Every run of a submission, also those that boards do not show."""
        query = select(RUN).where(RUN.c.submission == submission).order_by(RUN.c.position, RUN.c.created_at)
        with self._read() as db:
            return [run_from(row) for row in db.execute(query)]

    def events(self, run: str) -> list[StatusEvent]:
        """The history of a run."""
        with self._read() as db:
            return [
                event_from(r) for r in db.execute(select(EVENT).where(EVENT.c.run == run).order_by(EVENT.c.sequence))
            ]

    def attempts(self, run: str) -> list[Attempt]:
        """Every attempt at a run, oldest first."""
        query = select(ATTEMPT).where(ATTEMPT.c.run == run).order_by(ATTEMPT.c.number)
        with self._read() as db:
            return [attempt_from(row) for row in db.execute(query)]

    # ------------------------------------------------------------------ transitions
    def start_attempt(
        self,
        run: str,
        *,
        attempt: str,
        token: str,
        at: datetime,
        holder: str | None = None,
        seconds: float = 0.0,
    ) -> Attempt:
        """Begin an attempt at a queued run. From now on only its token may change the run.

        Parameters
        ----------
        holder, seconds
            Who holds it, and for how long unless `heartbeat` says that they are still there.

        Raises
        ------
        StateError
            If the run does not wait any more.
        """
        with self._change() as db:
            row = self._run_row(db, run)
            return self._start(db, [(row, attempt, token)], at, holder, seconds)[0]

    def append(
        self,
        run: str,
        kinds: Sequence[EventKind],
        *,
        at: datetime,
        attempt: str | None = None,
        token: str | None = None,
        data: dict[str, Any] | None = None,
        outcome: Outcome | None = None,
    ) -> Status:
        """Append events, and with the last of them keep the outcome, its steps and its scores: one transaction.

        Parameters
        ----------
        attempt, token
            Who reports. If given they must be the run's current attempt and its token.

        Raises
        ------
        StateError
            If the table of transitions forbids it, or the attempt does not count any more.
        """
        with self._change() as db:
            row = self._run_row(db, run)
            if attempt is not None and (row.attempt, row.token) != (attempt, token):
                raise StateError(f"attempt {attempt} of run {run} does not count any more", code="CB711")
            writing = Writing()
            status = writing.advance(row, [Happened(kind, at, data or {}) for kind in kinds], attempt)
            if outcome is not None:
                writing.keep(run, attempt or row.attempt, status, outcome)
            writing.carry_out(db)
        return status

    def record(self, told: Sequence[Told]) -> dict[str, StateError]:
        """Record what attempts tell of their runs: one transaction for all of them.

        What was recorded already stays as it is, so that who got no answer may ask again.

        Returns
        -------
        dict
            By attempt, why what it tells was left out: it does not count any more, or its run has changed otherwise.
        """
        refused: dict[str, StateError] = {}
        with self._change() as db:
            rows = {row.id: row for row in db.execute(_RUNS_AND_TOKENS, {"runs": sorted({t.run for t in told})})}
            writing = Writing()
            for each in told:
                try:
                    _take_down(writing, rows.get(each.run), each)
                except StateError as error:
                    refused[each.attempt] = error
            writing.carry_out(db)
        return refused

    def _start(
        self,
        db: Connection,
        begun: Sequence[tuple[Found, str, str]],
        at: datetime,
        holder: str | None,
        seconds: float,
    ) -> list[Attempt]:
        """Attempts at runs: their rows, ids and tokens."""
        before = {row.run: row.many for row in db.execute(_ATTEMPTS, {"runs": [row.id for row, _, _ in begun]})}
        writing, made = Writing(), []
        for row, id, token in begun:
            attempt = Attempt(
                id=id,
                run=row.id,
                number=before.get(row.id, 0) + 1,
                token=token,
                started_at=at,
                holder=holder,
                expires_at=at + timedelta(seconds=seconds) if holder else None,
                heartbeat_at=at if holder else None,
            )
            writing.begin(row, attempt)
            made.append(attempt)
        writing.carry_out(db)
        return made

    def _add_run(self, db: Connection, run: Run, submission: Submission, kind: EventKind) -> None:
        status = next_status(None, kind)
        db.execute(insert(RUN).values(**run_row(run, submission), status=status.value, last_event=1))
        db.execute(insert(EVENT), event_row(StatusEvent(run=run.id, sequence=1, kind=kind, at=run.created_at)))

    def _run_row(self, db: Connection, id: str) -> Found:
        """A run that is about to be changed, with what is known of its current attempt."""
        row = db.execute(_RUN_AND_TOKEN, {"run": id}).first()
        if row is None:
            raise NotFound(f"no run {id!r} in {self.url}")
        return row

    # ------------------------------------------------------------------ wishes and corrections
    def request_cancel(self, run: str, reason: str, *, fault: Fault) -> bool:
        """Ask whoever drives a run to cancel it; False if it is over. A run that waits is cancelled by `append`.

        Parameters
        ----------
        fault
            Who cancels: what an organizer or the operator cancelled does not count against limits.
        """
        live = RUN.c.status.not_in([s.value for s in Status if s.is_final])
        asked = update(RUN).where(RUN.c.id == run, live).values(cancel_reason=reason, cancel_fault=fault)
        with self._change() as db:
            return db.execute(asked).rowcount == 1

    def set_score(self, score: HandScore) -> None:
        """Keep a number that an organizer sets; what the scoring program wrote stays as it is."""
        with self._change() as db:
            db.execute(insert(HAND_SCORE).values(**score.model_dump()))

    def hand_scores(self, competition: str) -> list[HandScore]:
        """What organizers set for the runs of a competition, oldest first: the last for a key holds."""
        query = select(HAND_SCORE).join(RUN, HAND_SCORE.c.run == RUN.c.id).where(RUN.c.competition == competition)
        with self._read() as db:
            return [hand_score_from(row) for row in db.execute(query.order_by(HAND_SCORE.c.sequence))]

    def hand_scores_of(self, run: str) -> list[HandScore]:
        """What organizers set for a run, oldest first."""
        query = select(HAND_SCORE).where(HAND_SCORE.c.run == run).order_by(HAND_SCORE.c.sequence)
        with self._read() as db:
            return [hand_score_from(row) for row in db.execute(query)]


def _take_down(writing: Writing, row: Found | None, told: Told) -> None:
    if row is None or (row.attempt, row.token) != (told.attempt, told.token):
        raise StateError(f"attempt {told.attempt} of run {told.run} does not count any more", code="CB711")
    if (row.last_event, row.status) == (told.seen + len(told.happened), told.status):
        return
    if row.last_event != told.seen:
        raise StateError(f"run {told.run} was changed by somebody else")
    status = writing.advance(row, told.happened, told.attempt)
    if told.outcome is not None:
        writing.keep(told.run, told.attempt, status, told.outcome)
