"""All rows out of one database and into another, of either kind, also from earlier revisions; what `check` finds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from db_samples import AT, K, NewUrl, admitted, started
from sqlalchemy import create_engine

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import StorageError
from codabench.core.records import HandScore, Outcome, Status
from codabench.db.connection import make_engine
from codabench.db.database import Database
from codabench.db.dump import dump, fill, line
from codabench.db.schema import look
from codabench.db.tables import HEAD

SCHEMAS = Path(__file__).parent / "schemas"


@pytest.fixture
def filled(db: Database) -> Database:
    (run,) = admitted(db, fact_sheet={"é": None})
    me = started(db, run)
    outcome = Outcome(status=Status.FINISHED, scores={"a": 0.1, "b": -1e300})
    db.append(run, [K.SCORING_STARTED, K.RUN_FINISHED], outcome=outcome, **me)
    for value in (1.5, None):
        db.set_score(HandScore(run=run, key="a", value=value, by="ada", note="", at=AT))
    admitted(db, "t")
    return db


def lines(db: Database) -> list[str]:
    return [line(*each) for each in dump(db)]


@pytest.mark.parametrize("into", ["the same kind", "sqlite"])
def test_what_was_dumped_fills_another(filled: Database, new_url: NewUrl, tmp_path: Path, into: str) -> None:
    """And that one goes on counting where the first was."""
    url = f"sqlite:///{tmp_path / 'other.db'}" if into == "sqlite" else new_url()
    assert look(url) is None
    fill(url, HEAD, lines(filled))
    assert look(url) == HEAD
    other = Database(url)
    assert lines(other) == lines(filled)
    assert other.check() == []
    assert admitted(other, "u") == ["u-0"]
    assert other.submission("u").number == 3
    other.set_score(HandScore(run="u-0", key="a", value=1.0, by="ada", note="", at=AT))
    other.close()


def test_a_sqlite_dump_fills_what_is_asked_for(new_url: NewUrl, tmp_path: Path) -> None:
    source = Database(f"sqlite:///{tmp_path / 'source.db'}")
    source.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    admitted(source, "s", runs=3)
    url = new_url()
    fill(url, HEAD, lines(source))
    other = Database(url)
    assert lines(other) == lines(source)
    source.close()
    other.close()


def old_lines(folder: Path) -> Iterator[str]:
    """The rows of a database of revision 0001, as a version of that time would have dumped them."""
    import sqlite3

    raw = sqlite3.connect(folder / "old.db")
    raw.executescript((SCHEMAS / "revision-0001.sqlite.sql").read_text())
    raw.row_factory = sqlite3.Row
    for table in ("meta", "competition", "tree", "submission", "run", "attempt", "score", "status_event"):
        for row in raw.execute(f"SELECT * FROM {table}"):
            yield json.dumps([table, dict(row)])
    raw.close()


def test_rows_of_an_earlier_revision_are_brought_up_to_date(new_url: NewUrl, tmp_path: Path) -> None:
    url = new_url()
    fill(url, "0001", old_lines(tmp_path))
    db = Database(url)
    assert look(url) == HEAD
    assert len(db.runs("wheat")) == 6
    assert db.check() == []
    assert db.find_step("sha256:cc") is not None
    db.close()


def test_a_filled_one_is_refused(filled: Database, new_url: NewUrl) -> None:
    url = new_url()
    Database(url).close()
    with pytest.raises(StorageError, match="holds a workspace already") as caught:
        fill(url, HEAD, lines(filled))
    assert caught.value.code == "CB733"


def test_a_later_revision_is_refused(new_url: NewUrl) -> None:
    with pytest.raises(StorageError, match="has revision 0099") as caught:
        fill(new_url(), "0099", [])
    assert caught.value.code == "CB721"


def test_half_a_dump_leaves_nothing(filled: Database, new_url: NewUrl) -> None:
    url = new_url()
    half = lines(filled)
    broken = [*half[:-1], line("status_event", {"run": "nobody", "sequence": 1, "kind": "x", "at": None, "data": ""})]
    with pytest.raises(StorageError):
        fill(url, HEAD, broken)
    assert look(url) is None


# ---------------------------------------------------------------- check
EVENT = "INSERT INTO status_event (run, sequence, kind, at, data) VALUES ('{}', {}, '{}', '2026-01-01', '{{}}')"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE run SET status = 'Submitted' WHERE id = 's-0'", r"run s-0 is \('Submitted', 4\), and by its history"),
        ("UPDATE run SET last_event = 3 WHERE id = 's-0'", r"run s-0 is \('Finished', 3\)"),
        (EVENT.format("s-0", 5, "RunFailed"), "history of run s-0 is not legal"),
        (EVENT.format("t-0", 3, "RunCancelled"), "history of run t-0 has a gap"),
    ],
)
def test_rows_that_do_not_follow_from_history_are_found(new_url: NewUrl, change: str, said: str) -> None:
    url = new_url()
    db = Database(url)
    db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    (run,) = admitted(db)
    db.append(run, [K.SCORING_STARTED, K.RUN_FINISHED], **started(db, run))
    admitted(db, "t")
    assert db.check() == []
    engine = make_engine(sqlalchemy.make_url(url))
    with engine.begin() as raw:
        raw.exec_driver_sql(change)
    engine.dispose()
    found = db.check()
    assert any(re.search(said, text) for text in found), found
    db.close()


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    db = Database(f"sqlite:///{path}")
    db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    for n in range(60):
        admitted(db, f"s{n}")
    db.close()
    raw = create_engine(f"sqlite:///{path}")
    with raw.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'ix_run_queue'").scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    raw.dispose()
    with path.open("r+b") as file:
        file.seek(page * size - 600)  # where entries are, from the end on
        file.write(b"\xff" * 600)
    db = Database(f"sqlite:///{path}")
    assert db.check() != []
    db.close()
