"""Programs that write too much are ended; a disk is never filled (security.md C05)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import SCORER, answer, bundle

import codabench as cb
from codabench.core.policy import MIB, Limits
from codabench.core.problems import Fault
from codabench.core.records import ExitReason, Status
from codabench.runner import quota as quotas
from codabench.runner.quota import Quota

WRITES = SCORER.replace(
    "print(",
    """for n in range(answer.get("files", 0)):
    (output / f"file{n}").write_bytes(b"x" * answer.get("size", 1))
    time.sleep(answer.get("pause", 0))
print(""",
    1,
)


@pytest.fixture
def comp(tmp_path: Path) -> Iterator[cb.Competition]:
    with cb.load(bundle(tmp_path / "bundle", files={"scoring/score.py": WRITES.encode()})) as made:
        yield made


def run(comp: cb.Competition, tmp_path: Path, text: str, **limits: Any) -> cb.RunHandle:
    policy = cb.Policy(limits=Limits(**limits))
    return comp.run(answer(tmp_path / "mine", text), backend="process", policy=policy, progress="none").run


FLOOD = '{"score": 1, "files": 600, "size": 1000000, "pause": 0.05}'


def test_a_flood_of_bytes_is_ended(comp: cb.Competition, tmp_path: Path) -> None:
    began = time.monotonic()
    made = run(comp, tmp_path, FLOOD, output=5 * MIB)
    assert time.monotonic() - began < 25
    assert made.status is Status.FAILED
    assert made.problem is not None
    assert (made.problem.code, made.problem.fault) == ("CB616", Fault.ORGANIZER)
    assert "the limit is 5.0 MiB" in made.problem.message
    step = made.outcome.step("scoring") if made.outcome else None
    assert step is not None
    assert step.exits["program"].reason is ExitReason.OUTPUT_LIMIT


def test_a_flood_of_files_is_ended(comp: cb.Competition, tmp_path: Path) -> None:
    made = run(comp, tmp_path, '{"score": 1, "files": 500, "pause": 0.05}', output_files=100)
    assert made.problem is not None
    assert "files, and the limit is 100" in made.problem.message


def test_without_the_limit_the_same_program_writes_everything(comp: cb.Competition, tmp_path: Path) -> None:
    made = run(comp, tmp_path, '{"score": 1, "files": 500, "size": 20000}')
    assert made.status is Status.FINISHED
    with made.output() as output:
        assert sum(e.path.startswith("file") for e in output.entries()) == 500


def test_a_reserve_of_the_disk_is_kept(comp: cb.Competition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Quota.__init__, "__kwdefaults__", {"reserve": 1 << 60})
    monkeypatch.setattr(quotas, "LARGE", MIB)
    made = run(comp, tmp_path, FLOOD)
    assert made.problem is not None
    assert (made.problem.code, made.problem.fault) == ("CB616", Fault.OPERATOR)
    assert "the disk of this machine is nearly full" in made.problem.message
    small = run(comp, tmp_path, '{"score": 1}')
    assert small.status is Status.FINISHED, "who did not fill it is left alone"


# ---------------------------------------------------------------------- counting
def told(folder: Path, **limits: Any) -> str | None:
    return Quota([folder], Limits(**limits), folder, reserve=0).exceeded()


def test_links_are_not_followed_and_holes_take_no_room(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside):
        folder.mkdir()
    (outside / "large").write_bytes(b"x" * MIB)
    (inside / "directory").symlink_to(outside)
    (inside / "file").symlink_to(outside / "large")
    (inside / "loop").symlink_to(inside)
    os.truncate(os.open(inside / "holes", os.O_CREAT | os.O_RDWR), 1 << 40)
    assert told(inside, output=MIB // 2) is None
    assert told(inside, output_files=4) is None
    assert told(inside, output_files=3) is not None
    (inside / "real").write_bytes(b"x" * MIB)
    assert told(inside, output=MIB // 2) is not None


def test_a_directory_that_is_locked_or_gone_is_no_error(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    assert told(tmp_path, output=MIB) is None
    assert Quota([tmp_path / "missing"], Limits(output=1), tmp_path, reserve=0).exceeded() is None


def test_very_deep_directories_end(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d", dir_fd=at)
        at, old = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(old)
    os.close(at)
    assert told(tmp_path, output_files=10) is not None
