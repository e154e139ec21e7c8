"""Accounts of a site."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, delete, exists, func, or_, select, update
from sqlalchemy import cast as as_type

from codabench.core.errors import NotFound
from codabench.core.people import Account, Notifications, Profile
from codabench.db.connection import Connected
from codabench.db.site_tables import (
    ACCOUNT,
    COLLABORATOR,
    CREDENTIAL,
    DATASET,
    FORGOTTEN,
    HOSTED,
    JOB,
    PARTICIPATION,
    TASK,
    TASK_SHARE,
)
from codabench.db.tables import COMPETITION, SUBMISSION

_FLAGS = ("is_active", "is_staff", "is_superuser", "is_bot")
_COLUMNS = [column for column in ACCOUNT.c if column.name != "password"]


class People(Connected):
    """Accounts. Hashes of passwords come out by themselves and are in no record."""

    def add_account(
        self, username: str, *, email: str | None, password: str | None, at: datetime, **flags: bool
    ) -> Account | None:
        """Keep a new account; None: the name or the address is taken.

        Parameters
        ----------
        password
            Its hash; None: nobody signs in with one.
        flags
            ``is_active``, ``is_staff``, ``is_superuser``, ``is_bot``.
        """
        row: dict[str, Any] = {"username": username, "email": email, "password": password, "created_at": at}
        row |= {"display_name": "", "profile": "{}", "notifications": "{}"}
        row |= dict.fromkeys(_FLAGS, False) | flags
        with self._change() as db:
            new = self._insert(ACCOUNT).values(**row).on_conflict_do_nothing().returning(*_COLUMNS)
            made = db.execute(new).first()
        return None if made is None else account_from(made)

    def account(self, id: int) -> Account:
        """An account by its number, also one that was deleted; `NotFound` if there is none."""
        found = self._account(ACCOUNT.c.id == id)
        if found is None:
            raise NotFound(f"no account {id}")
        return found

    def account_named(self, username: str) -> Account | None:
        """The account of that name; None: there is none."""
        return self._account(ACCOUNT.c.username == username)

    def account_at(self, email: str) -> Account | None:
        """The account with that address, in lower case; None: there is none."""
        return self._account(ACCOUNT.c.email == email)

    def _account(self, which: Any) -> Account | None:
        with self._read() as db:
            row = db.execute(select(*_COLUMNS).where(which)).first()
        return None if row is None else account_from(row)

    def accounts(
        self,
        *,
        ids: Collection[int] | None = None,
        containing: str | None = None,
        email: str | None = None,
        email_containing: str | None = None,
        flag: str | None = None,
        deleted: bool = True,
        active: bool = False,
        limit: int | None = None,
    ) -> list[Account]:
        """Accounts, in the order in which they were made.

        Parameters
        ----------
        containing, email, email_containing
            A part of the name, a whole address, a part of one. Where several are given, one of them is enough.
        flag
            ``is_staff``, ``is_superuser``, ``is_bot``: only those.
        deleted
            Also those that were deleted.
        active
            Only those whose address was confirmed.
        """
        query = select(*_COLUMNS).order_by(ACCOUNT.c.id).limit(limit)
        words = []
        if containing is not None:
            words.append(ACCOUNT.c.username.contains(containing, autoescape=True))
        if email is not None:
            words.append(ACCOUNT.c.email == email)
        if email_containing is not None:
            words.append(ACCOUNT.c.email.contains(email_containing, autoescape=True))
        if words:
            query = query.where(or_(*words))
        if ids is not None:
            query = query.where(ACCOUNT.c.id.in_(ids))
        if flag is not None:
            query = query.where(ACCOUNT.c[flag])
        if not deleted:
            query = query.where(ACCOUNT.c.deleted_at.is_(None))
        if active:
            query = query.where(ACCOUNT.c.is_active)
        with self._read() as db:
            return [account_from(row) for row in db.execute(query)]

    def count_accounts(self) -> int:
        """How many accounts are not deleted (platform.md V03)."""
        with self._read() as db:
            query = select(func.count()).select_from(ACCOUNT).where(ACCOUNT.c.deleted_at.is_(None))
            return int(db.execute(query).scalar_one())

    def shown_names(self, ids: Collection[int]) -> dict[int, str]:
        """What others see of accounts: the display name, else the name."""
        query = select(ACCOUNT.c.id, ACCOUNT.c.display_name, ACCOUNT.c.username).where(ACCOUNT.c.id.in_(ids))
        with self._read() as db:
            return {row.id: row.display_name or row.username for row in db.execute(query)}

    def called_so(self, ids: Collection[int]) -> dict[int, tuple[str, str]]:
        """Both: the names that accounts sign in with, and what others see of them."""
        query = select(ACCOUNT.c.id, ACCOUNT.c.username, ACCOUNT.c.display_name).where(ACCOUNT.c.id.in_(ids))
        with self._read() as db:
            return {row.id: (row.username, row.display_name or row.username) for row in db.execute(query)}

    def usernames(self, ids: Collection[int]) -> dict[int, str]:
        """The names that accounts sign in with."""
        query = select(ACCOUNT.c.id, ACCOUNT.c.username).where(ACCOUNT.c.id.in_(ids))
        with self._read() as db:
            return {row.id: row.username for row in db.execute(query)}

    def change_account(self, id: int, **changes: Any) -> Account:
        """Change fields of an account; `NotFound` if there is none.

        Parameters
        ----------
        changes
            As in `Account`.
        """
        values = {name: _column(value) for name, value in changes.items()}
        with self._change() as db:
            found = db.execute(update(ACCOUNT).where(ACCOUNT.c.id == id).values(**values).returning(*_COLUMNS)).first()
        if found is None:
            raise NotFound(f"no account {id}")
        return account_from(found)

    # ------------------------------------------------------------------ passwords
    def password_of(self, word: str) -> tuple[Account | None, str | None]:
        """Whose name or address that is, and the hash of the password.

        Both are looked for in one statement, whether there is such an account or not.
        """
        query = select(ACCOUNT).where(or_(ACCOUNT.c.username == word, ACCOUNT.c.email == word.lower()))
        with self._read() as db:
            rows = db.execute(query.limit(2)).all()
        # A name has no @, an address has one: never are there two.
        return (account_from(rows[0]), rows[0].password) if rows else (None, None)

    def set_password(self, id: int, password: str | None, *, revoke: bool = True) -> None:
        """Keep another hash of a password.

        Parameters
        ----------
        revoke
            All that was shown until now counts no more: sessions, tokens, links.
        """
        with self._change() as db:
            db.execute(update(ACCOUNT).where(ACCOUNT.c.id == id).values(password=password))
            if revoke:
                db.execute(delete(CREDENTIAL).where(CREDENTIAL.c.account == id))

    # ------------------------------------------------------------------ the end of an account
    def empty_account(self, id: int, *, at: datetime, digest: str | None, until: datetime) -> None:
        """Take everything personal from an account, and all that it could be entered with. Its row stays.

        Parameters
        ----------
        digest, until
            Of its address, and how long nobody may sign up with it.
        """
        nothing = {
            "username": f"deleted-{id}",
            "email": None,
            "password": None,
            "display_name": "",
            "profile": "{}",
            "notifications": "{}",
            **dict.fromkeys(_FLAGS, False),
            "deleted_at": at,
        }
        with self._change() as db:
            db.execute(update(ACCOUNT).where(ACCOUNT.c.id == id).values(**nothing))
            db.execute(delete(CREDENTIAL).where(CREDENTIAL.c.account == id))
            if digest is not None:
                kept = self._insert(FORGOTTEN).values(digest=digest, until=until)
                db.execute(kept.on_conflict_do_update(index_elements=[FORGOTTEN.c.digest], set_={"until": until}))

    def is_forgotten(self, digest: str, now: datetime) -> bool:
        """Whether the account of an address was deleted so lately that nobody may sign up with it."""
        query = select(FORGOTTEN.c.digest).where(FORGOTTEN.c.digest == digest, FORGOTTEN.c.until > now)
        with self._read() as db:
            return db.execute(query).first() is not None

    def purge_forgotten(self, now: datetime) -> int:
        """Forget addresses whose time is over; returns how many."""
        with self._change() as db:
            return db.execute(delete(FORGOTTEN).where(FORGOTTEN.c.until <= now)).rowcount

    def purge_unactivated(self, before: datetime) -> int:
        """Remove accounts made before then that were never activated and that nothing refers to; returns how many."""
        never = ACCOUNT.c.is_active.is_(False) & ACCOUNT.c.deleted_at.is_(None) & ACCOUNT.c.banned_at.is_(None)
        of = [table.c.account for table in (COLLABORATOR, PARTICIPATION, TASK_SHARE, JOB)]
        of += [table.c.owner for table in (HOSTED, DATASET, TASK)]
        used = [
            *(
                exists().where(column == ACCOUNT.c.id)
                for column in (*of, HOSTED.c.owner, DATASET.c.owner, TASK.c.owner)
            ),
            exists().where(SUBMISSION.c.participant == "u" + as_type(ACCOUNT.c.id, String)),
        ]
        with self._change() as db:
            found = select(ACCOUNT.c.id).where(never, ACCOUNT.c.created_at < before, *(~each for each in used))
            ids = list(db.execute(found.with_for_update()).scalars())
            if ids:
                db.execute(delete(CREDENTIAL).where(CREDENTIAL.c.account.in_(ids)))
                db.execute(delete(ACCOUNT).where(ACCOUNT.c.id.in_(ids)))
        return len(ids)

    def owned_by(self, account: int) -> dict[str, list[str]]:
        """What an account owns that is not deleted: titles of competitions, names of data sets and tasks."""
        hosted = select(COMPETITION.c.title).join(HOSTED, HOSTED.c.competition == COMPETITION.c.id)
        hosted = hosted.where(HOSTED.c.owner == account, COMPETITION.c.deleted_at.is_(None))
        with self._read() as db:
            found = {"competitions": _names(db, hosted.order_by(COMPETITION.c.created_at))}
            for what, table in (("data sets", DATASET), ("tasks", TASK)):
                mine = select(table.c.name).where(table.c.owner == account, table.c.deleted_at.is_(None))
                found[what] = _names(db, mine.order_by(table.c.id))
        return found


def _names(db: Connection, query: Any) -> list[str]:
    return list(db.execute(query).scalars())


def _column(value: Any) -> Any:
    return value.model_dump_json(exclude_defaults=True) if isinstance(value, (Profile, Notifications)) else value


def account_from(row: Any) -> Account:
    """A row with at least all columns but the hash of the password."""
    plain = {name: getattr(row, name) for name in Account.model_fields if name not in ("profile", "notifications")}
    return Account(
        **plain,
        profile=Profile.model_validate_json(row.profile),
        notifications=Notifications.model_validate_json(row.notifications),
    )
