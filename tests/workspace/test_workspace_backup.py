"""Backup while work goes on, restore into an empty place, bytes and scores compared; what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from inspect import isclass
from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy
from tiny import bundle, yaml
from typer.testing import CliRunner

import codabench as cb
from codabench.cli.app import app
from codabench.core.errors import CodabenchError, StorageError
from codabench.core.records import Outcome
from codabench.db.dump import dump

runner = CliRunner()


def written(folder: Path, **values: float) -> Path:
    folder.mkdir()
    (folder / "answer.json").write_text(json.dumps(values))
    return folder


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A workspace with three runs."""
    place = tmp_path / "lab"
    with cb.load(bundle(tmp_path / "bundle")) as comp, cb.Workspace(place, backend="process") as ws:
        ws.add(comp)
        for n in range(3):
            ws.submit(comp, written(tmp_path / f"mine{n}", score=n), participant=f"user{n}").wait()
    return place


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    yield f"{postgres}?options=-csearch_path%3D{name}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


def stored(place: Path) -> dict[str, bytes]:
    found = (p for name in ("blobs", "trees") for p in (place / name).rglob("*") if p.is_file())
    return {str(p.relative_to(place)): p.read_bytes() for p in found}


def same(a: cb.Workspace, b: cb.Workspace) -> None:
    assert list(dump(a.db)) == list(dump(b.db))
    assert a.db.check() == b.db.check() == []


def scores(ws: cb.Workspace, tmp_path: Path) -> list[float]:
    with cb.load(tmp_path / "bundle") as comp:
        handles = ws.submissions(comp)
        assert all(handle.logs["scoring_stdout"] for handle in handles)
        return [handle.run.scores["score"] for handle in handles]


def code_of(error: pytest.ExceptionInfo[CodabenchError]) -> str:
    return error.value.code


def test_everything_comes_back(lab: Path, tmp_path: Path) -> None:
    with cb.Workspace(lab, backend="process") as ws:
        made = ws.backup(tmp_path / "kept")
        assert (made.rows["run"], made.missing) == (3, {})
        assert made.size == sum(made_size(lab))
        with cb.Workspace.restore(tmp_path / "kept", tmp_path / "new", backend="process") as back:
            same(ws, back)
            assert stored(tmp_path / "new") == stored(lab)
            assert scores(back, tmp_path) == [0, 1, 2]
            with cb.load(tmp_path / "bundle") as comp:  # and work goes on there
                sub = back.submit(comp, tmp_path / "mine2", participant="user2").wait()
                assert (sub.scores["score"], sub.record.number) == (2, 2)


def made_size(place: Path) -> list[int]:
    return [p.stat().st_size for p in (place / "blobs").rglob("*") if p.is_file()]


def test_to_a_place_that_is_no_directory(lab: Path, tmp_path: Path) -> None:
    place = f"memory://{uuid.uuid4().hex}"
    with cb.Workspace(lab, backend="process") as ws:
        ws.backup(f"{place}/monday")
        with pytest.raises(StorageError, match="not empty: it has backup"):
            ws.backup(f"{place}/monday")
        database = f"sqlite:///{tmp_path}/x.db"
        with cb.Workspace.restore(f"{place}/monday", f"{place}/lab", db=database, backend="process") as back:
            same(ws, back)
            assert scores(back, tmp_path) == [0, 1, 2]


def test_from_one_kind_of_database_to_the_other_and_back(lab: Path, tmp_path: Path, postgres_url: str) -> None:
    with cb.Workspace(lab, backend="process") as ws:
        ws.backup(tmp_path / "one")
        with cb.Workspace.restore(tmp_path / "one", tmp_path / "pg", db=postgres_url, backend="process") as middle:
            same(ws, middle)
            middle.backup(tmp_path / "two")
        with cb.Workspace.restore(tmp_path / "two", tmp_path / "back", backend="process") as back:
            same(ws, back)
            assert scores(back, tmp_path) == [0, 1, 2]


