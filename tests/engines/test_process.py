"""The process engine keeps the contract of engines, and says what it does not enforce."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

import pytest

from codabench.backends.process import ProcessEngine
from codabench.testing import EngineContract
from codabench.testing.bench import alive


class TestProcess(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], ProcessEngine]:
        return ProcessEngine

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls) -> str:
        return "any:1"


RUNS = """
import sys
from codabench.backends.engine import ContainerSpec, Deadline, StopSignal
from codabench.backends.process import ProcessEngine
engine = ProcessEngine()
spec = ContainerSpec(image=engine.resolve("any:1"), argv=("python3", "-c", "import time; time.sleep(600)", sys.argv[1]))
engine.run(spec, None, StopSignal(), Deadline(None))
"""


def wait_for(token: str, count: int) -> list[int]:
    end = time.monotonic() + 30
    while len(found := alive(token)) != count and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_what_a_killed_library_has_left_is_killed_by_the_next_one() -> None:
    dead, living = (uuid.uuid4().hex for _ in range(2))
    libraries = [subprocess.Popen([sys.executable, "-c", RUNS, token]) for token in (dead, living)]
    try:
        (left,) = set(wait_for(dead, 2)) - {libraries[0].pid}
        (theirs,) = set(wait_for(living, 2)) - {libraries[1].pid}
        assert str(left) not in ProcessEngine().reap()
        libraries[0].kill()
        libraries[0].wait()
        assert alive(dead) == [left]  # it goes on: nobody else ends it
        reaped = ProcessEngine().reap()
        assert str(left) in reaped
        assert str(theirs) not in reaped
        assert wait_for(dead, 0) == []
        assert theirs in alive(living)
    finally:
        for token, library in zip((dead, living), libraries, strict=True):
            for pid in alive(token):
                os.kill(pid, signal.SIGKILL)
            library.wait()
