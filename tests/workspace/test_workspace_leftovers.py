"""Temporary directories of processes that were killed go with the next one, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from codabench.backends.owner import myself
from codabench.backends.scratch import OWNER, abandoned
from codabench.workspace.leftovers import remove

OPENED = """
import os, signal, sys
import codabench as cb
ws = cb.Workspace()
deep = ws.scratch / "runs/a"
deep.mkdir(parents=True)
(deep / "file").write_text("x")
deep.chmod(0o500)
print(ws.scratch, flush=True)
os.kill(os.getpid(), signal.SIGKILL) if sys.argv[1] == "killed" else sys.stdin.read()
"""


def opened(temporary: Path, how: str) -> subprocess.Popen[str]:
    env = {**os.environ, "TMPDIR": str(temporary)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", OPENED, how], env=env, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def place_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


def scratch(parent: Path, name: str, **owner: object) -> Path:
    """A directory whose process is gone, unless `owner` says something else."""
    place = parent / name
    place.mkdir()
    (place / OWNER).write_text(myself().model_copy(update={"started": "1", **owner}).label())
    return place


def test_what_a_killed_process_left_goes_with_the_next_one(tmp_path: Path) -> None:
    with opened(tmp_path, "killed") as killed:
        left = place_of(killed)
    assert (killed.returncode, (left / "runs/a/file").exists()) == (-signal.SIGKILL, True)
    with opened(tmp_path, "alive") as alive:
        other = place_of(alive)
        for _ in range(100):
            if not left.exists():
                break
            threading.Event().wait(0.1)
        with opened(tmp_path, "alive") as third:  # which has nobody's to remove
            mine = place_of(third)
            there = {path.name for path in tmp_path.iterdir()}
            third.communicate()
        alive.communicate()
    assert there == {other.name, mine.name}


@pytest.mark.parametrize(
    "owner",
    [
        {"started": myself().started},
        {"namespace": "pid:[1]"},
        {"machine": "another"},
    ],
    ids=["alive", "in another namespace of processes", "on another machine"],
)
def test_who_may_be_alive_keeps_it(tmp_path: Path, owner: dict[str, str]) -> None:
    scratch(tmp_path, "codabench-a", **owner)
    gone = scratch(tmp_path, "codabench-b")
    assert abandoned(tmp_path) == [gone]


def test_what_says_nothing_stays(tmp_path: Path) -> None:
    for name in ("codabench-kept", "codabench-broken", "codabench-link"):
        (tmp_path / name).mkdir()
    (tmp_path / "codabench-broken" / OWNER).write_bytes(b"\xff")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "codabench-link" / OWNER).symlink_to(scratch(elsewhere, "codabench-x") / OWNER)
    (tmp_path / "codabench-away").symlink_to(elsewhere / "codabench-x")
    (tmp_path / "codabench-file").touch()
    assert abandoned(tmp_path) == []
    assert abandoned(tmp_path / "nowhere") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_those_of_others_stay(tmp_path: Path) -> None:
    os.chown(scratch(tmp_path, "codabench-a"), 12345, 12345)
    assert abandoned(tmp_path) == []


def test_links_in_it_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    place = scratch(tmp_path, "codabench-a")
    (place / "link").symlink_to(tmp_path / "mine")
    remove([place, tmp_path / "gone already"])
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "file"]