def test_while_work_goes_on_it_holds_what_there_was_at_one_moment(lab: Path, tmp_path: Path) -> None:
    with cb.load(tmp_path / "bundle") as comp, cb.Workspace(lab, backend="process") as ws:
        over = threading.Event()

        def submit() -> None:
            number = 0
            while not over.is_set() or number < 3:
                ws.submit(comp, {"answer.json": {"score": number}}, participant="busy").wait()
                number += 1

        busy = threading.Thread(target=submit)
        busy.start()
        made = [ws.backup(tmp_path / f"kept{n}") for n in range(3)]
        over.set()
        busy.join()
    for n, each in enumerate(made):
        assert each.missing == {}
        with cb.Workspace.restore(tmp_path / f"kept{n}", tmp_path / f"new{n}", backend="process") as back:
            assert back.db.check() == []
            assert len(list(dump(back.db))) == sum(each.rows.values())
            for run in back.db.runs(comp.id):
                for step in run.outcome.steps if run.outcome else ():
                    assert step.output is None or back.storage.open_tree(step.output).entries() is not None
    assert made[0].rows["run"] < made[2].rows["run"] or made[2].rows["run"] > 3


def test_what_looks_like_a_reference_is_none(tmp_path: Path) -> None:
    """People and programs write what they like, and backup, usage and gc have nothing to do with it."""
    blob = {"sha256": "../../../etc/passwd", "size": 1}
    broken = '{"size": '
    text = yaml().replace("title: Tiny", f"title: '{broken}'")
    pages = {"overview.md": b'[Data](https://lab.org) of any "size"\n'}
    wrote = {"score": 1, "time": 1, "who": blob, "what": broken, "archive": {"archive": [], "size": "big"}}
    made = cb.load(bundle(tmp_path / "bundle", text, pages))
    with made as comp, cb.Workspace(tmp_path / "w", backend="process") as ws:
        ws.add(comp)
        answer = {"answer.json": {"score": 1, "write": wrote}}
        sub = ws.submit(comp, answer, name=broken, participant=broken, params={"a": blob, "b": broken})
        ws.set_score(sub.wait().run, "score", 2, note=json.dumps(blob))
        assert sub.run.outcome is not None
        assert sub.run.outcome.raw_scores["who"] == blob
        assert ws.usage().size == sum(made_size(tmp_path / "w"))
        assert ws.gc(dry_run=False, older_than=0).damaged == ()
        assert ws.backup(tmp_path / "kept").missing == {}
        with cb.Workspace.restore(tmp_path / "kept", tmp_path / "new", backend="process") as back:
            assert (back.db.check(), stored(tmp_path / "new")) == ([], stored(tmp_path / "w"))


def test_all_that_an_outcome_stores_is_known() -> None:
    """A field of a new kind has to be in `Outcome.stored`."""
    from codabench.core.base import Record
    from codabench.core.trees import BlobRef, TreeRef

    found, left = set(), [Outcome]
    while left:
        model: type[Record] = left.pop()
        for name, field in model.model_fields.items():
            inside = [each for each in types_in(field.annotation) if issubclass(each, Record)]
            found |= {(model.__name__, name) for each in inside if each in (TreeRef, BlobRef)}
            left += [each for each in inside if each not in (TreeRef, BlobRef)]
    assert found == {
        ("StepResult", "output"),
        ("LogRecord", "blob"),
        ("Outcome", "detailed_results"),
        ("Outcome", "events"),
    }


def types_in(annotation: object) -> list[type]:
    parts = get_args(annotation)
    return [t for part in parts for t in types_in(part)] if parts else [annotation] if isclass(annotation) else []


# ---------------------------------------------------------------- what is refused
def test_a_place_that_is_not_empty(lab: Path, tmp_path: Path) -> None:
    with cb.Workspace(lab, backend="process") as ws:
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept/file").touch()
        with pytest.raises(StorageError, match="not empty: it has file") as caught:
            ws.backup(tmp_path / "kept")
        assert code_of(caught) == "CB732"
        ws.backup(tmp_path / "good")
    with pytest.raises(StorageError, match="not empty") as caught:
        cb.Workspace.restore(tmp_path / "good", lab)
    assert code_of(caught) == "CB732"
    with pytest.raises(StorageError, match="holds a workspace already") as caught:
        cb.Workspace.restore(tmp_path / "good", tmp_path / "new", db=f"sqlite:///{lab}/codabench.db")
    assert code_of(caught) == "CB733"
    with pytest.raises(CodabenchError, match="in memory") as other:
        cb.Workspace.restore(tmp_path / "good", tmp_path / "new", db="sqlite://")
    assert code_of(other) == "CB356"


