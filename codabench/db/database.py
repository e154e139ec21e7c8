"""`Database`: guarded changes and plain questions. Every public method is one transaction.

The subjects are in modules of their own: `competitions`, `submissions`, `runs`, `waiting` (the queue and its leases),
`standing` (who does what where), `batches` (steps that are reused, re-evaluations), `finding` (what people call
things), `boards` (what is ranked); for a site `people`, `credentials`, `outbox` (mails), `hosting`,
`participations`, `postings`, `resources` (data sets), `shared_tasks`, `uses` (what needs them), `quotas`, `jobs`,
`numbers`, `overviews`.
`connection` opens, `schema` brings older tables up to date.
"""

from __future__ import annotations

import sqlite3
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from codabench.core.errors import StateError
from codabench.core.events import EventKind, next_status
from codabench.core.records import Status
from codabench.db.batches import Batches
from codabench.db.boards import Boards
from codabench.db.competitions import Competitions
from codabench.db.credentials import Credentials
from codabench.db.finding import Finding
from codabench.db.hosting import Hosting
from codabench.db.jobs import Jobs
from codabench.db.numbers import Numbers
from codabench.db.outbox import Outbox
from codabench.db.overviews import Overviews
from codabench.db.participations import Participations
from codabench.db.people import People
from codabench.db.postings import Postings
from codabench.db.quotas import Quotas
from codabench.db.resources import Resources
from codabench.db.schema import prepare
from codabench.db.shared_tasks import SharedTasks
from codabench.db.standing import Standing
from codabench.db.submissions import Submissions
from codabench.db.tables import EVENT, RUN
from codabench.db.uses import Uses
from codabench.db.waiting import Queue


class Database(
    Competitions, Submissions, Queue, Batches, Finding, Boards, Standing,
    People, Credentials, Outbox, Hosting, Participations, Postings, Resources, SharedTasks,
    Uses, Quotas, Jobs, Numbers, Overviews,
):  # fmt: skip
    """The rows of one workspace, and of the site around it where there is one.

    Parameters
    ----------
    url
        An SQLAlchemy URL; ``sqlite://`` is in memory and lives as long as this object.

    Raises
    ------
    StorageError
        If it cannot be opened, was written by a later version, or is older and cannot be brought up to date.
    """

    def __init__(self, url: str = "sqlite://") -> None:
        super().__init__(url)
        try:
            with self._writing, self._engine.begin() as connection:
                prepare(connection, self.url)
        except SQLAlchemyError as error:
            raise self._unopened(error) from error

    def check(self) -> list[str]:
        """What does not agree: damaged pages, rows that refer to nothing, statuses that do not follow from history."""
        wrong: list[str] = [] if self.in_memory or not self.is_sqlite else _damaged(str(self._engine.url.database))
        if wrong:  # nothing else can be relied on
            return wrong
        with self._snapshot() as db:
            if self.is_sqlite:
                loose = db.exec_driver_sql("PRAGMA foreign_key_check").all()
                wrong += [f"a row of {row[0]} refers to a row of {row[2]} that is not there" for row in loose]
            histories = select(EVENT.c.run, EVENT.c.kind, EVENT.c.sequence).order_by(EVENT.c.run, EVENT.c.sequence)
            kept = {row.id: row for row in db.execute(select(RUN.c.id, RUN.c.status, RUN.c.last_event))}
            rows = db.execute(histories.execution_options(yield_per=1000))
            for run, events in groupby(rows, key=lambda row: str(row.run)):
                wrong += _disagreement(run, list(events), kept.pop(run, None))
        return wrong + [f"run {run} has no history" for run in kept]


def _damaged(path: str) -> list[str]:
    raw = sqlite3.connect(path)
    try:
        found = [str(row[0]) for row in raw.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:  # so much so that it cannot be told
        found = [str(error)]
    finally:
        raw.close()
    return [f"the file is damaged: {text}" for text in found if text != "ok"]


def _disagreement(run: str, events: list[Any], row: Any) -> list[str]:
    status: Status | None = None
    try:
        for event in events:
            status = next_status(status, EventKind(event.kind))
    except (StateError, ValueError) as error:
        return [f"the history of run {run} is not legal: {error}"]
    if [event.sequence for event in events] != list(range(1, len(events) + 1)):
        return [f"the history of run {run} has a gap"]
    said = (row.status, row.last_event) if row is not None else None
    if said != (status and status.value, len(events)):
        return [f"run {run} is {said}, and by its history {(status and status.value, len(events))}"]
    return []
