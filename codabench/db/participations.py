"""Applications to take part in competitions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update

from codabench.core.errors import NotFound
from codabench.core.people import Account, Participation, ParticipationStatus
from codabench.db.connection import Connected
from codabench.db.people import account_from
from codabench.db.site_tables import ACCOUNT, PARTICIPATION


class Participations(Connected):
    """One application of each account to each competition, for ever."""

    def add_participation(
        self, competition: str, account: int, status: ParticipationStatus, *, at: datetime
    ) -> Participation | None:
        """Keep an application; None: there is one already, which stays as it is."""
        row = {"competition": competition, "account": account, "status": status.value, "created_at": at}
        row["decided_at"] = None if status is ParticipationStatus.PENDING else at
        with self._change() as db:
            new = self._insert(PARTICIPATION).values(**row).on_conflict_do_nothing().returning(PARTICIPATION)
            made = db.execute(new).first()
        return None if made is None else participation_from(made)

    def approve_participation(self, competition: str, account: int, *, at: datetime) -> Participation:
        """Let an account in that has not applied; one that was refused or put out stays out."""
        self.add_participation(competition, account, ParticipationStatus.APPROVED, at=at)
        found = self.participation(competition, account)
        if found is None:
            raise NotFound(f"account {account} takes no part in {competition!r}")
        return found

    def participation(self, competition: str, account: int) -> Participation | None:
        """The application of an account; None: it made none."""
        mine = (PARTICIPATION.c.competition == competition) & (PARTICIPATION.c.account == account)
        with self._read() as db:
            row = db.execute(select(PARTICIPATION).where(mine)).first()
        return None if row is None else participation_from(row)

    def participation_numbered(self, id: int) -> Participation:
        """An application by its number; `NotFound` if there is none."""
        with self._read() as db:
            row = db.execute(select(PARTICIPATION).where(PARTICIPATION.c.id == id)).first()
        if row is None:
            raise NotFound(f"no participant {id}")
        return participation_from(row)

    def participations_of(self, account: int) -> dict[str, Participation]:
        """What an account applied to, by competition."""
        with self._read() as db:
            rows = db.execute(select(PARTICIPATION).where(PARTICIPATION.c.account == account))
            return {row.competition: participation_from(row) for row in rows}

    def participants(
        self,
        competition: str,
        *,
        status: ParticipationStatus | None = None,
        containing: str | None = None,
        deleted: bool = False,
    ) -> list[tuple[Participation, Account]]:
        """Who applied to a competition, in the order of their applications.

        Parameters
        ----------
        containing
            A part of the name or of the address.
        deleted
            Also accounts that were deleted since.
        """
        query = select(PARTICIPATION).where(PARTICIPATION.c.competition == competition)
        people = select(ACCOUNT).join(PARTICIPATION, PARTICIPATION.c.account == ACCOUNT.c.id)
        people = people.where(PARTICIPATION.c.competition == competition)
        if status is not None:
            query = query.where(PARTICIPATION.c.status == status.value)
        if containing is not None:
            named = ACCOUNT.c.username.contains(containing, autoescape=True)
            people = people.where(or_(named, ACCOUNT.c.email.contains(containing, autoescape=True)))
        if not deleted:
            people = people.where(ACCOUNT.c.deleted_at.is_(None))
        with self._read() as db:
            known = {row.id: account_from(row) for row in db.execute(people)}
            rows = db.execute(query.order_by(PARTICIPATION.c.id)).all()
        return [(participation_from(row), known[row.account]) for row in rows if row.account in known]

    def decide_participation(self, id: int, status: ParticipationStatus, *, at: datetime) -> bool:
        """Approve, deny or put back an application; False: it is that already."""
        mine = (PARTICIPATION.c.id == id) & (PARTICIPATION.c.status != status.value)
        with self._change() as db:
            changed = update(PARTICIPATION).where(mine).values(status=status.value, decided_at=at)
            return db.execute(changed).rowcount == 1


def participation_from(row: Any) -> Participation:
    return Participation(**{name: getattr(row, name) for name in Participation.model_fields})
