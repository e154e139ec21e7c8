"""A competition that changes while it keeps its scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import FILES, bundle, yaml
from typer.testing import CliRunner

from codabench.cli.app import app


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def document(*words: object) -> Any:
    code, out, err = run(*words, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture(autouse=True)
def _lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CODABENCH_WORKSPACE", "CODABENCH_DB"):
        monkeypatch.delenv(name, raising=False)
    bundle(tmp_path / "bundle")
    assert run("add", "bundle")[0] == 0


def test_a_program_is_revised(tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "metadata").write_bytes(FILES["scoring/metadata"])
    (new / "score.py").write_bytes(FILES["scoring/score.py"] + b"# better\n")
    words = ("revise", "Tiny", "First", "--scoring-program", new, "--note", "off by one")
    assert run(*words)[:2] == (0, "task 0 'First' has revision 2\n")
    assert run(*words) == (0, "", "programs and data are the same\n")
    found = document("revisions", "Tiny", "0")["revisions"]
    assert [(each["number"], each["note"]) for each in found] == [(1, ""), (2, "off by one")]
    assert document(*words)["new"] is False
    rows = run("revisions", "Tiny")[1].splitlines()
    assert [row.split()[0] for row in rows[2:]] == ["1", "2"]
    assert rows[3].endswith("off by one")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0", "--note", "nothing"], "name what is new: scoring program"),
        (["9", "--note", "n", "--scoring-program", "bundle/scoring"], "no task '9'"),
        (["0", "--note", "n", "--scoring-program", "nowhere"], "error[CB"),
    ],
)
def test_what_cannot_be_revised(words: list[str], said: str) -> None:
    code, out, err = run("revise", "Tiny", *words)
    assert (code, out, said in err) == (2, "", True), err
    assert len(document("revisions", "Tiny")["revisions"]) == 1


def test_an_edited_bundle(tmp_path: Path) -> None:
    text = yaml().replace("title: Tiny", "title: Small")
    bundle(tmp_path / "edited", text, {"data/x.csv": b"1234567"})
    found = document("update", "Tiny", "edited", "--note", "longer")
    assert (found["new"], [(r["number"], r["note"]) for r in found["revisions"]]) == (True, [(2, "longer")])
    assert document("competitions")["competitions"][0]["title"] == "Small"
    assert run("update", "Small", "edited")[2] == "programs and data are the same\n"
    bundle(tmp_path / "broken", text.replace("title: Small", "titel: Small"))
    code, _, err = run("update", "Small", "broken")
    assert (code, "competition.yaml" in err) == (2, True)
