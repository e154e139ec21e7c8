"""Connections: how the two kinds of databases are opened, and transactions on them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, Row, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DisconnectionError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from codabench.core.errors import CodabenchError, NotFound, StorageError, UsageError
from codabench.core.text import printable
from codabench.db.places import network_file_system

BUSY_SECONDS = 30
"""How long a writer of SQLite waits for another one."""

_NO_SHARED = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)
"""A disk that is full, too: it has no room for the memory that readers and writers share."""
IDLE_SECONDS = 10
"""After so long PostgreSQL ends a transaction whose process says nothing: one that was suspended would keep its locks,
and nobody could take over what it has in hand."""

_FRESH_SECONDS = 1.0
"""For so long a connection in the pool is taken to be alive."""

_READ = {"codabench_reads": True}
_DIGITS = "nothing has a number of so many digits"
_HINTS = {
    sqlite3.SQLITE_FULL: "make room; nothing of what was asked has been written",
    sqlite3.SQLITE_READONLY: "whoever uses it, also to read, has to be allowed to write the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "whoever uses it, also to read, has to be allowed to write the file and its directory",
    sqlite3.SQLITE_NOTADB: "that file is something else",
}


class Connected:
    """An open database. Writers exclude each other on SQLite; on PostgreSQL they lock rows.

    Parameters
    ----------
    url
        An SQLAlchemy URL; ``sqlite://`` is in memory and lives as long as this object.

    Raises
    ------
    UsageError
        ``CB720``: that is no URL of a database, or nothing is installed for databases of that kind.
    StorageError
        If it cannot be opened (``CB720``), or lies on a network file system that SQLite cannot use (``CB724``).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._closed = False
        try:
            made = make_url(url)
            self.url = made.render_as_string(hide_password=True)
            self._engine = make_engine(made)
        except (SQLAlchemyError, ImportError, UnicodeEncodeError) as error:
            hint = "write sqlite:///path/of/it.db or postgresql+psycopg://server/name (pip install codabench[postgres])"
            raise UsageError(f"the database {self.url} cannot be opened: {error}", code="CB720", hint=hint) from error
        self.in_memory = _in_memory(made)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        # Writers of one process wait here: SQLite makes them wait, too, but not in turn. In memory there is one
        # connection, and readers need it for themselves.
        self._writing: Any = threading.RLock() if self.is_sqlite else nullcontext()
        self._reading: Any = self._writing if self.in_memory else nullcontext()

    def _unopened(self, error: Exception) -> StorageError:
        why = getattr(error, "orig", None) or error  # what the driver said, without the statement
        return StorageError(f"the database {self.url} cannot be opened: {why}", code="CB720")

    @contextmanager
    def _change(self) -> Iterator[Connection]:
        """A transaction that may write; nothing of it stays if it raises."""
        with self._writing, self._failures(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """A transaction that sees one state of SQLite; on PostgreSQL each statement sees what is committed."""
        # Without a transaction PostgreSQL is asked once, and not three times.
        level: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        with (
            self._reading,
            self._failures(),
            self._engine.connect().execution_options(**_READ, **level) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        """A long look at one state of everything, while others write."""
        level: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with (
            self._reading,
            self._failures(),
            self._engine.connect().execution_options(**_READ, **level) as connection,
            connection.begin(),
        ):
            if not self.is_sqlite:
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield connection

    @contextmanager
    def _failures(self) -> Iterator[None]:
        if self._closed:
            raise StorageError(f"the database {self.url} is closed", code="CB723")
        try:
            yield
        except OverflowError as error:
            raise NotFound(_DIGITS) from error
        except UnicodeEncodeError as error:
            # Bytes that are no text come in file names and on command lines.
            message = f"'{printable(error.object)[:200]}' is no text: it is not valid Unicode"
            raise UsageError(message, code="CB353", hint="write it in UTF-8") from error
        except DataError as error:
            raise _wrong_data(error, self.url) from error
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None)
            number = getattr(cause, "sqlite_errorcode", 0) if isinstance(cause, sqlite3.Error) else 0
            number = sqlite3.SQLITE_FULL if number in _NO_SHARED else number
            raise StorageError(
                f"the database {self.url} failed: {cause or error}",
                code="CB707" if number == sqlite3.SQLITE_FULL else "CB722",
                hint=_HINTS.get(number & 0xFF),
            ) from error

    def _insert(self, table: Table) -> Any:
        """An INSERT that can say what happens if the row is there; both kinds of databases have the same words."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def now(self) -> datetime:
        """The time by the clock of the database, which all who share it see. SQLite's is that of this host."""
        if self.is_sqlite:
            return datetime.now(UTC)
        with self._read() as db:
            found: datetime = db.execute(text("SELECT clock_timestamp()")).scalar_one()
        return found.astimezone(UTC)

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Let go of all connections; whatever is asked later is refused."""
        with self._writing:
            self._closed = True
        self._engine.dispose()


def passing(error: StorageError) -> bool:
    """Whether the same question may well be answered a little later: the database is away, busy, or without room."""
    return isinstance(error.__cause__, (OperationalError, InterfaceError))


Found = Row[Any]
"""A row as it was read."""


def make_engine(url: URL) -> Engine:
    """An engine whose transactions begin as this package wants them."""
    if url.get_backend_name() != "sqlite":
        engine = create_engine(url, pool_size=8, max_overflow=32)
        event.listen(engine, "connect", _postgres_patience)
        event.listen(engine, "checkin", _remember)
        event.listen(engine, "checkout", partial(_still_there, engine.dialect))
        return engine
    # One connection for a database in memory: each connection would have a database of its own.
    options: dict[str, Any] = {"poolclass": StaticPool} if _in_memory(url) else {}
    if not _in_memory(url):
        _refuse_network(url)
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS}, **options)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _wrong_data(error: DataError, url: str) -> CodabenchError:
    """What PostgreSQL says of values that none of its rows has or could keep."""
    state = getattr(error.orig, "sqlstate", None)
    if state == "22003":
        return NotFound(_DIGITS)
    if state is None and "NUL" in str(error.orig):  # the driver does not even send it
        return UsageError("a text with a zero character in it is no text", code="CB353", hint="leave it out")
    return StorageError(f"the database {url} failed: {error.orig}", code="CB722")


def _in_memory(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _refuse_network(url: URL) -> None:
    path = Path(str(url.database)).absolute()
    kind = network_file_system(path.parent)
    if kind is not None:
        raise StorageError(
            f"the database {path} lies on a network file system ({kind}): SQLite's log in shared memory does not work "
            "there, and two machines would destroy the file",
            code="CB724",
            hint="keep the files there and the database on a disk of this machine (db='sqlite:////var/lib/lab.db'), "
            "or use PostgreSQL",
        )


def _postgres_patience(connection: Any, _record: Any) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    connection.commit()


def _remember(_connection: Any, record: Any) -> None:
    record.info["since"] = time.monotonic()


def _still_there(dialect: Dialect, connection: Any, record: Any, _proxy: Any) -> None:
    """A server that was started again has closed what lay in the pool; what was used a moment ago is not asked."""
    if time.monotonic() - record.info.get("since", time.monotonic()) < _FRESH_SECONDS:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise DisconnectionError(str(error)) from error


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: we say BEGIN IMMEDIATE, so that a writer waits at its start.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    reads = connection.get_execution_options().get("codabench_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
