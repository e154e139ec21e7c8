"""What runs on a cluster report reaches whoever looks on: here, elsewhere, and as a status of everything."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, wait_for

import codabench as cb
from codabench.backends.dask import DaskBackend
from codabench.backends.dask.courier import BURST, PENDING, RATE
from codabench.core.live import LogWritten
from codabench.core.records import Status
from codabench.workspace.status import BackendNow

sys.path.append(str(Path(__file__).parents[1] / "workspace"))
import tiny

SPEAKS = tiny.SCORER.replace(
    "print(",
    """for n in range(answer.get("lines", 0)):
    print("line", n, flush=True)
    time.sleep(answer.get("pause", 0))
for n in range(answer.get("mib", 0)):
    os.write(1, (b"x" * 1023 + b"\\n") * 1024)
    time.sleep(answer.get("between", 0))
print('{"type": "plot", "y": [1, 2]}')
print(""",
    1,
)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def comp(cluster: Cluster, tmp_path: Path) -> Iterator[cb.Competition]:
    cluster.worker(1, "--name", "gpu-1")
    place = tiny.bundle(tmp_path / "bundle", files={"scoring/score.py": SPEAKS.encode()})
    with cb.load(place) as made, cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        yield ws.add(made)


def submit(comp: cb.Competition, place: Path, text: str) -> cb.RunHandle:
    return comp.workspace.submit(comp, tiny.answer(place / "mine", text)).run


def said(event: object) -> str:
    return event.text if isinstance(event, LogWritten) and event.name == "scoring_stdout" else ""


def test_what_a_run_reports_comes_while_it_goes_on(comp: cb.Competition, tmp_path: Path) -> None:
    """To observers, to readers here, and to ``codabench logs --follow`` in another process."""
    watcher = tiny.Watcher()
    comp.workspace.observe(watcher.event)
    run = submit(comp, tmp_path, '{"score": 1, "lines": 60, "pause": 0.1}')
    command = [sys.executable, "-m", "codabench", "logs", run.id, "scoring_stdout", "--follow"]
    env = {**os.environ, "CODABENCH_WORKSPACE": str(tmp_path / "lab")}
    other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    here, early, there, first = [], 0, [], []

    def listen() -> None:
        for line in other.stdout or ():
            first.append(run.status) if not first else None
            there.append(line)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        for event in run.events():
            here.append(event)
            early += bool(said(event)) and not run.status.is_final
        assert other.wait(30) == 0
        listener.join(30)
    finally:
        other.kill()
    wanted = [f"line {n}\n" for n in range(60)]
    assert early > 10
    assert "".join(map(said, here)).startswith("".join(wanted))
    assert there[:60] == wanted
    assert first == [Status.SCORING]
    assert [e.type for e in here if e.type == "plot"] == ["plot"]
    assert {e.data.get("worker") for e in here if e.type == "step" and e.event == "ScoringStarted"} == {"gpu-1"}
    assert here == list(run.events())
    assert run.worker == "gpu-1"
    assert len([e for e in watcher.events if e["type"] == "log"]) > 10


def test_a_flood_crosses_at_a_bounded_rate_and_what_is_missing_is_told(comp: cb.Competition, tmp_path: Path) -> None:
    began = time.monotonic()
    run = submit(comp, tmp_path, '{"score": 1, "mib": 60, "between": 0.05}')
    events = [e for e in run.events() if isinstance(e, LogWritten) and e.name == "scoring_stdout"]
    seconds = time.monotonic() - began
    assert run.status is Status.FINISHED
    heard, missing = sum(len(e.data) for e in events), sum(e.missing for e in events)
    total = run.logs.record("scoring_stdout").total
    assert total > 60 << 20
    assert heard + missing == total
    assert heard < BURST + RATE * seconds + PENDING
    assert events[-1].text.endswith("'between': 0.05}\n")
    assert run.logs.raw("scoring_stdout").startswith(b"x" * 1023)


def test_the_status_of_a_cluster(cluster: Cluster, comp: cb.Competition, tmp_path: Path) -> None:
    quick = submit(comp, tmp_path, '{"score": 1}')
    runs = [submit(comp, tmp_path, '{"score": 1, "sleep": 60}') for _ in range(3)]
    wait_for(lambda: quick.status is Status.FINISHED and runs[0].status is Status.SCORING)
    with cb.Workspace(tmp_path / "lab", dispatch=False) as other:
        wait_for(lambda: any(worker.present for worker in other.status().workers))
        found = other.status()
        (worker,), (driver,) = found.workers, found.dispatchers
        assert (worker.name, worker.slots, worker.running, worker.ended) == ("gpu-1", 1, 1, {Status.FINISHED: 1})
        assert worker.engine.startswith("process")
        assert (driver.backends[0].address, driver.backends[0].slots) == (cluster.address, 1)
        assert found.dashboards == ()  # there is none, whatever Dask says
        assert (found.under_way[0].worker, found.under_way[0].engine) == ("gpu-1", "process")
        assert found.cluster is None
        assert "on the worker gpu-1" in other.run(runs[0].id).explain().why
    here = comp.workspace.status()
    assert here.cluster is not None
    assert here.cluster.address == cluster.address
    assert "no slot is free" in here.under_way[1].why
    cluster.workers[0].kill()
    wait_for(lambda: not any(worker.present for worker in comp.workspace.status().workers))
    assert "gone" in str(comp.workspace.status())


def test_a_cluster_that_is_away_says_so_at_once(cluster: Cluster, tmp_path: Path) -> None:
    cluster.worker(1)
    with cb.Workspace(tmp_path / "lab", backend=cluster.url, dispatch=False) as ws:
        with DaskBackend(cluster.url) as backend:
            # Dask names one where there is none.
            assert backend._link.client.dashboard_link.startswith("http://127.0.0.1:")
            assert backend.described().dashboard is None
        assert len(ws.status().workers) == 1
        cluster.scheduler.kill()
        wait_for(lambda: (ws.status().cluster or BackendNow(name="")).error is not None)
        began, found = time.monotonic(), ws.status().cluster
        assert time.monotonic() - began < 5
        assert found is not None
        assert (found.name, found.address) == ("dask", cluster.address)
        assert f"the connection to the Dask scheduler at {cluster.address} is lost" in str(ws.status())
