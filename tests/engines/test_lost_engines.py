"""Engines that die or fall silent, owners that are interrupted: an error in time, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from codabench.backends.docker import DockerEngine
from codabench.backends.engine import ContainerEngine, Deadline, StopSignal
from codabench.backends.hosted import HostedEngine
from codabench.backends.podman import PodmanEngine
from codabench.backends.select import engine_named
from codabench.core.errors import EngineError, EngineTimeout, EngineUnavailable
from codabench.core.records import ExitReason
from codabench.testing.bench import Bench, Sink, alive

pytestmark = [pytest.mark.engine, pytest.mark.once]


class Wire:
    """A socket in front of an engine's, which can be cut or made to fall silent."""

    def __init__(self, url: str, path: Path) -> None:
        self.url = f"unix://{path}"
        self._target = url.removeprefix("unix://")
        self._open = threading.Event()
        self._open.set()
        self._ends: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._server.accept()[0]
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._ends += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self._server.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def silence(self) -> None:
        self._open.clear()

    def restore(self) -> None:
        self._open.set()


@pytest.fixture(params=["docker", "podman"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{kind}_url"))


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    folder = Path(tempfile.mkdtemp(prefix="cb"))
    made = Wire(url, folder / "engine.sock")
    yield made
    made.restore()
    made.cut()
    shutil.rmtree(folder)


@pytest.fixture
def bench(kind: str, wire: Wire, test_image: str, tmp_path: Path) -> Bench:
    engine: ContainerEngine = {"docker": DockerEngine, "podman": PodmanEngine}[kind](wire.url)
    return Bench(engine, engine.resolve(test_image, pull="never"), tmp_path)


@pytest.fixture(autouse=True)
def _no_leftovers(url: str, kind: str) -> Iterator[None]:
    yield
    with engine_of(kind, url) as engine:
        left = [c.name for c in engine.driver.containers() if str(os.getpid()) in c.owner]
        for name in left:
            engine.driver.remove(name)


def engine_of(kind: str, url: str) -> HostedEngine:
    engine = engine_named(f"{kind}:{url}")
    assert isinstance(engine, HostedEngine)
    return engine


def test_an_engine_that_dies_under_a_program(bench: Bench, wire: Wire) -> None:
    threading.Timer(2, wire.cut).start()
    began = time.monotonic()
    with pytest.raises(EngineError):
        bench.run("sleep", "20", limit=60)
    assert time.monotonic() - began < 15


def test_an_engine_that_falls_silent(bench: Bench, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codabench.backends.dockerapi.CALL_TIMEOUT", 2)
    monkeypatch.setattr("codabench.backends.podman.CALL_TIMEOUT", 2)
    bench.engine.close()
    assert bench.run("true").end.ok
    threading.Timer(2, wire.silence).start()
    began = time.monotonic()
    with pytest.raises(EngineTimeout):
        bench.run("sleep", "20", limit=4)
    assert time.monotonic() - began < 15
    wire.restore()


def test_programs_may_take_longer_than_a_call(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codabench.backends.dockerapi.CALL_TIMEOUT", 2)
    monkeypatch.setattr("codabench.backends.podman.CALL_TIMEOUT", 2)
    bench.engine.close()
    ran = bench.run("sh", "-c", "sleep 5; echo late")
    assert (ran.end.reason, ran.out) == (ExitReason.EXITED, b"late\n")


def test_no_engine_at_all(kind: str, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"no-such\.sock.*No such file"):
        engine_of(kind, f"unix://{tmp_path}/no-such.sock").probe()


_OWNER = """
import sys
from codabench.backends.engine import *
from codabench.backends.select import engine_named
from codabench.testing.bench import Sink
engine = engine_named(sys.argv[1])
image = engine.resolve(sys.argv[2])
spec = lambda *argv: ContainerSpec(image=image, argv=argv)
if sys.argv[3] == "forget":
    engine.create(spec("true"))
    engine.run(spec("true"), Sink(), StopSignal(), Deadline(60))
    print("done", flush=True)
else:
    print("begun", flush=True)
    engine.run(spec("python3", "-c", "import time; time.sleep(600)", sys.argv[3]), Sink(), StopSignal(), Deadline(600))
"""


def owner(kind: str, url: str, image: str, what: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", _OWNER, f"{kind}:{url}", image, what]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def owned_by(kind: str, url: str, pid: int) -> list[str]:
    with engine_of(kind, url) as engine:
        return [c.name for c in engine.driver.containers() if f'"pid":{pid},' in c.owner]


def test_an_interrupted_owner_leaves_nothing(kind: str, url: str, test_image: str) -> None:
    token = uuid.uuid4().hex
    process = owner(kind, url, test_image, token)
    end = time.monotonic() + 30
    while len(alive(token)) < 2:  # the owner, and the program in its container
        assert time.monotonic() < end
        time.sleep(0.05)
    assert owned_by(kind, url, process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in err
    assert not alive(token)
    assert not owned_by(kind, url, process.pid)


def test_an_owner_that_closes_nothing_leaves_nothing(kind: str, url: str, test_image: str) -> None:
    process = owner(kind, url, test_image, "forget")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, b"done\n"), err
    assert not owned_by(kind, url, process.pid)


def test_a_run_that_is_over_can_be_followed_by_another_after_a_close(bench: Bench) -> None:
    for _ in range(2):
        assert bench.engine.run(bench.spec("true"), Sink(), StopSignal(), Deadline(60)).ok
        bench.engine.close()
