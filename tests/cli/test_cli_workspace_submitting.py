"""Submitting to a workspace, with and without waiting; cancelling."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tiny import PHASE, alive, answer, bundle, yaml
from typer.testing import CliRunner

import codabench as cb
from codabench.cli.app import app

SLEEPS = '{"score": 1, "sleep": 60}'
ONCE = yaml(phases=PHASE.format(0, "One", "2020-01-01", 0, ", max_submissions: 1"))
OVER = yaml(phases=PHASE.format(0, "One", "2020-01-01", 0, ", end: 2021-01-01"))


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def codabench(*words: object) -> Ended:
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


Keep = Callable[..., None]


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """Makes a workspace with a competition in the current directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("CODABENCH_WORKSPACE", "CODABENCH_DB"):
        monkeypatch.delenv(name, raising=False)

    def make(text: str | None = None) -> None:
        assert codabench("add", bundle(tmp_path / "bundle", text)).code == 0

    return make


def submit(*words: object, backend: str = "process") -> Ended:
    return codabench("submit", "Tiny", *words, "--backend", backend)


def statuses() -> list[str]:
    return [run["status"] for run in codabench("runs", "--json").document["runs"]]


def test_it_is_queued_and_nobody_starts_it(keep: Keep, tmp_path: Path) -> None:
    keep()
    found = submit(answer(tmp_path / "good"), "--participant", "alice")
    assert found.code == 0
    assert re.fullmatch(r"[0-9a-f]{8}  alice#1  Submission 'good'  Submitted\n", found.out)
    assert "no process drives this workspace" in found.err
    assert "codabench dispatch" in found.err
    assert statuses() == ["Submitted"]
    (run,) = codabench("runs", "--status", "unfinished", "--json").document["runs"]
    assert "no process drives this workspace" in run["why"]


def test_waiting_for_it(keep: Keep, tmp_path: Path) -> None:
    keep()
    good, bad = answer(tmp_path / "good"), answer(tmp_path / "bad", '{"exit": 3}')
    assert submit(good, "--wait").code == 0
    found = submit(good, bad, "--wait", "--json")
    assert (found.code, found.document["ok"], found.document["refused"]) == (1, False, [])
    assert [each["status"] for each in found.document["submissions"]] == ["Finished", "Failed"]
    assert found.document["runs"][0]["scores"] == {"score": 0.5, "time": 5.0}
    assert "exited with 3" in found.document["runs"][1]["problem"]["message"]
    assert submit(bad, "--wait").out.count("exited with 3") == 1


def test_following_it(keep: Keep, tmp_path: Path) -> None:
    keep()
    found = submit(answer(tmp_path / "good"), "--follow")
    assert found.code == 0
    assert "scoring_stdout | scoring {'score': 0.5}" in found.err


@pytest.mark.parametrize(("text", "code"), [(OVER, "CB331"), (ONCE, "CB333")])
def test_limits_hold_unless_they_are_ignored(keep: Keep, tmp_path: Path, text: str, code: str) -> None:
    keep(text)
    good, other = answer(tmp_path / "good"), answer(tmp_path / "other")
    if text is ONCE:
        found = submit(good, other, "--json")
        assert (found.code, found.document["ok"]) == (1, False)
        assert [(r["file"], r["code"]) for r in found.document["refused"]] == [(str(other), code)]
    found = submit(good)
    assert (found.code, found.out, f"error[{code}]" in found.err) == (2, "", True)
    assert submit(good, "--ignore-limits").code == 0


def test_names_and_parameters(keep: Keep, tmp_path: Path) -> None:
    keep()
    words = ("--name", "try", "--param", "C=10", "--param", "kernel=rbf", "--param", "deep=true", "--param", "x=[1]")
    assert submit(answer(tmp_path / "good"), *words).code == 0
    with cb.Workspace(".codabench", dispatch=False) as ws:
        facts = ws.submission("try").record.fact_sheet
    assert facts == {"C": 10, "kernel": "rbf", "deep": True, "x": "[1]"}
    found = submit(answer(tmp_path / "good"), "--param", "C")
    assert (found.code, "KEY=VALUE" in found.err) == (2, True)


@pytest.mark.parametrize("words", [["nowhere"], ["good", "--phase", "Two"], ["good", "--memory", "much"]])
def test_what_cannot_be_meant(keep: Keep, tmp_path: Path, words: list[str]) -> None:
    keep()
    answer(tmp_path / "good")
    found = submit(*words)
    assert (found.code, found.out, "error[CB" in found.err) == (2, "", True)
    assert submit("good", backend="doker").code == 2
    assert statuses() == []


def test_directories_of_this_host_are_for_runs_here(keep: Keep, tmp_path: Path) -> None:
    keep()
    good = answer(tmp_path / "good")
    assert submit(good, "--wait", "--local-data", f"maps={tmp_path}").code == 0
    found = submit(good, "--local-data", f"maps={tmp_path}")
    assert (found.code, "--wait" in found.err) == (2, True)
    assert submit(good, "--local-data", "maps").code == 0
    assert codabench("dispatch", "--drain", "--local-data", f"maps={tmp_path}").code == 0
    assert statuses() == ["Finished", "Finished"]


def test_cancelling_what_waits(keep: Keep, tmp_path: Path) -> None:
    keep()
    submit(answer(tmp_path / "good"), answer(tmp_path / "other"), "--participant", "alice")
    found = codabench("cancel", "alice#1", "other", "--reason", "a mistake", "--by", "organizer")
    assert (found.code, found.out.count("  Cancelled\n")) == (0, 2)
    (first, _) = codabench("runs", "--json").document["runs"]
    assert first["problem"]["fault"] == "organizer"
    assert "a mistake" in first["problem"]["message"]


def start(*words: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "codabench", *map(str, words)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def pid_in(process: subprocess.Popen[str]) -> int:
    """The process id that the program of the run prints."""
    assert process.stderr is not None
    for line in process.stderr:
        if said := re.search(r"pid (\d+)", line):
            return int(said[1])
    raise AssertionError("it never began")


def test_ctrl_c_cancels_what_was_submitted(keep: Keep, tmp_path: Path) -> None:
    keep()
    long = answer(tmp_path / "long", SLEEPS)
    process = start("submit", "Tiny", long, "--follow", "--backend", "process")
    pid = pid_in(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not alive(pid)
    assert statuses() == ["Cancelled"]


def test_another_process_cancels_what_is_under_way(keep: Keep, tmp_path: Path) -> None:
    keep()
    long = answer(tmp_path / "long", SLEEPS)
    process = start("submit", "Tiny", long, "--follow", "--backend", "process")
    pid = pid_in(process)
    found = codabench("cancel", "long")
    assert (found.code, found.out[8:]) == (0, "  Cancelled\n")
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert not alive(pid)
