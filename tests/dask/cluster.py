"""A cluster as its users start it: processes of the command line, with certificates, on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from codabench.backends.dask.certs import make_certificates


class Served:
    """A process of ``codabench scheduler`` or ``worker``."""

    def __init__(self, *words: str, program: list[str] | None = None) -> None:
        command = [*(program or [sys.executable, "-m", "codabench"]), *words]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def says(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Wait until it has said something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"nothing like {pattern!r} in {self.lines}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self, patience: float = 60) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Cluster:
    """A scheduler and workers."""

    def __init__(self, place: Path) -> None:
        self.certs = place / "certs"
        make_certificates(self.certs)
        self.workers: list[Served] = []
        self.scheduler = self._scheduler("0")
        self.address = self.scheduler.says(r"scheduler at (\S+)").group(1)

    def _scheduler(self, port: str) -> Served:
        return Served("scheduler", "--port", port, "--certs", str(self.certs))

    @property
    def url(self) -> str:
        return f"{self.address.replace('tls://', 'dask://')}?certs={self.certs}"

    def worker(self, slots: int = 1, *more: str, engine: str = "process", program: list[str] | None = None) -> Served:
        words = [self.address, "--certs", str(self.certs), "--slots", str(slots), "--engine", engine, *more]
        made = Served("worker", *words, program=program)
        self.workers.append(made)
        made.says(r"worker \S+ at")
        return made

    def restart(self) -> None:
        self.scheduler.kill()
        self.scheduler = self._scheduler(self.address.rpartition(":")[2])
        self.scheduler.says("scheduler at")

    def close(self) -> None:
        for served in [*self.workers, self.scheduler]:
            if served.process.poll() is None:
                served.kill()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing happened within {seconds} s"
        time.sleep(0.02)
