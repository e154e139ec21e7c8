"""What is looked at while the programs of a step run: their output, their use of the machine, the page they write."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from codabench.backends.engine import Container, Emit, StopSignal, Usage
from codabench.core.errors import EngineError
from codabench.core.records import Role, StepName
from codabench.runner.logs import ProgramLog
from codabench.runner.quota import Quota
from codabench.runner.results import first_page
from codabench.storage.store import Storage

LOOK = 0.05
"""Seconds between two looks at the output: a line is passed on within a blink."""
SETTLE = 0.25
"""Seconds for which a page must not have changed: one that is being written is left alone."""
SAMPLE_FIRST, SAMPLE_EVERY = 1.0, 2.0
MAX_PAGE = 20 * 1024 * 1024


class Watch:
    """Looks again and again, in a thread of its own, until it is left.

    Parameters
    ----------
    logs
        By role: what the programs print.

    Attributes
    ----------
    usage
        By role: CPU seconds at the last sample, the most memory of any.
    too_much
        Why the programs were stopped for what they wrote, if they were.
    """

    def __init__(self, step: StepName, logs: Mapping[Role, ProgramLog], emit: Emit) -> None:
        self._step, self._logs, self._emit = step, logs, emit
        self._containers: dict[Role, Container] = {}
        self._pages: PageWatch | None = None
        self._quota: Quota | None = None
        self._stop = StopSignal()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="codabench-watch", daemon=True)
        self.usage: dict[Role, Usage] = {}
        self.too_much: str | None = None

    def quota(self, quota: Quota, stop: StopSignal) -> None:
        """Have the programs stopped as soon as they wrote too much."""
        self._quota, self._stop = quota, stop

    def page(self, directory: Path, storage: Storage) -> None:
        """Publish the page that a scoring program writes there, on each change."""
        self._pages = PageWatch(directory, storage, self._emit)

    def started(self, role: Role, container: Container) -> None:
        """The container of that program runs now; it takes the place of an earlier one."""
        self._containers[role] = container

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()
        for log in self._logs.values():
            log.flush()

    def _look(self) -> None:
        sample, page = time.monotonic() + SAMPLE_FIRST, 0.0
        while not self._over.wait(LOOK):
            for log in self._logs.values():
                log.flush()
            now = time.monotonic()
            if self._pages is not None and now >= page:
                self._pages.look()
                page = now + SETTLE
            if self._quota is not None and self.too_much is None and (why := self._quota.exceeded()):
                self.too_much = why
                self._stop.set(why)
            if now >= sample:
                self._sample()
                sample = now + SAMPLE_EVERY

    def _sample(self) -> None:
        for role, container in list(self._containers.items()):
            try:
                found = container.usage()
            except EngineError:
                found = None  # it has just ended, or the engine cannot tell: samples may be lost
            if found is None:
                continue
            peak = max(found.memory, self.usage[role].memory) if role in self.usage else found.memory
            self.usage[role] = found.model_copy(update={"memory": peak})
            self._emit({"type": "usage", "step": self._step, "role": role, **found.model_dump()})


class PageWatch:
    """The page of detailed results while it is written by untrusted code: never a link, never more than is shown."""

    def __init__(self, directory: Path, storage: Storage, emit: Emit) -> None:
        self._directory, self._storage, self._emit = directory, storage, emit
        self._seen: tuple[object, ...] | None = None
        self._published: tuple[object, ...] | None = None

    def look(self) -> None:
        """Publish the page if it is not the one published before and has not changed since the last look."""
        try:
            folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            name = first_page(os.listdir(folder))
            if name is not None:
                self._look_at(folder, name)
        except OSError:
            return  # it was moved or locked away; the end of the step takes what is there then
        finally:
            os.close(folder)

    def _look_at(self, folder: int, name: str) -> None:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with open(file, "rb") as stream:
            now = os.fstat(file)
            if not stat.S_ISREG(now.st_mode) or now.st_nlink != 1 or not 0 < now.st_size <= MAX_PAGE:
                return
            state = (name, now.st_ino, now.st_size, now.st_mtime_ns)
            settled, self._seen = state == self._seen, state
            if settled and state != self._published:
                self._published = state
                blob = self._storage.put(stream.read(MAX_PAGE))
                self._emit({"type": "page", "name": name, "blob": blob.model_dump()})
