"""A workspace whose runs go to a cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, wait_for

import codabench as cb
from codabench.core.errors import EngineUnavailable, UsageError
from codabench.core.events import EventKind
from codabench.core.problems import Fault
from codabench.core.records import Status

sys.path.append(str(Path(__file__).parents[1] / "workspace"))
import tiny


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def test_runs_of_a_lost_worker_go_to_another_one(cluster: Cluster, tmp_path: Path) -> None:
    cluster.worker(1)
    comp = cb.load(tiny.bundle(tmp_path / "bundle"))
    with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        ws.add(comp)
        slow = ws.submit(comp, tiny.answer(tmp_path / "slow", '{"score": 0.5, "sleep": 4}'))
        quick = ws.submit(comp, tiny.answer(tmp_path / "quick", '{"score": 0.75}'))
        wait_for(lambda: slow.status is Status.SCORING)
        time.sleep(0.3)
        cluster.workers[0].kill()
        cluster.worker(1)
        assert (slow.wait(60).status, quick.wait(60).status) == (Status.FINISHED, Status.FINISHED)
        assert (slow.scores["score"], quick.scores["score"]) == (0.5, 0.75)
        history = slow.run.history()
        assert [event.kind for event in history].count(EventKind.RUN_FINISHED) == 1
        # Until the second worker is there it may be offered to a cluster that has none.
        lost = [event.data["why"] for event in history if event.kind is EventKind.ATTEMPT_LOST]
        assert [why for why in lost if why != "no room"] == ["worker gone"]
        assert b"scoring" in slow.run.logs.raw("scoring_stdout")
        assert slow.run.provenance["engine"]["name"] == "process"


def test_cancelling_ends_the_program_on_its_worker(cluster: Cluster, tmp_path: Path) -> None:
    cluster.worker(1)
    comp = cb.load(tiny.bundle(tmp_path / "bundle"))
    with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        ws.add(comp)
        watcher = tiny.Watcher()
        ws.observe(watcher.event)
        running = ws.submit(comp, tiny.answer(tmp_path / "a", '{"score": 0.5, "sleep": 60}'))
        waiting = ws.submit(comp, tiny.answer(tmp_path / "b", '{"score": 0.5}'))
        assert watcher.sleeping.wait(60)
        assert tiny.alive(watcher.pids[0])
        waiting.cancel("not wanted")
        running.cancel("not wanted")
        assert (running.status, waiting.status) == (Status.CANCELLED, Status.CANCELLED)
        assert not tiny.alive(watcher.pids[0])


def test_a_run_that_needs_a_gpu_goes_to_a_worker_that_has_one(cluster: Cluster, tmp_path: Path) -> None:
    cluster.worker(1)
    comp = cb.load(tiny.bundle(tmp_path / "bundle"))
    policy = cb.Policy(gpus="1")
    with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        ws.add(comp)
        # At once and with the reason: it would wait for ever.
        refused = ws.submit(comp, tiny.answer(tmp_path / "a"), policy=policy).wait(60)
        assert (refused.status, refused.run.scores) == (Status.FAILED, {})
        assert refused.problem is not None
        assert (refused.problem.code, refused.problem.fault) == ("CB657", Fault.OPERATOR)
        assert "GPU=1" in refused.problem.message
        with_gpu = cluster.worker(1, "--gpus", "1")
        watcher = tiny.Watcher()
        ws.observe(watcher.event)
        given = ws.submit(comp, tiny.answer(tmp_path / "b", '{"score": 0.5, "sleep": 60}'), policy=policy)
        assert watcher.sleeping.wait(60)
        stat = Path(f"/proc/{watcher.pids[0]}/stat").read_text()
        assert int(stat.rpartition(")")[2].split()[1]) == with_gpu.process.pid
        given.cancel("seen")


def test_when_there_is_no_cluster_runs_wait_for_it(tmp_path: Path) -> None:
    comp = cb.load(tiny.bundle(tmp_path / "bundle"))
    cluster = Cluster(tmp_path)
    try:
        with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
            ws.add(comp)
            sub = ws.submit(comp, tiny.answer(tmp_path / "a"))
            time.sleep(4)
            assert sub.status in (Status.SUBMITTED, Status.PREPARING)
            why = sub.run.explain().why
            assert "CB652" in why
            assert "has no workers" in why
            cluster.worker(1)
            assert sub.wait(60).status is Status.FINISHED
    finally:
        cluster.close()


def test_preflight_looks_at_every_worker(cluster: Cluster, tmp_path: Path) -> None:
    cluster.worker(1, "--name", "one")
    cluster.worker(1, "--name", "two")
    with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        found = ws.preflight()
        assert found.ok
        assert len(found.workers) == 2
        assert {check.name for check in found.checks} == {"versions", "clock", "engine", "storage", "shared"}
        lacking = ws.preflight(backend=f"{cluster.url}&engine=docker:unix:///nowhere.sock")
        assert not lacking.ok
        with pytest.raises(EngineUnavailable, match="2 of 2 workers") as caught:
            lacking.raise_for_errors()
        assert caught.value.code == "CB653"
    with cb.Workspace(tmp_path / "lab", backend="process") as ws, pytest.raises(UsageError, match="this machine"):
        ws.preflight()


def test_a_storage_that_a_worker_does_not_share_is_found(cluster: Cluster, tmp_path: Path) -> None:
    """Its twin is above: a directory that both see."""
    cluster.worker(1)
    with cb.Workspace("memory://lab", db=f"sqlite:///{tmp_path / 'lab.db'}", backend=cluster.url) as ws:
        found = ws.preflight()
        assert {check.name for check in found.checks if not check.ok} >= {"storage"}
