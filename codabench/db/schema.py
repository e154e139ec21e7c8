"""Which revision the tables of a database have, and how they come to the newest one.

A new database gets the tables of `codabench.db.tables` at once. An older one is copied, then every revision that it
lacks is carried out in one transaction, under a lock that lets nobody else write: either all of it happens or nothing.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.engine import make_url

from codabench.core.errors import StorageError
from codabench.db.connection import Connected
from codabench.db.site_tables import METADATA
from codabench.db.tables import FORMAT, HEAD, META, VERSION

log = logging.getLogger("codabench.db")

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Oldest first."""

_LOCK = 0x0DABE7C4
"""The advisory lock of PostgreSQL under which tables are made and changed."""


def current(db: Connection) -> str | None:
    """The revision of a database; None if it has none of our tables. The first versions noted none: theirs is 0001."""
    tables = inspect(db)
    if tables.has_table(VERSION.name):
        found = db.execute(select(VERSION.c.version_num)).scalar()
        if found is not None:
            return str(found)
    return "0001" if tables.has_table(META.name) else None


def look(url: str) -> str | None:
    """The revision of a database as it is; nothing is changed, and a file that is not there is not made."""
    database = Connected(url)
    try:
        if database.is_sqlite and not Path(str(make_url(url).database)).is_file():
            return None
        with database._read() as db:
            return current(db)
    finally:
        database.close()


def prepare(db: Connection, url: str) -> None:
    """Bring the tables to the newest revision, in the transaction that has begun, which must be one that writes.

    Raises
    ------
    StorageError
        If a later version made the tables (``CB721``), or the copy cannot be made (``CB725``). Nothing was changed.
    """
    if db.dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = current(db)
    if found == HEAD:
        return
    if found is None:
        METADATA.create_all(db)
        db.execute(insert(VERSION).values(version_num=HEAD))
        db.execute(insert(META).values(key="format", value=str(FORMAT)))
        return
    if found not in REVISIONS:
        raise StorageError(
            f"the database {url} has revision {found}; this version knows {HEAD}",
            code="CB721",
            hint="install a newer codabench",
        )
    kept = keep_copy(db, found)
    log.warning("the database %s is brought from revision %s to %s; a copy of it is %s", url, found, HEAD, kept)
    migrate(db, HEAD, since=found)


def migrate(db: Connection, revision: str, *, since: str | None) -> None:
    """Carry out the revisions after `since`, up to `revision`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = db
    if since == "0001" and not inspect(db).has_table(VERSION.name):
        command.stamp(config, since)
    command.upgrade(config, revision)


def keep_copy(db: Connection, revision: str) -> str:
    """Copy everything before it is changed; returns where the copy is.

    SQLite: a file beside the database. PostgreSQL: tables in a schema beside the one in use, in the same transaction.
    """
    if db.dialect.name == "postgresql":
        return _copy_schema(db, revision)
    path = db.engine.url.database
    return _copy_file(Path(path), revision) if path and path != ":memory:" else "not needed"


def _copy_file(path: Path, revision: str) -> str:
    kept = path.with_name(f"{path.name}.revision-{revision}")
    partial = kept.with_name(f"{kept.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        # Our transaction keeps writers out and has written nothing yet: this reader sees all there is.
        source, copy = sqlite3.connect(path), sqlite3.connect(partial)
        try:
            source.backup(copy)
        finally:
            source.close()
            copy.close()
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(kept)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"the database {path} cannot be copied to {kept} before its tables are changed: {error}",
            code="CB725",
            hint="nothing was changed; make room there, then open it again",
        ) from error
    return str(kept)


def _copy_schema(db: Connection, revision: str) -> str:
    quote: Any = db.dialect.identifier_preparer.quote
    here = str(db.execute(text("SELECT current_schema()")).scalar_one())
    kept = f"{here}_revision_{revision}"
    db.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quote(kept)}"))
    for name in inspect(db).get_table_names():
        db.execute(text(f"DROP TABLE IF EXISTS {quote(kept)}.{quote(name)}"))
        db.execute(text(f"CREATE TABLE {quote(kept)}.{quote(name)} AS TABLE {quote(here)}.{quote(name)}"))
    return f"the schema {kept}"
