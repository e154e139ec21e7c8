"""Sessions, tokens and links, by the SHA-256 of what is shown."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, or_, select, update

from codabench.core.people import Account, Credential, CredentialKind
from codabench.db.connection import Connected
from codabench.db.people import account_from
from codabench.db.site_tables import ACCOUNT, CREDENTIAL

_HOLDER = [column.label(f"of_{column.name}") for column in ACCOUNT.c if column.name != "password"]


class Credentials(Connected):
    """What people show. The secret itself is never kept."""

    def add_credential(self, credential: Credential) -> None:
        """Keep a new one."""
        with self._change() as db:
            db.execute(insert(CREDENTIAL).values(**credential.model_dump() | {"kind": credential.kind.value}))

    def holder(
        self, digest: str, kinds: Collection[CredentialKind], now: datetime
    ) -> tuple[Credential, Account | None] | None:
        """What is shown and whose it is, as it is now; None: unknown, revoked, expired, or a link that was used."""
        query = select(CREDENTIAL, *_HOLDER).outerjoin(ACCOUNT, CREDENTIAL.c.account == ACCOUNT.c.id)
        query = query.where(CREDENTIAL.c.digest == digest, CREDENTIAL.c.kind.in_([kind.value for kind in kinds]))
        query = query.where(or_(CREDENTIAL.c.expires_at.is_(None), CREDENTIAL.c.expires_at > now))
        with self._read() as db:
            row = db.execute(query).first()
        if row is None:
            return None
        found = credential_from(row)
        if found.kind.is_link and found.used_at is not None:
            return None
        return found, None if row.account is None else account_from(_Of(row))

    def use_link(self, digest: str, kind: CredentialKind, now: datetime) -> bool:
        """Use a link, as the only one of all who try; False: it was used, it is over, there is none."""
        mine = (CREDENTIAL.c.digest == digest) & (CREDENTIAL.c.kind == kind.value) & CREDENTIAL.c.used_at.is_(None)
        still = or_(CREDENTIAL.c.expires_at.is_(None), CREDENTIAL.c.expires_at > now)
        with self._change() as db:
            return db.execute(update(CREDENTIAL).where(mine, still).values(used_at=now)).rowcount == 1

    def touch_credential(self, digest: str, *, used_at: datetime, expires_at: datetime | None) -> None:
        """Note that one was shown, and how long it is good for now."""
        with self._change() as db:
            mine = update(CREDENTIAL).where(CREDENTIAL.c.digest == digest)
            db.execute(mine.values(used_at=used_at, expires_at=expires_at))

    def credentials_of(self, account: int, kind: CredentialKind) -> list[Credential]:
        """What an account may show, of one kind, oldest first."""
        query = select(CREDENTIAL).where(CREDENTIAL.c.account == account, CREDENTIAL.c.kind == kind.value)
        with self._read() as db:
            rows = db.execute(query.order_by(CREDENTIAL.c.created_at, CREDENTIAL.c.digest))
            return [credential_from(row) for row in rows]

    def drop_credentials(
        self,
        *,
        digest: str | None = None,
        account: int | None = None,
        kinds: Collection[CredentialKind] = tuple(CredentialKind),
    ) -> int:
        """Have some count no more: one, those of an account, or all of some kinds; returns how many there were."""
        gone = delete(CREDENTIAL).where(CREDENTIAL.c.kind.in_([kind.value for kind in kinds]))
        if digest is not None:
            gone = gone.where(CREDENTIAL.c.digest == digest)
        if account is not None:
            gone = gone.where(CREDENTIAL.c.account == account)
        with self._change() as db:
            return db.execute(gone).rowcount

    def purge_credentials(self, now: datetime) -> int:
        """Remove what is worth nothing any more: expired, or a link that was used; returns how many."""
        links = [kind.value for kind in CredentialKind if kind.is_link]
        used = CREDENTIAL.c.kind.in_(links) & CREDENTIAL.c.used_at.is_not(None)
        with self._change() as db:
            return db.execute(delete(CREDENTIAL).where(or_(CREDENTIAL.c.expires_at <= now, used))).rowcount


class _Of:
    """The account in a row that also holds what was shown."""

    def __init__(self, row: Any) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, f"of_{name}")


def credential_from(row: Any) -> Credential:
    return Credential(**{name: getattr(row, name) for name in Credential.model_fields})
