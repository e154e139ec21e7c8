"""What goes on in a workspace, whoever does it: who drives runs, where they take place, how many ended how."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, select

from codabench.core.base import Record
from codabench.core.events import EventKind
from codabench.core.records import Status
from codabench.db.connection import Connected
from codabench.db.tables import ATTEMPT, EVENT, LEASE, RUN, SUBMISSION
from codabench.db.taking import LIVE
from codabench.db.waiting import HERE

_BEGUN = EVENT.c.kind.in_([EventKind.PREDICTION_STARTED.value, EventKind.SCORING_STARTED.value])
_WATCH = "watch:"
"""What the leases of those who look on are called, before the run."""


class Presence(Record):
    """A dispatcher that has said that it is there.

    Attributes
    ----------
    expires_at
        Until when it counts as alive, unless it is heard of again.
    about
        What it said of itself.
    """

    holder: str
    expires_at: datetime
    about: Any = None


class Ended(Record):
    """How many runs ended how, by whose attempt and where; what was never begun has neither."""

    holder: str | None
    status: Status
    place: dict[str, Any] = {}
    many: int


class Standing(Connected):
    """Questions about what goes on; none of them changes anything of runs."""

    def presences(self) -> list[Presence]:
        """Every dispatcher that has not said that it leaves, also those that are silent."""
        here = LEASE.c.name.startswith(HERE, autoescape=True)
        with self._read() as db:
            return [
                Presence(holder=row.holder, expires_at=row.expires_at, about=json.loads(row.about or "null"))
                for row in db.execute(select(LEASE).where(here).order_by(LEASE.c.name))
            ]

    def status_counts(self) -> dict[Status, int]:
        """How many runs have each status: all of submissions that are not deleted, those of re-evaluations too."""
        query = (
            select(RUN.c.status, func.count().label("many"))
            .join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id)
            .where(SUBMISSION.c.deleted_at.is_(None))
            .group_by(RUN.c.status)
        )
        with self._read() as db:
            return {Status(row.status): row.many for row in db.execute(query)}

    def places(self) -> dict[str, dict[str, Any]]:
        """Where the attempts take place that have begun a step: by run, what the last step said."""
        query = select(EVENT.c.run, EVENT.c.data).join(RUN, EVENT.c.run == RUN.c.id)
        query = query.where(LIVE, _BEGUN, EVENT.c.attempt == RUN.c.attempt).order_by(EVENT.c.sequence)
        with self._read() as db:
            return {row.run: json.loads(row.data) for row in db.execute(query)}

    def ended_since(self, since: datetime) -> list[Ended]:
        """How many runs ended after a moment, by holder, status and place."""
        scored = and_(
            EVENT.c.run == RUN.c.id,
            EVENT.c.kind == EventKind.SCORING_STARTED.value,
            EVENT.c.attempt == RUN.c.attempt,
        )
        fresh = RUN.alias("fresh")  # an index holds all that is asked of it; the rows of runs are large
        ids = select(fresh.c.id).where(fresh.c.finished_at > since)
        what = (ATTEMPT.c.holder, RUN.c.status, EVENT.c.data)
        query = select(*what, func.count().label("many")).select_from(RUN)
        query = query.outerjoin(ATTEMPT, RUN.c.attempt == ATTEMPT.c.id).outerjoin(EVENT, scored)
        with self._read() as db:
            return [
                Ended(holder=row.holder, status=Status(row.status), place=json.loads(row.data or "{}"), many=row.many)
                for row in db.execute(query.where(RUN.c.id.in_(ids)).group_by(*what))
            ]

    # ------------------------------------------------------------------ who looks on
    def watch(self, run: str, reader: str, *, now: datetime, seconds: float) -> None:
        """Say that somebody wants to hear what a run reports while it goes on, for so long."""
        until = now + timedelta(seconds=seconds)
        over = LEASE.c.name.startswith(_WATCH, autoescape=True) & (LEASE.c.expires_at <= now)
        wanted = self._insert(LEASE).values(name=_WATCH + run, holder=reader, token=reader, expires_at=until)
        with self._change() as db:
            db.execute(delete(LEASE).where(over))
            db.execute(wanted.on_conflict_do_update(index_elements=["name"], set_={"expires_at": until}))

    def watched(self, now: datetime) -> set[str]:
        """The runs that somebody wants to hear of."""
        query = select(LEASE.c.name).where(LEASE.c.name.startswith(_WATCH, autoescape=True), LEASE.c.expires_at > now)
        with self._read() as db:
            return {str(name).removeprefix(_WATCH) for name in db.execute(query).scalars()}


def by_status(ended: list[Ended]) -> Counter[Status]:
    """How many ended how."""
    found: Counter[Status] = Counter()
    for each in ended:
        found[each.status] += each.many
    return found
