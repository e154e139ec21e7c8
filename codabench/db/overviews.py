"""What those who run a site look at: where submissions were carried out, how much there was of what, what is said."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, delete, func, select

from codabench.core.events import EventKind
from codabench.db.connection import Connected
from codabench.db.site_tables import ACCOUNT, HOSTED
from codabench.db.tables import ATTEMPT, COMPETITION, EVENT, META, RUN, SUBMISSION

_STEPS = {EventKind.PREDICTION_STARTED.value: "prediction", EventKind.SCORING_STARTED.value: "scoring"}
_PART = 500
_SAID = "site."


class Carried(NamedTuple):
    """Where a step of a run was carried out.

    Attributes
    ----------
    holder
        Label of the process that drove it.
    place
        What the step said of where it is, such as the name of a worker.
    """

    run: str
    step: str
    holder: str | None
    place: dict[str, Any]


class Overviews(Connected):
    """Questions of those who run a site, and what they say to everybody."""

    def carried_out(self, runs: Collection[str]) -> list[Carried]:
        """Where the steps of runs were carried out, by the attempt that counts."""
        query = (
            select(EVENT.c.run, EVENT.c.kind, EVENT.c.data, ATTEMPT.c.holder)
            .join(RUN, (EVENT.c.run == RUN.c.id) & (EVENT.c.attempt == RUN.c.attempt))
            .join(ATTEMPT, ATTEMPT.c.id == RUN.c.attempt)
            .where(EVENT.c.kind.in_(_STEPS))
            .order_by(EVENT.c.run, EVENT.c.sequence)
        )
        wanted, found = sorted(set(runs)), list[Carried]()
        with self._read() as db:
            for start in range(0, len(wanted), _PART):
                for row in db.execute(query.where(EVENT.c.run.in_(wanted[start : start + _PART]))):
                    found.append(Carried(row.run, _STEPS[row.kind], row.holder, json.loads(row.data) or {}))
        return found

    def daily_counts(self, since: datetime, until: datetime) -> dict[str, dict[str, int]]:
        """What came on each day of UTC: ``users``, ``competitions``, ``published``, ``submissions`` -> day -> how many.

        What was deleted since does not count; ``published`` are those of the new competitions that everybody may see.
        """
        live = COMPETITION.c.deleted_at.is_(None)
        hosted = HOSTED.join(COMPETITION)
        there = SUBMISSION.c.deleted_at.is_(None)
        return {
            "users": self._daily(ACCOUNT, ACCOUNT.c.created_at, since, until, ACCOUNT.c.deleted_at.is_(None)),
            "competitions": self._daily(hosted, HOSTED.c.created_at, since, until, live),
            "published": self._daily(hosted, HOSTED.c.created_at, since, until, live, HOSTED.c.published),
            "submissions": self._daily(SUBMISSION, SUBMISSION.c.created_at, since, until, there),
        }

    def _daily(
        self, source: Table | Any, at: Any, since: datetime, until: datetime, *conditions: ColumnElement[bool]
    ) -> dict[str, int]:
        day = func.strftime("%Y-%m-%d", at) if self.is_sqlite else func.to_char(func.timezone("UTC", at), "YYYY-MM-DD")
        query = select(day.label("day"), func.count().label("many")).select_from(source)
        query = query.where(at >= since, at < until, *conditions).group_by(day)
        with self._read() as db:
            return {row.day: row.many for row in db.execute(query)}

    # ------------------------------------------------------------------ what is said
    def said(self, about: str) -> str | None:
        """What those who run the site have said of something; None: nothing."""
        with self._read() as db:
            return db.execute(select(META.c.value).where(META.c.key == _SAID + about)).scalar()

    def say(self, about: str, text: str | None) -> None:
        """Say something; None takes back what was said."""
        with self._change() as db:
            if text is None:
                db.execute(delete(META).where(META.c.key == _SAID + about))
                return
            insert = self._insert(META).values(key=_SAID + about, value=text)
            db.execute(insert.on_conflict_do_update(index_elements=[META.c.key], set_={"value": text}))
