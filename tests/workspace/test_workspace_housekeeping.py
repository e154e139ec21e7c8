"""What a workspace keeps: nothing that a row names goes, what no row names does; who uses how much."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from tiny import bundle
from typer.testing import CliRunner

import codabench as cb
from codabench.cli.app import app
from codabench.core.errors import UsageError
from codabench.db import naming
from codabench.storage.cache import Cache
from codabench.workspace.dispatcher import utc_now


def written(folder: Path, **values: float) -> Path:
    folder.mkdir()
    (folder / "answer.json").write_text(json.dumps(values))
    return folder


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A workspace with two runs, and something nobody needs."""
    place = tmp_path / "lab"
    with cb.load(bundle(tmp_path / "bundle")) as comp, cb.Workspace(place, backend="process") as ws:
        ws.add(comp)
        for n in range(2):
            mine = written(tmp_path / f"mine{n}", score=n)
            assert ws.submit(comp, mine, participant=f"user{n}").wait().run.scores["score"] == n
        ws.storage.put(b"nobody needs this")
    return place


def stored(place: Path) -> dict[str, bytes]:
    found = (p for name in ("blobs", "trees", "attempts") for p in (place / name).rglob("*"))
    return {str(p.relative_to(place)): p.read_bytes() for p in found if p.is_file()}


def test_what_rows_name_stays(lab: Path, tmp_path: Path) -> None:
    before = stored(lab)
    with cb.Workspace(lab, backend="process") as ws:
        assert ws.gc(dry_run=False).items == ()  # all of it is young
        (item,) = ws.gc(older_than=0).items
        assert item.size == len(b"nobody needs this")
        assert stored(lab) == before
        done = ws.gc(dry_run=False, older_than=0, verify=True)
        assert [each.name for each in done.items] == [item.name]
        assert done.damaged == ()
    assert stored(lab) == {name: data for name, data in before.items() if name != item.name}
    with cb.load(tmp_path / "bundle") as comp, cb.Workspace(lab, backend="process") as ws:
        for handle in ws.submissions(comp):
            assert "scoring" in handle.logs["scoring_stdout"]
            assert handle.run.output("scoring").read_bytes("scores.json")
            assert list(handle.run.events())


def test_a_collection_that_forgets_what_is_named_is_found(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: without the look at all tables, what is needed would go."""
    monkeypatch.setattr(naming, "_DIGEST", naming.re.compile("nothing"))
    with cb.Workspace(lab, backend="process") as ws:
        assert len(ws.gc(older_than=0).items) > 5


def test_what_a_run_under_way_has_written_stays(tmp_path: Path) -> None:
    with cb.load(bundle(tmp_path / "bundle")) as comp, cb.Workspace(tmp_path / "lab", backend="process") as ws:
        ws.add(comp)
        going = ws.submit(comp, written(tmp_path / "mine", score=1, sleep=3))
        for event in going.run.events():
            if event.type == "log":
                break
        loose = ws.storage.put(b"of this run, and no row names it yet")
        assert ws.gc(dry_run=False, older_than=0).items == ()
        assert ws.storage.get(loose)
        going.wait()
        assert ws.gc(older_than=0).size == loose.size


def test_what_only_a_deleted_submission_had_goes(lab: Path, tmp_path: Path) -> None:
    with cb.load(tmp_path / "bundle") as comp, cb.Workspace(lab, backend="process") as ws:
        gone, stays = ws.submissions(comp)
        theirs, others = (set(named_by(each)) for each in (gone, stays))
        ws.db.delete_submission(gone.id, at=utc_now(), kind="hard")
        assert {row.user for row in ws.usage().rows} == {"", "user1"}
        ws.backup(tmp_path / "before")
        swept = {item.name.rpartition("/")[2] for item in ws.gc(dry_run=False, older_than=0).items}
        assert theirs - others <= swept
        assert swept.isdisjoint(others)
        assert gone.run.record.attempt in swept
        after = ws.backup(tmp_path / "after")
        assert after.missing == {}
        for name in ("before", "after"):
            with cb.Workspace.restore(tmp_path / name, tmp_path / f"new-{name}", backend="process") as back:
                assert [handle.run.scores["score"] for handle in back.submissions(comp)] == [1]
                assert back.gc(older_than=0).items == ()


def named_by(handle: cb.SubmissionHandle) -> list[str]:
    outcome = handle.run.record.outcome
    assert outcome
    outputs = [step.output.archive for step in outcome.steps if step.output]
    return [handle.record.tree.archive, *outputs, *(log.blob.sha256 for step in outcome.steps for log in step.logs)]


def test_usage(lab: Path) -> None:
    with cb.Workspace(lab, backend="process") as ws:
        found = ws.usage()
        frame = found.to_frame()
    assert list(frame.columns) == ["competition", "user", "kind", "objects", "size"]
    assert {(row.user, row.kind) for row in found.rows} >= {
        ("", "data"),
        *((f"user{n}", kind) for n in range(2) for kind in ("submission", "output", "log")),
    }
    assert set(frame["competition"]) == {"Tiny"}
    assert 0 < found.size <= frame["size"].sum()
    named = sum(p.stat().st_size for p in (lab / "blobs").rglob("*") if p.is_file()) - len(b"nobody needs this")
    assert found.size == named


def test_the_commands(lab: Path, tmp_path: Path) -> None:
    def cli(*words: object) -> tuple[int, dict[str, object]]:
        done = CliRunner().invoke(app, [*map(str, words), "--json"], prog_name="codabench")
        return done.exit_code, json.loads(done.stdout)

    code, found = cli("gc", "-w", lab, "--older-than", "0s", "--dry-run")
    assert (code, found["dry_run"], found["size"]) == (0, True, 17)
    code, found = cli("gc", "-w", lab, "--older-than", "0s", "--verify")
    assert (code, found["dry_run"], found["size"]) == (0, False, 17)
    assert cli("gc", "-w", lab, "--older-than", "0s")[1]["items"] == []
    code, found = cli("usage", "-w", lab)
    assert code == 0
    assert found["rows"]
    next(p for p in (lab / "blobs").rglob("*") if p.is_file()).write_bytes(b"changed")
    code, found = cli("gc", "-w", lab, "--verify")
    assert (code, found["ok"]) == (1, False)
    code, found = cli("gc", "-w", tmp_path)
    assert code == 2
    assert found["error"]["code"] == "CB357"
    assert not (tmp_path / "codabench.db").exists()
    shown = CliRunner().invoke(app, ["usage", "-w", str(lab)])
    assert "Tiny · user1" in shown.stdout


def test_the_cache_is_where_and_as_large_as_one_says(tmp_path: Path) -> None:
    place, remote = tmp_path / "cache", f"memory://{uuid.uuid4().hex}"
    with (
        cb.load(bundle(tmp_path / "bundle")) as comp,
        cb.Workspace(remote, backend="process", cache=place, cache_bytes="20 MiB") as ws,
    ):
        assert ws.storage.kept.cap == 20 << 20
        ws.add(comp)
        ws.submit(comp, {"answer.json": {"score": 1}}).wait()
    made = {(kept.kind, kept.name) for kept in Cache(place).kept()}  # it outlives the workspace
    assert {kind for kind, _ in made} >= {"archives", "trees"}
    with cb.Workspace(remote, cache=place, cache_bytes=0) as ws:
        ws.storage.kept.trim()
    assert not list(Cache(place).kept())
    with pytest.raises(UsageError) as caught:
        cb.Workspace(tmp_path / "lab", cache_bytes="much")
    assert caught.value.code == "CB353"
