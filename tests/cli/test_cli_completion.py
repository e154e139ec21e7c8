"""Shells complete commands, options and codes; the scripts for that come from the program itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from cli_lab import Lab
from typer._completion_classes import BashComplete

from codabench.cli.app import app
from codabench.db.schema import look

ROOT = Path(__file__).resolve().parents[2]
OLDER = ROOT / "tests/unit/db/schemas/revision-0001.sqlite.sql"


def codabench(*words: str, **env: str) -> str:
    """The program as its entry point starts it."""
    start = [sys.executable, "-c", "from codabench.cli import main; main()", *words]
    everything = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(start, env=everything, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("shell", "sign"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef codabench"), ("fish", "complete --command")],
)
def test_there_is_a_script_for_each_shell(shell: str, sign: str) -> None:
    script = codabench(_CODABENCH_COMPLETE=f"source_{shell}")
    assert sign in script
    assert f"_CODABENCH_COMPLETE=complete_{shell}" in script
    if path := shutil.which(shell):
        subprocess.run([path, "-n"], input=script, text=True, check=True)  # it can be parsed


def test_the_shell_that_asks_is_recognised() -> None:
    command = f'"{sys.executable}" -c "from codabench.cli import main; main()" --show-completion; :'
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert "_CODABENCH_COMPLETE=complete_bash" in said.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("codabench ru", {"run", "runs", "rule"}), ("codabench rule CB50", {f"CB50{n}" for n in range(1, 10)})],
)
def test_bash_completes_what_was_typed(typed: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    assert set(codabench(_CODABENCH_COMPLETE="complete_bash", **words).split()) == offered


def offered(line: str) -> dict[str, str]:
    """What a shell is offered for a line: words, and what is said of them; in this process, which is quick."""
    _, *words = line.split(" ")
    command = typer.main.get_command(app)
    complete = BashComplete(command, {}, "codabench", "_CODABENCH_COMPLETE")
    return {item.value: item.help or "" for item in complete.get_completions(words[:-1], words[-1])}


def test_what_is_in_the_workspace_is_offered(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODABENCH_WORKSPACE", str(lab.place))
    id = lab.competition[:8]
    assert offered("codabench submit ") == {id: "Tiny"}
    assert offered(f"codabench leaderboard {id[:2]}") == {id: "Tiny"}
    assert offered("codabench leaderboard x") == {}
    assert offered(f"codabench leaderboard {id} ") == {"board": "Board"}
    assert offered(f"codabench submit {id} --phase ") == {"0": "One"}
    assert offered("codabench revise Tiny ") == {"0": "First", "1": "Second"}
    assert offered("codabench show bo") == {"bob#1": "better"}
    assert lab.runs[0][:8] in offered("codabench logs ")
    assert set(offered("codabench runs --submission ")) == {"alice#1", "alice#2", "bob#1"}
    monkeypatch.delenv("CODABENCH_WORKSPACE")
    assert offered("codabench submit ") == {}
    assert offered(f"codabench leaderboard -w {lab.place} {id[:3]}") == {id: "Tiny"}
    words = {"COMP_WORDS": f"codabench show -w {lab.place} bo", "COMP_CWORD": "4"}
    assert codabench(_CODABENCH_COMPLETE="complete_bash", **words).split() == ["bob#1"]


def test_where_nothing_can_be_offered_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "codabench.db").write_text("no database")
    for place in (tmp_path, tmp_path / "nowhere", "s3://nowhere"):
        monkeypatch.setenv("CODABENCH_WORKSPACE", str(place))
        assert offered("codabench show ") == {}
    monkeypatch.setenv("CODABENCH_DB", "nonsense")
    assert offered("codabench show ") == {}
    assert capfd.readouterr() == ("", "")
    assert [p.name for p in tmp_path.iterdir()] == ["codabench.db"]


def test_an_older_database_is_left_as_it_is(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "codabench.db")
    raw.executescript(OLDER.read_text())
    raw.close()
    assert offered(f"codabench show -w {tmp_path} ") == {}
    assert look(f"sqlite:///{tmp_path / 'codabench.db'}") == "0001"
    assert not list(tmp_path.glob("*.revision-*"))
