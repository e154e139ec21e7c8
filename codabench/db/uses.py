"""The data sets and tasks that competitions, tasks and submissions need. What was deleted needs nothing."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, or_, select

from codabench.core.competition import TASK_ROLES
from codabench.db.connection import Connected
from codabench.db.site_tables import POSTED, TASK
from codabench.db.tables import COMPETITION, SUBMISSION

_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FEW = 20
"""For so many keys the database looks at the texts; for more, all texts are looked through once."""
PARTS = tuple(role.value for role in TASK_ROLES)
"""Columns of a task that name data sets."""


class Naming(NamedTuple):
    """A competition that names something by its key."""

    id: str
    title: str


class Uses(Connected):
    """Questions about what is in use."""

    def competitions_naming(self, keys: Collection[str]) -> dict[str, list[Naming]]:
        """Keys of data sets and tasks -> the competitions that have them; keys that none has are left out."""
        with self._read() as db:
            return competitions_naming(db, keys)

    def needed_datasets(self, keys: Collection[str]) -> set[str]:
        """Those that a competition, a task or a submission needs."""
        with self._read() as db:
            return needed_datasets(db, keys)

    def submitted_datasets(self, keys: Collection[str]) -> set[str]:
        """Those that a submission came from."""
        with self._read() as db:
            return _submitted(db, keys)


def competitions_naming(db: Connection, keys: Collection[str]) -> dict[str, list[Naming]]:
    """The same within a transaction."""
    wanted = set(keys)
    if not wanted:
        return {}
    query = select(COMPETITION.c.id, COMPETITION.c.title, COMPETITION.c.spec).where(COMPETITION.c.deleted_at.is_(None))
    if len(wanted) <= _FEW:
        query = query.where(or_(*(COMPETITION.c.spec.contains(key, autoescape=True) for key in wanted)))
    found: dict[str, list[Naming]] = {}
    for row in db.execute(query.order_by(COMPETITION.c.created_at)).yield_per(100):
        for key in wanted.intersection(_KEY.findall(row.spec)):
            found.setdefault(key, []).append(Naming(row.id, row.title))
    return found


def needed_datasets(db: Connection, keys: Collection[str]) -> set[str]:
    """The same within a transaction."""
    found = set(competitions_naming(db, keys)) | _submitted(db, keys)
    for part in (TASK.c[role] for role in PARTS):
        found.update(db.execute(select(part).where(part.in_(keys), TASK.c.deleted_at.is_(None))).scalars())
    return found


def _submitted(db: Connection, keys: Collection[str]) -> set[str]:
    query = (
        select(POSTED.c.dataset)
        .join(SUBMISSION, POSTED.c.submission == SUBMISSION.c.id)
        .join(COMPETITION, SUBMISSION.c.competition == COMPETITION.c.id)
    )
    alive = SUBMISSION.c.deleted_at.is_(None) & COMPETITION.c.deleted_at.is_(None)
    return set(db.execute(query.where(POSTED.c.dataset.in_(keys), alive)).scalars())
