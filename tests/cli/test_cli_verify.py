"""``codabench receipt`` and ``codabench verify``: exit codes, words, JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
from tiny import answer, bundle
from typer.testing import CliRunner

import codabench as cb
from codabench.cli.app import app


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def codabench(*args: object) -> Ended:
    done = CliRunner().invoke(app, [*map(str, args)], prog_name="codabench", env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a submission that finished and one that failed, and the receipt of the first."""
    root = tmp_path_factory.mktemp("verify")
    with cb.load(bundle(root / "bundle")) as comp, cb.Workspace(root / "lab", backend="process") as ws:
        ws.add(comp)
        good = comp.run(answer(root / "good"), participant="ann", progress="none").run
        comp.run(answer(root / "bad", '{"exit": 3}'), participant="bob", progress="none")
        good.receipt().save(root / "receipt.json")
    return root


def altered(lab: Path, place: Path, **changes: Any) -> Path:
    document = json.loads((lab / "receipt.json").read_text())
    place.write_text(json.dumps({**document, **changes}))
    return place


def test_a_receipt_is_printed_or_written(lab: Path, tmp_path: Path) -> None:
    printed = codabench("receipt", "ann#1", "-w", lab / "lab")
    assert printed.code == 0
    assert printed.out == (lab / "receipt.json").read_text()
    schema = json.loads(codabench("schema", "--receipt").out)
    jsonschema.validate(json.loads(printed.out), schema)
    run = json.loads(printed.out)["run"]
    written = codabench("receipt", run[:8], "-w", lab / "lab", "--out", tmp_path / "r.json")
    assert (written.code, written.out) == (0, "")
    assert (tmp_path / "r.json").read_text() == printed.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(["bob#1"], 2, "CB381"), (["carl#1"], 2, "CB340"), (["ann#1", "-o", "/nowhere/r.json"], 3, "CB704")],
)
def test_no_receipt(lab: Path, words: list[str], code: int, said: str) -> None:
    ended = codabench("receipt", *words, "-w", lab / "lab")
    assert (ended.code, ended.out, said in ended.err) == (code, "", True)


def test_it_reproduces(lab: Path) -> None:
    from_workspace = codabench("verify", lab / "receipt.json", "-w", lab / "lab", "-b", "process")
    assert (from_workspace.code, from_workspace.err) == (0, "scoring ...\n")
    assert from_workspace.out.startswith("reproduces within tolerance")
    files = ["--bundle", lab / "bundle", "--submission", lab / "good"]
    from_files = codabench("verify", lab / "receipt.json", *files, "-b", "process", "--json")
    document = json.loads(from_files.out)
    assert (from_files.code, document["ok"], document["reproduces"], document["status"]) == (0, True, True, "Finished")
    assert document["columns"][0] == {
        "key": "score",
        "recorded": 0.5,
        "found": 0.5,
        "tolerance": 1e-9,
        "difference": 0.0,
        "ok": True,
    }
    assert document["receipt"] == json.loads((lab / "receipt.json").read_text())


def test_it_does_not_reproduce(lab: Path, tmp_path: Path) -> None:
    other = altered(lab, tmp_path / "r.json", scores={"score": 0.75, "time": 5})
    place = ["-w", lab / "lab", "-b", "process"]
    ended = codabench("verify", other, *place)
    assert ended.code == 1
    assert ended.out.splitlines()[:2] == [
        "does not reproduce: score",
        "  score   0.75 ≠ 0.5   difference 0.25, tolerance 1e-09",
    ]
    assert codabench("verify", other, *place, "--tolerance", "0.3").code == 0
    assert codabench("verify", other, *place, "--tolerance", "score=0.3", "--json").code == 0
    assert json.loads(codabench("verify", other, *place, "--tolerance", "time=0.3", "--json").out)["ok"] is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tolerance", "much"], "CB383"),
        (["--tolerance", "skore=1"], "CB383"),
        (["--bundle", "bundle"], "CB382"),
        (["--submission", "good"], "CB382"),
        (["--bundle", "bundle", "--submission", "bad", "-b", "process"], "CB382"),
        (["--pull", "sometimes"], "CB353"),
    ],
)
def test_what_cannot_be_meant(lab: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)
    place = [] if "--bundle" in words or "--submission" in words else ["-w", "lab"]
    for as_json in ([], ["--json"]):
        ended = codabench("verify", "receipt.json", *words, *place, *as_json)
        assert (ended.code, said in (ended.out if as_json else ended.err)) == (2, True)


def test_what_is_no_receipt(lab: Path) -> None:
    ended = codabench("verify", lab / "bundle" / "competition.yaml", "-w", lab / "lab")
    assert (ended.code, "CB380" in ended.err) == (2, True)
