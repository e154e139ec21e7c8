"""Mails that wait, and those that were sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, or_, select, update

from codabench.core.people import Mail
from codabench.db.connection import Connected
from codabench.db.site_tables import MAIL


class Outbox(Connected):
    """Mails as rows: they survive a server that is away."""

    def add_mails(self, mails: Sequence[Mail]) -> None:
        """Keep mails; their numbers are given out here."""
        rows = [mail.model_dump(exclude={"id"}) | {"kind": mail.kind.value} for mail in mails]
        if rows:
            with self._change() as db:
                db.execute(insert(MAIL), rows)

    def waiting_mails(self, now: datetime, *, tries: int, limit: int) -> list[Mail]:
        """Mails that are to be sent now, oldest first.

        Parameters
        ----------
        tries
            Those tried so often were given up.
        """
        query = select(MAIL).where(_waits(now), MAIL.c.attempts < tries).order_by(MAIL.c.id).limit(limit)
        with self._read() as db:
            return [mail_from(row) for row in db.execute(query)]

    def claim_mail(self, id: int, *, now: datetime, until: datetime) -> bool:
        """Take a mail in hand, as the only one; whoever is stopped now leaves it to others after `until`."""
        with self._change() as db:
            mine = update(MAIL).where(MAIL.c.id == id, _waits(now))
            return db.execute(mine.values(not_before=until, attempts=MAIL.c.attempts + 1)).rowcount == 1

    def settle_mail(self, id: int, **values: Any) -> None:
        """Note what came of a mail: ``sent_at``, ``error``, ``not_before``, ``attempts``, ``body``."""
        with self._change() as db:
            db.execute(update(MAIL).where(MAIL.c.id == id).values(**values))

    def drop_mail(self, id: int) -> None:
        """Forget a mail."""
        with self._change() as db:
            db.execute(delete(MAIL).where(MAIL.c.id == id))

    def mails(self, *, sent: bool | None = None, limit: int | None = None) -> list[Mail]:
        """Mails, newest first.

        Parameters
        ----------
        sent
            Only those that were, or were not.
        """
        query = select(MAIL).order_by(MAIL.c.id.desc()).limit(limit)
        if sent is not None:
            query = query.where(MAIL.c.sent_at.is_not(None) if sent else MAIL.c.sent_at.is_(None))
        with self._read() as db:
            return [mail_from(row) for row in db.execute(query)]

    def purge_mails(self, before: datetime) -> int:
        """Forget mails made before then; returns how many."""
        with self._change() as db:
            return db.execute(delete(MAIL).where(MAIL.c.created_at < before)).rowcount


def _waits(now: datetime) -> Any:
    return MAIL.c.sent_at.is_(None) & or_(MAIL.c.not_before.is_(None), MAIL.c.not_before <= now)


def mail_from(row: Any) -> Mail:
    return Mail(**{name: getattr(row, name) for name in Mail.model_fields})
