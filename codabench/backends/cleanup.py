"""Removal in the background: nobody waits for it, and nothing is left behind."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from codabench.core.errors import EngineError

_log = logging.getLogger("codabench.backends")


class Remover:
    """Does small jobs one after the other in a thread of its own.

    A job that fails is logged and forgotten: what it should have removed carries an owner label, and `reap` finds it.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, job: Callable[[], None]) -> None:
        """Do this later."""
        with self._lock:
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=_work, args=(self._jobs,), name="codabench-remove", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until everything put so far is done."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            jobs, self._jobs = self._jobs, queue.SimpleQueue()
            jobs.put(None)
        thread.join()


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while job := jobs.get():
        try:
            job()
        except EngineError as error:
            _log.warning("left for a later clean-up: %s", error)
