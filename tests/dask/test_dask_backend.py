"""The Dask backend on a cluster of processes, with TLS: what every backend promises, and what is when things die."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster, wait_for

from codabench.backends.backend import Backend, HandleStatus, Needs, Work
from codabench.backends.dask import DaskBackend
from codabench.core.errors import EngineUnavailable, WorkLost
from codabench.testing import BackendContract

ECHO = Work(function="codabench.testing.works:echo", payload={})
LONG = Work(function="codabench.testing.works:until_stopped", payload={})


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Cluster]]:
    """One cluster of each size for the whole suite."""
    made: dict[int, Cluster] = {}

    def of(slots: int) -> Cluster:
        if slots not in made:
            made[slots] = Cluster(tmp_path_factory.mktemp("cluster"))
            made[slots].worker(slots)
        return made[slots]

    yield of
    for cluster in made.values():
        assert all(worker.end() == 0 for worker in cluster.workers)
        assert cluster.scheduler.end() == 0


class TestContract(BackendContract):
    @pytest.fixture
    def make_backend(self, sized: Callable[[int], Cluster]) -> Callable[[int], Backend]:
        return lambda jobs: DaskBackend(sized(jobs).url)


def test_a_lost_worker_costs_only_what_it_had(cluster: Cluster) -> None:
    cluster.worker(1)
    with DaskBackend(cluster.url) as backend:
        first = backend.submit(LONG, key="first")
        assert next(first.events()) == {"type": "waiting"}
        cluster.worker(1)
        second = backend.submit(LONG, key="second")
        assert next(second.events()) == {"type": "waiting"}
        waiting = backend.submit(ECHO, key="waiting")
        cluster.workers[0].kill()
        with pytest.raises(WorkLost) as caught:
            first.result(30)
        assert (caught.value.code, caught.value.begun) == ("CB658", True)
        second.cancel("enough")
        assert second.result(30) == {"stopped": True, "reason": "enough"}
        try:  # it may have waited at either
            well = waiting.result(30)["scratch"]
        except WorkLost as lost:
            well = not lost.begun
        assert well


def test_a_scheduler_that_comes_back_finds_its_workers_and_clients_again(cluster: Cluster) -> None:
    worker = cluster.worker(1)
    with DaskBackend(cluster.url) as backend:
        first = backend.submit(LONG, key="first")
        assert next(first.events()) == {"type": "waiting"}
        cluster.restart()
        with pytest.raises(WorkLost):
            first.result(60)
        worker.says(r"the scheduler is gone; 1 run")

        def done() -> bool:
            try:
                return backend.submit(ECHO, key="again").result(30)["scratch"] is True
            except (EngineUnavailable, WorkLost):
                return False

        wait_for(done)


def test_a_worker_finishes_what_it_has_before_it_goes(cluster: Cluster) -> None:
    worker = cluster.worker(1)
    with DaskBackend(cluster.url) as backend:
        running = backend.submit(LONG, key="running")
        assert next(running.events()) == {"type": "waiting"}
        worker.process.terminate()
        worker.says("1 run")
        waiting = backend.submit(ECHO, key="waiting")
        time.sleep(0.5)
        assert (running.status(), waiting.status()) == (HandleStatus.RUNNING, HandleStatus.WAITING)
        running.cancel("done")
        assert running.result(30)["reason"] == "done"
        assert worker.process.wait(30) == 0
        cluster.worker(1)
        assert waiting.result(30)["scratch"] is True


def test_what_no_worker_has_is_refused_at_once(cluster: Cluster) -> None:
    with DaskBackend(cluster.url) as backend:
        with pytest.raises(EngineUnavailable, match="no workers"):
            backend.submit(ECHO, key="a")
        cluster.worker(2)
        with pytest.raises(EngineUnavailable, match="GPU=1") as caught:
            backend.submit(ECHO, key="a", needs=Needs(gpus="all"))
        assert caught.value.code == "CB657"
        assert backend.submit(ECHO, key="a", needs=Needs(slots=2)).result(30)["scratch"] is True
        info = backend.info()
        assert (info.name, info.slots, info.details["encrypted"]) == ("dask", 2, True)


def test_large_results_come_whole(cluster: Cluster) -> None:
    cluster.worker(1)
    with DaskBackend(cluster.url) as backend:
        large = {"text": "é" * 1_500_000}
        assert backend.submit(ECHO.model_copy(update={"payload": large}), key="a").result(60)["payload"] == large


def test_a_port_that_is_taken_is_said(cluster: Cluster) -> None:
    port = cluster.address.rpartition(":")[2]
    command = [sys.executable, "-m", "codabench", "scheduler", "--port", port, "--certs", str(cluster.certs)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == 3
    assert "CB659" in found.stderr


def test_a_scheduler_forgets_what_it_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would grow with everybody who ever was there."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__EVENTS_CLEANUP_DELAY", "1s")
    cluster = Cluster(tmp_path)
    try:
        cluster.worker(1)
        with DaskBackend(cluster.url) as stays, DaskBackend(cluster.url) as leaves:
            assert leaves.submit(ECHO, key="a").result(30)["scratch"] is True

            def kept() -> list[object]:
                said = stays._link.ask("events", topic=leaves._topic)
                return [message for _, message in said if "execution" in message]

            assert kept()
            leaves.close()
            wait_for(lambda: not kept())
    finally:
        cluster.close()
