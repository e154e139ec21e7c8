"""Batches carried out by processes that are killed, interrupted, or two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rescored import MENDED, make, revise, submitted

import codabench as cb
from codabench.core.evaluations import BatchState
from codabench.core.records import Run, Status

EXECUTE = """\
import sys, codabench as cb
with cb.Workspace(sys.argv[1], backend="process", jobs=1, lease=2.0) as ws:
    plan = ws.reevaluate(ws.competition("Tiny"))
    print("begun", flush=True)
    try:
        plan.execute(progress="none")
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
"""
SLOW = MENDED.replace("time.sleep(", "time.sleep(0.3 + ")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A workspace with six submissions; to score one again takes a while."""
    with cb.load(make(tmp_path / "bundle")) as loaded, cb.Workspace(tmp_path / "lab", backend="process") as ws:
        comp = ws.add(loaded)
        submitted(comp, tmp_path, [{"score": n} for n in range(6)])
        revise(comp, tmp_path / "v2", SLOW)
    return tmp_path / "lab"


def begun(lab: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", EXECUTE, str(lab)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(cb.__file__).parents[1])},
    )


def until(lab: cb.Workspace, count: int, *statuses: Status) -> cb.BatchHandle:
    """Wait until that many runs of the only batch have one of these statuses."""
    comp = lab.competition("Tiny")
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for batch in lab.batches(comp):
            counts = lab.db.batch_progress(batch.id)
            if sum(counts.get(status, 0) for status in statuses) >= count:
                return batch
        time.sleep(0.02)
    raise AssertionError("it does not come so far")


def look(lab: Path) -> cb.Workspace:
    """One that carries nothing out."""
    return cb.Workspace(lab, backend="process", dispatch=False)


def whole(ws: cb.Workspace, batch: cb.BatchHandle) -> None:
    """Every submission has one finished run in the batch; nothing is lost or there twice; rows agree with history."""
    assert batch.state is BatchState.DONE
    assert batch.progress().to_dict() | {"batch": ""} == {
        "batch": "", "total": 6, "finished": 6, "failed": 0, "cancelled": 0, "left": 0,
    }  # fmt: skip
    mine: list[Run] = [run for run in ws.db.runs(ws.competition("Tiny").id, shown=False) if run.batch == batch.id]
    finished = [run for run in mine if run.status is Status.FINISHED]
    assert len({run.submission for run in finished}) == len(finished) == 6
    assert len(ws.db.runs(ws.competition("Tiny").id)) == 6
    assert ws.db.check() == []


def test_killed_and_continued(lab: Path) -> None:
    first = begun(lab)
    with look(lab) as ws:
        batch = until(ws, 2, Status.FINISHED)
        first.kill()
        first.wait()
        kept = {run.id for run in batch.runs if run.status is Status.FINISHED}
        assert batch.state is BatchState.RUNNING
        assert len(kept) < 6
    second = begun(lab)
    assert second.wait(120) == 0, second.stderr and second.stderr.read()
    with look(lab) as ws:
        (found,) = ws.batches(ws.competition("Tiny"))
        assert found.id == batch.id
        assert kept <= {run.id for run in found.runs}, "what finished is not computed again"
        whole(ws, found)


def test_two_processes_at_the_same_batch(lab: Path) -> None:
    both = [begun(lab), begun(lab)]
    assert [one.wait(120) for one in both] == [0, 0], [one.stderr and one.stderr.read() for one in both]
    with look(lab) as ws:
        (batch,) = ws.batches(ws.competition("Tiny"))
        assert len(ws.db.runs(batch.competition.id, shown=False)) == 12, "each was queued once"
        whole(ws, batch)
        assert batch.promote() == 6


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_drains_and_a_second_one_cancels(lab: Path, times: int) -> None:
    process = begun(lab)
    with look(lab) as ws:
        batch = until(ws, 1, Status.SCORING)
        for n in range(times):
            time.sleep(0.1 * n)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (130, "begun\ninterrupted\n"), err
        assert err.startswith("interrupted: nothing new is started, what runs comes to its end")
        assert ("what runs is cancelled" in err) == (times == 2)
        counts = ws.db.batch_progress(batch.id)
        assert all(status.is_final for status in counts), counts
        ended = {run.record.status for run in batch.runs}
        assert ended <= {Status.FINISHED, Status.CANCELLED}
        assert Status.CANCELLED in ended, "what waited was not begun"
        assert batch.state is BatchState.RUNNING
    with cb.Workspace(lab, backend="process") as ws:
        plan = ws.reevaluate(ws.competition("Tiny"))
        done = plan.execute(progress="none")
        assert done.id == batch.id
        whole(ws, done)


def test_progress_lines(lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codabench.workspace.reevaluation.progress._EVERY", 0.0)
    with cb.Workspace(lab, backend="process") as ws:
        ws.reevaluate(ws.competition("Tiny")).execute()
    lines: list[Any] = capsys.readouterr().err.splitlines()
    assert lines[-1].endswith("6/6  ok 6 · 0 running")
    assert any("eta" in line for line in lines)
