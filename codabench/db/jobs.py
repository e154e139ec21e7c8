"""Work that somebody waits for: who carries it out, how far it is, what came of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update

from codabench.core.errors import NotFound
from codabench.core.hosting import Job, JobKind, JobState
from codabench.db.connection import Connected
from codabench.db.site_tables import JOB


class Jobs(Connected):
    """A job is carried out by whoever holds it. One whose holder is not heard of any more is taken by another."""

    def add_job(
        self, kind: JobKind, account: int, given: dict[str, str | bool], *, at: datetime, competition: str | None = None
    ) -> Job:
        """Keep a job that waits."""
        row: dict[str, Any] = {"kind": kind.value, "account": account, "competition": competition}
        row |= {"given": json.dumps(given)}
        row |= {"state": JobState.WAITING.value, "done": 0.0, "details": "", "created_at": at}
        with self._change() as db:
            return job_from(db.execute(self._insert(JOB).values(**row).returning(JOB)).one())

    def job(self, id: int) -> Job:
        """A job by its number; `NotFound` if there is none."""
        with self._read() as db:
            row = db.execute(select(JOB).where(JOB.c.id == id)).first()
        if row is None:
            raise NotFound(f"no job {id}")
        return job_from(row)

    def jobs(self, *, competition: str | None = None, kind: JobKind | None = None) -> list[Job]:
        """Jobs, oldest first."""
        query = select(JOB).order_by(JOB.c.id)
        if competition is not None:
            query = query.where(JOB.c.competition == competition)
        if kind is not None:
            query = query.where(JOB.c.kind == kind.value)
        with self._read() as db:
            return [job_from(row) for row in db.execute(query)]

    def claim_job(self, holder: str, *, now: datetime, until: datetime) -> Job | None:
        """Take the oldest job that waits, or whose holder was silent for too long; None: there is none."""
        left = (JOB.c.state == JobState.RUNNING.value) & (JOB.c.expires_at <= now)
        free = or_(JOB.c.state == JobState.WAITING.value, left)
        oldest = select(JOB.c.id).where(free).order_by(JOB.c.id).limit(1)
        if not self.is_sqlite:
            oldest = oldest.with_for_update(skip_locked=True)
        taken = {"state": JobState.RUNNING.value, "holder": holder, "expires_at": until}
        with self._change() as db:
            mine = update(JOB).where(JOB.c.id == oldest.scalar_subquery(), free).values(**taken)
            row = db.execute(mine.returning(JOB)).first()
        return None if row is None else job_from(row)

    def beat_job(self, id: int, holder: str, *, until: datetime, done: float, details: str) -> bool:
        """Say how far it is; False: somebody else has it by now."""
        return self._set(id, holder, expires_at=until, done=done, details=details)

    def end_job(
        self,
        id: int,
        holder: str,
        state: JobState,
        *,
        at: datetime,
        details: str = "",
        result: str | None = None,
        competition: str | None = None,
    ) -> bool:
        """Say what came of it; False: somebody else has it by now."""
        values: dict[str, Any] = {"state": state.value, "details": details, "result": result, "ended_at": at}
        if state is JobState.FINISHED:
            values["done"] = 1.0
        if competition is not None:
            values["competition"] = competition
        return self._set(id, holder, **values)

    def _set(self, id: int, holder: str, **values: Any) -> bool:
        mine = (JOB.c.id == id) & (JOB.c.holder == holder) & (JOB.c.state == JobState.RUNNING.value)
        with self._change() as db:
            return db.execute(update(JOB).where(mine).values(**values)).rowcount == 1


def job_from(row: Any) -> Job:
    fields = {name: getattr(row, name) for name in Job.model_fields}
    return Job(**{**fields, "given": json.loads(row.given)})
