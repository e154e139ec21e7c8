"""What people use of the storage beside their data sets: what their submissions put out."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from codabench.core.records import Outcome
from codabench.core.trees import TreeRef
from codabench.db.connection import Connected
from codabench.db.tables import COMPETITION, RUN, SUBMISSION

_PART = 500


class Quotas(Connected):
    """Questions about bytes."""

    def runs_with_results(self, participant: str) -> list[str]:
        """The runs of somebody's submissions that put something out, and were not deleted."""
        query = (
            select(RUN.c.id)
            .join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id)
            .join(COMPETITION, SUBMISSION.c.competition == COMPETITION.c.id)
            .where(SUBMISSION.c.participant == participant, RUN.c.outcome.is_not(None))
            .where(SUBMISSION.c.deleted_at.is_(None), COMPETITION.c.deleted_at.is_(None))
        )
        with self._read() as db:
            return list(db.execute(query).scalars())

    def result_bytes(self, runs: Collection[str]) -> dict[str, int]:
        """How many bytes of outputs and logs each of them has."""
        wanted, found = list(runs), dict[str, int]()
        for start in range(0, len(wanted), _PART):
            query = select(RUN.c.id, RUN.c.outcome).where(RUN.c.id.in_(wanted[start : start + _PART]))
            with self._read() as db:
                rows = db.execute(query).all()
            found |= {row.id: _bytes(Outcome.model_validate_json(row.outcome)) for row in rows}
        return found


def _bytes(outcome: Outcome) -> int:
    """Each archive and blob once."""
    parts = {part.archive if isinstance(part, TreeRef) else part.sha256: part.size for part in outcome.stored()}
    return sum(parts.values())
