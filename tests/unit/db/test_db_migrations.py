"""Databases of earlier versions: what comes out is what a new one has, with every row; a crash leaves the old one."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from db_samples import AT, K, NewUrl, admitted, started, submission
from sqlalchemy import create_engine, event, inspect

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import StorageError
from codabench.core.events import fold
from codabench.core.problems import Fault
from codabench.core.records import Status
from codabench.db import schema
from codabench.db.connection import make_engine
from codabench.db.database import Database
from codabench.db.tables import FORMAT, HEAD

SCHEMAS = Path(__file__).parent / "schemas"


def is_postgres(url: str) -> bool:
    return url.startswith("postgresql")


def carry_out(url: str, script: str) -> None:
    """Carry out a script of SQL in a new database."""
    if is_postgres(url):
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(script.replace("%", "%%"))
        engine.dispose()
    else:
        raw = sqlite3.connect(url.removeprefix("sqlite:///"))
        raw.executescript(script)
        raw.close()


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]
    finally:
        engine.dispose()


@pytest.fixture
def old(new_url: NewUrl) -> str:
    """A database as the first versions left it, with rows."""
    url = new_url()
    carry_out(url, (SCHEMAS / f"revision-0001.{'postgresql' if is_postgres(url) else 'sqlite'}.sql").read_text())
    return url


def described(url: str) -> dict[str, Any]:
    """The tables of a database: columns, keys, indexes, triggers."""
    engine = create_engine(url)
    looked = inspect(engine)
    tables = {
        name: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in looked.get_columns(name)},
            "key": sorted(looked.get_pk_constraint(name)["constrained_columns"]),
            "unique": sorted(tuple(u["column_names"]) for u in looked.get_unique_constraints(name)),
            "foreign": sorted((*f["constrained_columns"], f["referred_table"]) for f in looked.get_foreign_keys(name)),
            "indexes": sorted((i["name"], *i["column_names"], i["unique"]) for i in looked.get_indexes(name)),
        }
        for name in looked.get_table_names()
    }
    engine.dispose()
    if is_postgres(url):
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'status_event'::regclass ORDER BY 1"
    else:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY 1"
    return {**tables, "triggers": ask(url, query)}


# ---------------------------------------------------------------- what comes out
def test_an_old_database_becomes_what_a_new_one_is(old: str, new_url: NewUrl) -> None:
    new = new_url()
    for url in (old, new):
        Database(url).close()
    assert described(old) == described(new)
    assert ask(old, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert ask(old, "SELECT value FROM meta WHERE key = 'format'") == [(str(FORMAT),)]


def test_every_revision_is_listed_in_its_order() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    known = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(known)) == schema.REVISIONS
    assert known[0] == HEAD
    assert int(HEAD) == FORMAT


def test_the_first_revision_makes_what_the_first_versions_made(old: str, new_url: NewUrl) -> None:
    url = new_url()
    engine = make_engine(sqlalchemy.make_url(url))
    with engine.begin() as connection:
        schema.migrate(connection, "0001", since=None)
    engine.dispose()
    made = described(url)
    del made["alembic_version"]
    assert made == described(old)


def test_every_row_is_there_and_says_more(old: str) -> None:
    db = Database(old)
    assert [s.id for s in db.submissions("wheat")] == ["s1", "s2", "s3", "s4", "s5"]
    runs = {run.id: run for run in db.runs("wheat")}
    assert [(r.id, r.status.value, r.fault) for r in runs.values()] == [
        ("s1-0", "Finished", None),
        ("s1-1", "Finished", None),
        ("s2-0", "Failed", Fault.OPERATOR),
        ("s3-0", "Preparing", None),
        ("s4-0", "Failed", Fault.PARTICIPANT),
        ("s5-0", "Submitted", None),
    ]
    for run in runs.values():
        history = db.events(run.id)
        assert (fold(history), len(history)) == (run.status, run.sequence)
        assert run.finished_at == (history[-1].at if run.status.is_final else None)
        assert (run.revision, run.shown, run.scoring_only, run.priority) == (1, True, False, 0)
    rows = db.board_rows("wheat", 0)
    assert rows is not None
    written = {"score": 0.1, "time": 3.0}
    assert {run.id: run.scores for run in rows.runs if run.scores} == {"s1-0": written, "s1-1": written}
    step = db.find_step("sha256:cc")
    assert step is not None
    assert (step.run, step.ok, step.seconds) == ("s2-0", True, 2.0) or step.run in ("s1-0", "s1-1")
    assert len(db.steps("wheat")) == 3
    assert len(db.submission_times("wheat", 0, "ada")) == 3
    assert len(db.submission_times("wheat", 0, "bob")) == 1  # the machine failed in s2
    assert [(r.id, a.id) for r, a in db.expired(AT)] == [("s3-0", "a-s3")]
    assert [run.id for run, _ in db.take_runs("h", [("new", "t")], now=AT, seconds=9)] == ["s5-0"]
    db.close()


def test_it_goes_on_where_it_was(old: str) -> None:
    db = Database(old)
    new = submission("s6", participant="ada").model_copy(update={"competition": "wheat"})
    assert db.add_submission(new, [], kind=K.RUN_QUEUED).number == 4
    assert [s.id for s in db.submissions("wheat")][-1] == "s6"
    db.close()


# ---------------------------------------------------------------- the copy before
def test_a_copy_of_the_old_one_is_kept(old: str, caplog: pytest.LogCaptureFixture) -> None:
    before = ask(old, "SELECT * FROM run ORDER BY id")
    with caplog.at_level(logging.WARNING, "codabench.db"):
        Database(old).close()
    assert f"from revision 0001 to {HEAD}" in caplog.text
    if is_postgres(old):
        kept = old.rpartition("%3D")[2] + "_revision_0001"
        assert ask(old, f"SELECT * FROM {kept}.run ORDER BY id") == before
    else:
        copy = Path(old.removeprefix("sqlite:///") + ".revision-0001")
        assert ask(f"sqlite:///{copy}", "SELECT * FROM run ORDER BY id") == before
        assert copy.name in caplog.text


def test_without_a_copy_nothing_is_changed(old: str) -> None:
    if is_postgres(old):
        pytest.skip("the copy is part of the transaction")
    path = Path(old.removeprefix("sqlite:///"))
    Path(f"{path}.revision-0001.partial").mkdir()
    with pytest.raises(StorageError, match="cannot be copied") as caught:
        Database(old)
    assert caught.value.code == "CB725"
    assert ask(old, "SELECT value FROM meta") == [("1",)]


# ---------------------------------------------------------------- the handshake
@pytest.mark.parametrize("found", ["0007", "9999", "a-fork"])
def test_a_later_version_is_refused_and_untouched(new_url: NewUrl, found: str) -> None:
    url = new_url()
    Database(url).close()
    carry_out(url, f"UPDATE alembic_version SET version_num = '{found}'; DROP TABLE batch_run;")
    with pytest.raises(StorageError, match=f"has revision {found}; this version knows {HEAD}") as caught:
        Database(url)
    assert caught.value.code == "CB721"
    assert not any(name == "batch_run" for name in described(url))


def test_the_first_versions_refuse_a_new_one(new_url: NewUrl) -> None:
    """They compare this number with theirs, which is 1."""
    url = new_url()
    Database(url).close()
    ((value,),) = ask(url, "SELECT value FROM meta WHERE key = 'format'")
    assert int(value) > 1


def test_two_that_open_an_old_one_change_it_once(old: str) -> None:
    children = [in_a_child(lambda: Database(old).close()) for _ in range(3)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert ask(old, "SELECT version_num FROM alembic_version") == [(HEAD,)]


# ---------------------------------------------------------------- crashes
def in_a_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def killed_at(url: str, statement: int) -> bool:
    """Open in a process that is killed before its n-th statement; False if it has not that many."""

    def work() -> None:
        left = statement

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(sqlalchemy.Engine, "before_cursor_execute", count)
        Database(url).close()

    code = os.waitstatus_to_exitcode(os.waitpid(in_a_child(work), 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_a_crash_at_any_statement_leaves_the_old_one(old: str) -> None:
    tables, rows = described(old), ask(old, "SELECT id, status, outcome FROM run ORDER BY id")
    at, kills = 1, 0
    while killed_at(old, at):
        kills += 1
        at += 7 if is_postgres(old) else 3  # each of them takes a process
        if kills % 4 == 0:
            assert described(old) == tables
        assert ask(old, "SELECT id, status, outcome FROM run ORDER BY id") == rows
        assert ask(old, "SELECT value FROM meta") == [("1",)]
    assert at > 60
    assert ask(old, "SELECT id, status, outcome FROM run ORDER BY id") == rows
    assert ask(old, "SELECT version_num FROM alembic_version") == [(HEAD,)]


# ---------------------------------------------------------------- history is kept
@pytest.mark.parametrize(
    "change", ["UPDATE status_event SET kind = 'RunFinished'", "DELETE FROM status_event", "DELETE FROM run"]
)
def test_history_is_never_changed(new_url: NewUrl, change: str) -> None:
    url = new_url()
    db = Database(url)
    db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    started(db, *admitted(db))
    before = db.events("s-0")
    engine = make_engine(sqlalchemy.make_url(url))
    with pytest.raises(sqlalchemy.exc.SQLAlchemyError), engine.begin() as raw:
        raw.exec_driver_sql(change)
    assert db.events("s-0") == before
    assert db.append("s-0", [K.RUN_CANCELLED], at=AT) is Status.CANCELLED
    with engine.begin() as raw:  # with the guard taken out it would be
        where = " ON status_event" if is_postgres(url) else ""
        names = ["status_event_no_change"] if is_postgres(url) else ["status_event_no_update", "status_event_no_delete"]
        for name in names:
            raw.exec_driver_sql(f"DROP TRIGGER {name}{where}")
        raw.exec_driver_sql("UPDATE status_event SET data = '{}'")
        raw.exec_driver_sql("DELETE FROM status_event")
    engine.dispose()
    assert db.events("s-0") == []
    db.close()


def test_the_samples_of_old_databases_are_the_same() -> None:
    """Both hold the same rows, so that what is proven of one is proven of the other."""
    texts = [(SCHEMAS / f"revision-0001.{kind}.sql").read_text() for kind in ("sqlite", "postgresql")]
    lines = [[line for line in text.splitlines() if line.startswith("INSERT")] for text in texts]
    into = [sorted(line.split(" ")[2].strip('"') for line in each) for each in lines]
    assert into[0] == into[1]
    assert into[0].count("status_event") > 20
