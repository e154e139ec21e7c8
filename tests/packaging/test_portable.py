"""`load`, `check` and `leaderboard` need nothing that only Linux has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ELSEWHERE = """
import os, sys

# Something like a Mac: no /proc, no /sys, none of the calls that only Linux has.
for name in ("sched_getaffinity", "pidfd_open", "memfd_create", "O_TMPFILE", "setns", "unshare", "openat2"):
    if hasattr(os, name):
        delattr(os, name)

class Forbidden:
    # Not all of this is only on Linux; but who only reads and ranks needs no limits, locks, groups or engines.
    names = {"spwd", "grp", "fcntl", "resource", "docker", "podman"}
    def find_spec(self, name, path=None, target=None):
        if name in self.names and not any(known in caller(2) for known in STDLIB):
            raise ImportError(f"{name} was imported by {caller(2)}")

STDLIB = (os.path.dirname(os.__file__) + os.sep, "<frozen")
def caller(depth):
    frame = sys._getframe(depth)
    while frame.f_code.co_filename.startswith("<frozen"):
        frame = frame.f_back
    name = frame.f_code.co_filename
    return "third party" + STDLIB[0] if "site-packages" in name else name
sys.meta_path.insert(0, Forbidden())

def audit(event, args):
    if event == "open" and isinstance(args[0], (str, os.PathLike)):
        if os.fspath(args[0]).startswith(("/proc", "/sys")) and "codabench" in caller(2):
            raise OSError(f"{args[0]} was opened by {caller(2)}")
sys.addaudithook(audit)
"""

USE = """
import codabench as cb
for bundle in sys.argv[1:]:
    competition = cb.load(bundle)
    assert competition.check().ok
    board = competition.leaderboard()
    assert len(board.to_frame()) == len(board) == 0
    repr(competition), repr(board), board._repr_html_()
    competition.close()
print("done")
"""


def python(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


def test_load_check_and_leaderboard_on_a_system_that_is_not_linux() -> None:
    bundles = sorted(str(p.parent) for p in ROOT.glob("examples/*/bundle/competition.yaml"))
    assert len(bundles) >= 5
    ran = python(ELSEWHERE + USE, *bundles)
    assert ran.stdout == "done\n", ran.stderr


@pytest.mark.parametrize(
    "offence",
    [
        "exec(compile('import resource', 'codabench/x.py', 'exec'))",
        "exec(compile('open(\"/proc/self/stat\")', 'codabench/x.py', 'exec'))",
        "os.sched_getaffinity(0)",
    ],
)
def test_the_disguise_holds(offence: str) -> None:
    """Each thing that is taken away is missed by a program that wants it."""
    ran = python(ELSEWHERE + offence)
    assert ran.returncode == 1, ran
    assert any(word in ran.stderr for word in ("was imported by", "was opened by", "AttributeError"))
