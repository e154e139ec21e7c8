"""A process of the command line that serves a cluster, and what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping


class Served:
    """A process of ``codabench scheduler`` or ``worker``.

    Parameters
    ----------
    program
        Instead of the command line of this library.
    env
        Its environment; None: ours.
    """

    def __init__(self, *words: str, program: list[str] | None = None, env: Mapping[str, str] | None = None) -> None:
        command = [*(program or [sys.executable, "-m", "codabench"]), *words]
        ours = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ours if env is None else env)
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


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing happened within {seconds} s"
        time.sleep(0.02)