def test_half_a_backup_and_changed_rows(lab: Path, tmp_path: Path) -> None:
    with cb.Workspace(lab, backend="process") as ws:
        ws.backup(tmp_path / "kept")
    about, rows = tmp_path / "kept/backup.json", tmp_path / "kept/rows.jsonl.gz"
    text = about.read_text()
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(StorageError, match="was changed") as caught:
        cb.Workspace.restore(tmp_path / "kept", tmp_path / "new")
    assert code_of(caught) == "CB731"
    about.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(StorageError, match="has format 2") as caught:
        cb.Workspace.restore(tmp_path / "kept", tmp_path / "new")
    assert code_of(caught) == "CB721"
    about.unlink()
    with pytest.raises(StorageError, match="no whole backup") as caught:
        cb.Workspace.restore(tmp_path / "kept", tmp_path / "new")
    assert code_of(caught) == "CB730"
    assert not (tmp_path / "new/codabench.db").exists()


def some_blob(place: Path) -> Path:
    return max((p for p in (place / "blobs").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def test_a_flipped_byte_in_a_backup_is_found(lab: Path, tmp_path: Path) -> None:
    with cb.Workspace(lab, backend="process") as ws:
        ws.backup(tmp_path / "kept")
    blob = some_blob(tmp_path / "kept/storage")
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    with pytest.raises(StorageError, match="does not have its digest") as caught:
        cb.Workspace.restore(tmp_path / "kept", tmp_path / "new")
    assert code_of(caught) == "CB702"
    assert not (tmp_path / "new/codabench.db").exists()


def test_what_the_storage_lacks_is_said_and_the_rest_is_kept(lab: Path, tmp_path: Path) -> None:
    blob = some_blob(lab)
    blob.unlink()
    ended = runner.invoke(app, ["backup", str(tmp_path / "kept"), "-w", str(lab), "--json"])
    assert ended.exit_code == 1, ended.output
    assert list(json.loads(ended.stdout)["missing"]) == [blob.name]
    with cb.Workspace.restore(tmp_path / "kept", tmp_path / "new", backend="process") as back:
        assert len(stored(tmp_path / "new")) > 0
        assert back.db.check() == []


# ---------------------------------------------------------------- the command line
def test_the_commands(lab: Path, tmp_path: Path) -> None:
    kept, new = str(tmp_path / "kept"), str(tmp_path / "new")
    done = runner.invoke(app, ["backup", kept, "-w", str(lab)])
    assert (done.exit_code, "3 submissions, 3 runs" in done.output) == (0, True), done.output
    done = runner.invoke(app, ["restore", kept, "-w", new])
    assert (done.exit_code, done.output) == (0, f"restored 1 competition to {new}\n")
    assert runner.invoke(app, ["restore", kept, "-w", new]).exit_code == 3
    for word, said in (("current", "0006; the newest is 0006"), ("upgrade", "0006"), ("check", "everything agrees")):
        done = runner.invoke(app, ["db", word, "-w", new])
        assert (done.exit_code, said in done.output) == (0, True), done.output
    with sqlalchemy.create_engine(f"sqlite:///{new}/codabench.db").begin() as raw:
        raw.exec_driver_sql("UPDATE run SET status = 'Scoring'")
    done = runner.invoke(app, ["db", "check", "-w", new, "--json"])
    assert (done.exit_code, len(json.loads(done.stdout)["wrong"])) == (1, 3)
    assert runner.invoke(app, ["db", "current", "-w", str(tmp_path / "nowhere")]).exit_code == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs name spaces")
@pytest.mark.parametrize("which", ["backup", "restore"])
def test_a_full_disk_is_said_and_half_a_backup_is_none(which: str, tmp_path: Path) -> None:
    inside = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no name spaces for users here")
    here = Path(__file__).resolve().parent
    argv = [*inside, sys.executable, "-B", str(here / "full_disks.py"), which, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(here.parents[1])}
    ended = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=200, check=False)
    assert ended.returncode == 0, ended.stderr
    full, done = map(int, ended.stdout.split())
    assert full > 3
    assert done > 3
