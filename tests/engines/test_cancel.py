"""A run is cancelled at any moment: its containers are gone within two seconds, as engine and pids say."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.select import engine_named
from codabench.core.errors import Interrupted
from codabench.core.live import AnyEvent
from codabench.storage.store import Storage
from codabench.testing.bench import alive
from codabench.testing.bundles import write_bundle, write_files

pytestmark = [pytest.mark.engine, pytest.mark.once]
BOUND = 2.0

# Deaf to everything, with children: what is killed gently or one by one survives this.
STUBBORN = """
    import os, signal, subprocess, sys, time
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    subprocess.Popen(["sleep", "603"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
    print("ready", flush=True)
    time.sleep(603)
"""
WRITES = """
    for n in range(60):
        with open(f"/app/output/{n}", "wb") as file:
            file.truncate(10 << 20)
"""
SCORER = """
    import json
    json.dump({"score": 1}, open("/app/output/scores.json", "w"))
"""


class Host:
    """An engine, and what its own command says is there."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind, self.url = kind, url
        self.engine: Any = engine_named(f"{kind}:{url}")

    def containers(self, run: str) -> list[str]:
        """Containers of a run that have not been removed."""
        command = [self.kind, "--host" if self.kind == "docker" else "--url", self.url]
        command += [] if self.kind == "docker" else ["--remote"]
        command += ["ps", "--all", "--quiet", "--filter", f"label=codabench.run={run}"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


@pytest.fixture(params=["docker", "podman"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = Host(request.param, request.getfixturevalue(f"{request.param}_url"))
    yield made
    made.engine.close()


Cancelled = Callable[..., tuple[cb.RunHandle, float]]


@pytest.fixture
def cancelled(host: Host, tmp_path: Path) -> Iterator[Cancelled]:
    """Runs a program and cancels it when an event says so; the handle, and how long the cancelling took."""
    with cb.Workspace(backend=host.engine, jobs=1) as ws:

        def carry_out(program: str, moment: Callable[[AnyEvent], bool], **scoring: str) -> tuple[cb.RunHandle, float]:
            files = {"main.py": scoring.get("scoring", SCORER)}
            comp = ws.add(cb.load(write_bundle(tmp_path / "bundle", scoring=files, time_limit=600)))
            mine = {"main.py": program, "metadata": "command: python3 main.py\n"}
            run = ws.submit(comp, write_files(tmp_path / "mine", mine)).run
            next(event for event in run.events() if moment(event))
            began = time.monotonic()
            run.cancel("enough")
            return run, time.monotonic() - began

        yield carry_out


def says_ready(event: AnyEvent) -> bool:
    return event.type == "log" and "ready" in event.text


@pytest.mark.parametrize("step", ["prediction", "scoring"])
def test_in_a_program_that_refuses_to_end(host: Host, cancelled: Cancelled, step: str) -> None:
    if step == "prediction":
        run, seconds = cancelled(STUBBORN, says_ready)
    else:
        run, seconds = cancelled("print(1)", says_ready, scoring=STUBBORN)
    assert run.status is cb.Status.CANCELLED
    assert seconds < BOUND
    assert alive("603") == []
    assert run.logs[f"{step}_stdout"].strip().endswith("ready")
    wait_until_gone(host, run)


def test_before_its_containers_are_there(host: Host, cancelled: Cancelled) -> None:
    run, seconds = cancelled(STUBBORN, lambda event: event.type == "status" and event.status is cb.Status.PREPARING)
    assert run.status is cb.Status.CANCELLED
    assert seconds < BOUND + 3  # a container that is being made is made first, and then removed
    assert alive("603") == []
    wait_until_gone(host, run)


def test_while_its_output_is_collected(host: Host, cancelled: Cancelled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is made slow, so that the moment can be met."""
    collecting = threading.Event()
    written = Storage.put_tree

    def slow(self: Storage, source: Any) -> Any:
        opened = source.open

        def open_slowly(path: str) -> Any:
            collecting.set()
            time.sleep(0.2)
            return opened(path)

        if len(source.entries()) > 50:
            source.open = open_slowly
        return written(self, source)

    monkeypatch.setattr(Storage, "put_tree", slow)
    run, seconds = cancelled(WRITES, lambda event: collecting.wait(60))
    assert run.status is cb.Status.CANCELLED
    assert seconds < BOUND
    assert run.problem is not None
    assert "output was collected" in run.problem.message
    assert "prediction_stdout" in run.logs, "what ran is kept"
    wait_until_gone(host, run)


def wait_until_gone(host: Host, run: cb.RunHandle) -> None:
    """Removal may go on in the background; nothing runs any more."""
    end = time.monotonic() + 10
    while host.containers(run.id):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_reading_stops_at_once(tmp_path: Path) -> None:
    from codabench.backends.engine import StopSignal
    from codabench.runner.results import collected

    (tmp_path / "large").write_bytes(bytes(5 << 20))
    stop = StopSignal()
    with collected(tmp_path, stop) as source, source.open("large") as file:
        assert len(file.read(1 << 20)) == 1 << 20
        stop.set("enough")
        with pytest.raises(Interrupted, match="enough"):
            file.read(1 << 20)
    assert os.listdir(tmp_path) == ["large"]
