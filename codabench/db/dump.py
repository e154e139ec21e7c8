"""All rows of a database as lines of JSON, and back, into either kind of database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, DateTime, MetaData, Table, func, insert, select, text

from codabench.core.errors import StorageError
from codabench.db import schema
from codabench.db.connection import Connected
from codabench.db.site_tables import METADATA
from codabench.db.tables import HEAD, VERSION

_MANY = 500


def dump(database: Connected) -> Iterator[tuple[str, dict[str, Any]]]:
    """(table, row) of everything, as it was at one moment; tables that others refer to come first."""
    with database._snapshot() as db:
        for table in METADATA.sorted_tables:
            if table is not VERSION:
                for row in db.execute(select(table).order_by(*table.primary_key).execution_options(yield_per=1000)):
                    yield table.name, {name: _plain(value) for name, value in row._mapping.items()}


def line(table: str, row: dict[str, Any]) -> str:
    """A row as a line of text."""
    return json.dumps([table, row], separators=(",", ":")) + "\n"


def fill(url: str, revision: str, lines: Iterable[str]) -> None:
    """Make a database of rows that `dump` gave, in one transaction, and bring it to the newest revision.

    Parameters
    ----------
    revision
        That of the database which they come from.

    Raises
    ------
    StorageError
        ``CB720`` or ``CB722``: it cannot be opened or written. ``CB721``: they come from a later version. ``CB733``: it
        has tables already.
    """
    if revision not in schema.REVISIONS:
        raise StorageError(
            f"the backup has revision {revision}; this version knows {HEAD}",
            code="CB721",
            hint="install a newer codabench",
        )
    database = Connected(url)
    try:
        with database._change() as db:
            _refuse_filled(db, database.url)
            schema.migrate(db, revision, since=None)
            db.execute(text("DELETE FROM meta"))
            known = MetaData()
            known.reflect(db)
            for name, rows in groupby((json.loads(each) for each in lines), key=lambda item: item[0]):
                _insert(db, known.tables[name], (row for _, row in rows))
            if not database.is_sqlite:
                _count_on(db, known)
            if revision != HEAD:
                schema.migrate(db, HEAD, since=revision)
    finally:
        database.close()


def _refuse_filled(db: Connection, url: str) -> None:
    if schema.current(db) is not None:
        raise StorageError(
            f"the database {url} holds a workspace already", code="CB733", hint="restore into one that is empty"
        )


def _insert(db: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    moments = [column.name for column in table.columns if isinstance(column.type, DateTime)]
    while part := list(islice(rows, _MANY)):
        for row in part:
            row |= {name: datetime.fromisoformat(row[name]) for name in moments if row[name] is not None}
        db.execute(insert(table), part)


def _count_on(db: Connection, known: MetaData) -> None:
    """PostgreSQL counts in sequences of its own, which know nothing of rows that came with their numbers."""
    here = db.execute(text("SELECT current_schema()")).scalar_one()
    quote = db.dialect.identifier_preparer.quote
    for table in known.sorted_tables:
        for column in table.primary_key:
            name = db.execute(
                text("SELECT pg_get_serial_sequence(:table, :column)"),
                {"table": f"{quote(here)}.{quote(table.name)}", "column": column.name},
            ).scalar()
            highest = db.execute(select(func.max(column))).scalar() if name else None
            if highest is not None:
                db.execute(text("SELECT setval(:name, :highest)"), {"name": name, "highest": highest})


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
