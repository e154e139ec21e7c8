"""``codabench dispatch``: what it says, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from tiny import answer, bundle
from typer.testing import CliRunner

import codabench as cb
from codabench.cli.app import app
from codabench.core.records import Status


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[cb.Workspace]:
    with cb.Workspace(tmp_path / "lab", dispatch=False) as made:
        made.add(cb.load(bundle(tmp_path / "bundle")))
        yield made


def submit(ws: cb.Workspace, place: Path, name: str, text: str = '{"score": 0.5}') -> cb.SubmissionHandle:
    comp = cb.load(place / "bundle")
    return ws.submit(comp, answer(place / name, text), enforce=False)


def test_until_nothing_waits(ws: cb.Workspace, tmp_path: Path) -> None:
    good, bad = submit(ws, tmp_path, "good"), submit(ws, tmp_path, "bad", '{"exit": 3}')
    words = ["dispatch", "-w", str(tmp_path / "lab"), "-b", "process", "--drain"]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout) == (0, "")
    lines = [line[10:] for line in done.stderr.splitlines()]
    assert lines[0] == f"carries out the runs of {tmp_path / 'lab'}: process, {len_of_cores()} at the same time"
    assert lines[1] == "2 wait, 0 under way"
    assert f"took       good    run {good.run.id[:8]}" in lines
    assert f"finished   good  score 0.5  time 5  run {good.run.id[:8]}" in lines
    assert f"failed     bad  the scoring program exited with 3 [CB612]  run {bad.run.id[:8]}" in lines
    assert sorted(lines[-1].split(", ")) == ["1 failed", "1 finished"]
    again = CliRunner().invoke(app, [*words, "--json"])
    assert (again.exit_code, json.loads(again.stdout), again.stderr) == (0, {"ok": True}, "")


def len_of_cores() -> int:
    from codabench.backends.local import available_cores

    return available_cores()


def test_an_engine_that_does_not_answer(ws: cb.Workspace, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["dispatch", "-w", str(tmp_path / "lab"), "-b", "docker:unix:///nowhere/d.sock"])
    assert done.exit_code == 3
    assert done.stderr.startswith("error[CB601]")


@pytest.mark.parametrize("once", [True, False])
def test_a_polite_kill_lets_runs_finish_and_a_second_one_gives_them_back(
    ws: cb.Workspace, tmp_path: Path, once: bool
) -> None:
    sub = submit(ws, tmp_path, "mine", f'{{"score": 1, "sleep": {2 if once else 60}}}')
    words = ["dispatch", "-w", str(tmp_path / "lab"), "-b", "process", "-j", "1"]
    command = [sys.executable, "-m", "codabench", *words]
    with subprocess.Popen(command, text=True, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        read_until(process.stderr, "took")
        later = submit(ws, tmp_path, "later")
        while ws.db.run(sub.run.id).status is not Status.SCORING:
            pass
        process.send_signal(signal.SIGTERM)
        read_until(process.stderr, "what is under way is finished; once more, and it is given back at once")
        if not once:
            process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    if once:
        assert process.returncode == 0, rest
        assert sub.status is Status.FINISHED
        assert "1 finished" in rest
    else:
        assert process.returncode == 130, rest
        assert sub.status is Status.SUBMITTED
        assert "gave back  mine" in rest
    assert later.status is Status.SUBMITTED
    assert ws.db.in_flight() == []


def read_until(stream: IO[str], text: str) -> None:
    for line in stream:
        if text in line:
            return
    pytest.fail(f"it ended without {text!r}")
