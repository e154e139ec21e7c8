"""The queue: leases and heartbeats, taking over. Many dispatchers may share it; who is next is in `taking`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, update

from codabench.core.errors import StateError
from codabench.core.events import EventKind
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Run, Status
from codabench.db.convert import attempt_from, run_from
from codabench.db.recording import Happened, Writing
from codabench.db.tables import ATTEMPT, LEASE, RUN, SUBMISSION
from codabench.db.taking import LIVE, Taking, takeable, words

_WAITS = RUN.c.status == Status.SUBMITTED.value
_UNBEGUN = RUN.c.status.in_([Status.SUBMITTING.value, Status.SUBMITTED.value])
HERE = "dispatcher:"
"""What the leases of dispatchers are called, before their holders: they say who is there."""


class Queue(Taking):
    """Runs that wait, and those that somebody drives."""

    def queued(self, limit: int) -> list[Run]:
        """Runs that wait, oldest first."""
        query = (
            select(RUN)
            .join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id)
            .where(_WAITS)
            .order_by(SUBMISSION.c.sequence, RUN.c.position)
            .limit(limit)
        )
        with self._read() as db:
            return [run_from(row) for row in db.execute(query)]

    def waiting_before(self, run: str) -> int:
        """How many runs that wait are older than this one."""
        here = select(SUBMISSION.c.sequence, RUN.c.position).join(RUN, RUN.c.submission == SUBMISSION.c.id)
        with self._read() as db:
            mine = db.execute(here.where(RUN.c.id == run)).one()
            older = (SUBMISSION.c.sequence < mine.sequence) | (
                (SUBMISSION.c.sequence == mine.sequence) & (RUN.c.position < mine.position)
            )
            count = select(func.count()).select_from(RUN).join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id)
            return int(db.execute(count.where(_WAITS, older)).scalar() or 0)

    def in_flight(self, holder: str | None = None) -> list[tuple[Run, Attempt]]:
        """The attempts that go on, of one holder or of all, oldest first."""
        mine = LIVE if holder is None else LIVE & (ATTEMPT.c.holder == holder)
        return self._flights(mine)

    def expired(self, now: datetime) -> list[tuple[Run, Attempt]]:
        """The attempts whose holder was not heard of in time, oldest first."""
        return self._flights(LIVE & or_(ATTEMPT.c.expires_at.is_(None), ATTEMPT.c.expires_at <= now))

    def _flights(self, which: Any) -> list[tuple[Run, Attempt]]:
        columns = [column.label(f"attempt_{column.name}") for column in ATTEMPT.c]
        query = select(RUN, *columns).join(ATTEMPT, RUN.c.attempt == ATTEMPT.c.id).where(which)
        with self._read() as db:
            rows = db.execute(query.order_by(ATTEMPT.c.started_at, ATTEMPT.c.id)).all()
        return [(run_from(row), attempt_from(_Prefixed(row))) for row in rows]

    def heartbeat(self, holder: str, *, now: datetime, seconds: float, about: str | None = None) -> set[str]:
        """Say that a holder is still there; returns the ids of those of its attempts that still count.

        What is not among them was taken over by somebody else, or is over: its work is to be stopped.

        Parameters
        ----------
        about
            What it says of itself; None: what it said before.
        """
        current = select(RUN.c.attempt).where(LIVE)
        mine = (ATTEMPT.c.holder == holder) & ATTEMPT.c.id.in_(current)
        until = now + timedelta(seconds=seconds)
        said: dict[str, Any] = {"expires_at": until} | ({} if about is None else {"about": about})
        here = self._insert(LEASE).values(name=HERE + holder, holder=holder, token=holder, **said)
        here = here.on_conflict_do_update(index_elements=["name"], set_=said)
        beat = update(ATTEMPT).where(mine).values(heartbeat_at=now, expires_at=until)
        with self._change() as db:
            db.execute(here)
            return set(db.execute(beat.returning(ATTEMPT.c.id)).scalars())

    def leave(self, holder: str) -> None:
        """Say that a holder takes nothing more."""
        with self._change() as db:
            db.execute(delete(LEASE).where(LEASE.c.name == HERE + holder))

    def present(self, now: datetime) -> list[str]:
        """The holders that were heard of in time: who would take a run."""
        here = LEASE.c.name.startswith(HERE, autoescape=True) & (LEASE.c.expires_at > now)
        with self._read() as db:
            return list(db.execute(select(LEASE.c.holder).where(here).order_by(LEASE.c.name)).scalars())

    def waits(self, holder: str, now: datetime | None = None, *, but_not: Collection[Any] = ()) -> bool:
        """Whether any run waits that a holder may take: at `now`, or ever."""
        query = select(RUN.c.id).where(takeable(RUN.c, words(but_not), at_once=now is not None)).limit(1)
        with self._read() as db:
            return db.execute(query, {"holder": holder, "now": now}).first() is not None

    def counts(self) -> tuple[int, int]:
        """How many runs wait, and how many are under way."""
        query = select(func.count()).select_from(RUN)
        with self._read() as db:
            return int(db.execute(query.where(_WAITS)).scalar_one()), int(db.execute(query.where(LIVE)).scalar_one())

    def unwanted(self) -> list[Run]:
        """Runs that somebody wants cancelled and nobody has begun: nobody takes them any more."""
        return self._unbegun(RUN.c.cancel_reason.is_not(None))

    def pinned(self) -> list[Run]:
        """Runs that nobody has begun and only one holder can."""
        return self._unbegun(RUN.c.pinned.is_not(None))

    def _unbegun(self, which: Any) -> list[Run]:
        with self._read() as db:
            rows = db.execute(select(RUN).where(_UNBEGUN, which).order_by(RUN.c.created_at, RUN.c.id))
            return [run_from(row) for row in rows]

    def cancels(self, holder: str) -> list[tuple[str, str, Fault]]:
        """(run, reason, who) of the runs in this holder's hands that somebody wants cancelled."""
        query = select(RUN.c.id, RUN.c.cancel_reason, RUN.c.cancel_fault).join(ATTEMPT, RUN.c.attempt == ATTEMPT.c.id)
        query = query.where(LIVE, ATTEMPT.c.holder == holder, RUN.c.cancel_reason.is_not(None))
        with self._read() as db:
            return [(row.id, row.cancel_reason, Fault(row.cancel_fault)) for row in db.execute(query)]

    def lose_attempt(
        self,
        run: str,
        attempt: str,
        *,
        at: datetime,
        holder: str | None = None,
        not_before: datetime | None = None,
        data: dict[str, Any] | None = None,
    ) -> Status:
        """Give an attempt up: its run waits again, and nothing that the attempt reports counts any more.

        Parameters
        ----------
        holder
            Its holder gives it up itself; None: its lease must have expired.
        not_before
            When the run may be taken again.
        data
            Kept with the event: why.

        Raises
        ------
        StateError
            If it is not the run's attempt any more, or its holder was heard of in the meantime.
        """
        with self._change() as db:
            row = self._run_row(db, run)
            if row.attempt != attempt:
                raise StateError(f"attempt {attempt} of run {run} does not count any more", code="CB711")
            held = row.holder != holder if holder is not None else row.expires_at is not None and row.expires_at > at
            if held:
                raise StateError(f"attempt {attempt} of run {run} is in the hands of {row.holder}", code="CB711")
            writing = Writing()
            status = writing.advance(row, [Happened(EventKind.ATTEMPT_LOST, at, data or {})], None)
            writing.carry_out(db)
            db.execute(update(RUN).where(RUN.c.id == run).values(not_before=not_before))
        return status

    # ------------------------------------------------------------------ leases by name
    def take_lease(self, name: str, *, holder: str, token: str, now: datetime, seconds: float) -> bool:
        """Take or renew a lease; False if somebody else holds it and it has not expired."""
        values = {"holder": holder, "token": token, "expires_at": now + timedelta(seconds=seconds)}
        with self._change() as db:
            row = db.execute(select(LEASE).where(LEASE.c.name == name).with_for_update()).first()
            if row is None:
                first = self._insert(LEASE).values(name=name, **values).on_conflict_do_nothing()
                return db.execute(first.returning(LEASE.c.name)).first() is not None
            if row.token != token and row.expires_at > now:
                return False
            mine = (LEASE.c.name == name) & (LEASE.c.token == row.token)
            return db.execute(update(LEASE).where(mine).values(**values)).rowcount == 1

    def lease_holder(self, name: str, *, now: datetime) -> str | None:
        """Who holds a lease that has not expired."""
        with self._read() as db:
            row = db.execute(select(LEASE).where(LEASE.c.name == name)).first()
        return str(row.holder) if row is not None and row.expires_at > now else None

    def release_lease(self, name: str, *, token: str) -> None:
        """Let go of a lease that is ours."""
        with self._change() as db:
            db.execute(delete(LEASE).where(LEASE.c.name == name, LEASE.c.token == token))


class _Prefixed:
    """The attempt in a row that also holds its run."""

    def __init__(self, row: Any) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, f"attempt_{name}")
