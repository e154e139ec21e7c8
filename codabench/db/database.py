"""`Database`: guarded changes and plain questions. Every public method is one transaction.

The subjects are in modules of their own: `competitions`, `submissions`, `runs`, `waiting` (the queue and its leases),
`batches` (steps that are reused, re-evaluations). `connection` opens, `schema` brings older tables up to date.
"""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from codabench.db.batches import Batches
from codabench.db.competitions import Competitions
from codabench.db.schema import prepare
from codabench.db.submissions import Submissions
from codabench.db.waiting import Queue


class Database(Competitions, Submissions, Queue, Batches):
    """The rows of one workspace.

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
