"""Submissions that were asked for lately: what was submitted, and how it is carried out, never changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from codabench.core.records import Submission
from codabench.db.database import Database

KEPT = 1024


class KnownSubmissions:
    """Submissions by their ids; thread-safe."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._found: dict[str, Submission] = {}
        self._lock = threading.Lock()

    def __call__(self, id: str) -> Submission:
        """One of them; `NotFound` if there is none."""
        found = self._found.get(id)
        return found or self._keep(self._db.submission(id))

    def ahead(self, ids: Iterable[str]) -> None:
        """Ask for several at once, which are needed one by one soon."""
        unknown = {id for id in ids if id not in self._found}
        for submission in self._db.submissions_named(unknown) if len(unknown) > 1 else ():
            self._keep(submission)

    def _keep(self, submission: Submission) -> Submission:
        with self._lock:
            while len(self._found) >= KEPT:
                del self._found[next(iter(self._found))]
            self._found[submission.id] = submission
        return submission
