"""Runs and what happens to them. A status changes here only: event, status, outcome, scores in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from codabench.core.errors import NotFound, StateError
from codabench.core.events import EventKind, StatusEvent, next_status
from codabench.core.problems import Fault
from codabench.core.records import Attempt, HandScore, Outcome, Run, Status, Submission
from codabench.db.connection import Connected, Found
from codabench.db.convert import attempt_from, event_from, event_row, hand_score_from, run_from, run_row, step_rows
from codabench.db.tables import ATTEMPT, EVENT, HAND_SCORE, RUN, STEP, SUBMISSION

# What every status event needs, built once: putting a statement together costs more than carrying it out.
_RUN_AND_TOKEN = (
    select(RUN, ATTEMPT.c.token, ATTEMPT.c.holder, ATTEMPT.c.expires_at)
    .outerjoin(ATTEMPT, RUN.c.attempt == ATTEMPT.c.id)
    .where(RUN.c.id == bindparam("run"))
    .with_for_update(of=RUN)  # PostgreSQL: whoever changes this run waits; SQLite has no such words and one writer
)
_ADVANCE = (
    update(RUN)
    .where(RUN.c.id == bindparam("id_"), RUN.c.last_event == bindparam("seen"))
    .values(
        status=bindparam("status_"),
        last_event=bindparam("sequence_"),
        attempt=bindparam("attempt_"),
        finished_at=bindparam("finished_at_"),
    )
)
_ADD_EVENT = insert(EVENT)
_ADD_ATTEMPT = insert(ATTEMPT)
_ATTEMPTS = select(func.count()).select_from(ATTEMPT).where(ATTEMPT.c.run == bindparam("run"))
_KEEP = (
    update(RUN)
    .where(RUN.c.id == bindparam("id_"))
    .values(outcome=bindparam("outcome_"), fault=bindparam("fault_"), scores=bindparam("scores_"))
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
            return self._start(db, self._run_row(db, run), attempt, token, at, holder, seconds)

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
            status = self._append(db, row, kinds, at, attempt, data or {})
            if outcome is not None:
                self._keep_outcome(db, run, attempt or row.attempt, status, outcome)
        return status

    def _keep_outcome(self, db: Connection, run: str, attempt: str | None, status: Status, outcome: Outcome) -> None:
        fault = outcome.problem.fault if outcome.problem else None
        scores = json.dumps(outcome.scores) if status is Status.FINISHED else None
        kept = {"outcome_": outcome.model_dump_json(), "fault_": fault, "scores_": scores}
        db.execute(_KEEP, {"id_": run, **kept})
        steps = step_rows(run, attempt, outcome) if attempt else []
        if steps:
            db.execute(insert(STEP), steps)

    def _start(
        self, db: Connection, row: Found, attempt: str, token: str, at: datetime, holder: str | None, seconds: float
    ) -> Attempt:
        number = db.execute(_ATTEMPTS, {"run": row.id}).scalar() or 0
        made = Attempt(
            id=attempt,
            run=row.id,
            number=number + 1,
            token=token,
            started_at=at,
            holder=holder,
            expires_at=at + timedelta(seconds=seconds) if holder else None,
            heartbeat_at=at if holder else None,
        )
        db.execute(_ADD_ATTEMPT, made.model_dump())
        self._append(db, row, [EventKind.ATTEMPT_STARTED], at, attempt, {})
        return made

    def _append(
        self,
        db: Connection,
        row: Found,
        kinds: Sequence[EventKind],
        at: datetime,
        reporter: str | None,
        data: dict[str, Any],
    ) -> Status:
        status, rows = Status(row.status), []
        for sequence, kind in enumerate(kinds, row.last_event + 1):
            status = next_status(status, kind)
            event = StatusEvent(run=row.id, sequence=sequence, kind=kind, at=at, attempt=reporter, data=data)
            rows.append(event_row(event))
        values = {
            "id_": row.id,
            "seen": row.last_event,
            "status_": status.value,
            "sequence_": row.last_event + len(rows),
            # Nobody's word counts while a run waits.
            "attempt_": None if kinds[-1] is EventKind.ATTEMPT_LOST else reporter or row.attempt,
            "finished_at_": at if status.is_final else None,
        }
        if db.execute(_ADVANCE, values).rowcount != 1:
            raise StateError(f"run {row.id} was changed by somebody else")
        try:
            db.execute(_ADD_EVENT, rows)
        except IntegrityError as error:
            raise StateError(f"run {row.id} was changed by somebody else") from error
        return status

    def _add_run(self, db: Connection, run: Run, submission: Submission, kind: EventKind) -> None:
        status = next_status(None, kind)
        db.execute(insert(RUN).values(**run_row(run, submission), status=status.value, last_event=1))
        db.execute(_ADD_EVENT, event_row(StatusEvent(run=run.id, sequence=1, kind=kind, at=run.created_at)))

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
