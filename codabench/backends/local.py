"""Work in a bounded pool of threads of this process."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import queue
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from codabench.backends.backend import BackendInfo, Handle, HandleStatus, Needs, Work, WorkHost
from codabench.backends.engine import ContainerEngine, Emit, StopSignal
from codabench.backends.local_data import LocalData
from codabench.core.errors import EngineError, Interrupted, UsageError
from codabench.core.policy import UNBOUNDED, Policy

_log = logging.getLogger("codabench.backends")
_ALLOWED = "codabench."
_EVENTS_KEPT = 1_000
"""For who asks later; an event of a log has up to 4 KiB of it."""


class LocalBackend:
    """Runs work on this host, a bounded number at a time, in the order in which it was submitted.

    Parameters
    ----------
    engine
        Runs the containers. It is closed with the backend.
    jobs
        How many at a time; None: as many as there are cores, so that programs that measure their own time are not
        slowed down by their neighbours.
    scratch
        Directory for run directories and caches; None: a temporary one that is removed at the end.
    ceiling
        What this host grants at most, whatever a run asks for: the policy that holds is the meet of both.
    local_data
        Directories of this host that runs may ask for by name; programs find them below ``/app/data``, read-only.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        jobs: int | None = None,
        scratch: str | os.PathLike[str] | None = None,
        *,
        ceiling: Policy = UNBOUNDED,
        local_data: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> None:
        if jobs is not None and jobs < 1:
            raise UsageError(f"jobs must be at least 1, not {jobs}")
        self.engine = engine
        self.jobs = jobs or available_cores()
        self.ceiling = ceiling
        # A workspace goes on offering in its own.
        self.local_data = local_data if isinstance(local_data, LocalData) else LocalData(local_data or {})
        self._lock = threading.Lock()
        self._scratch = Path(scratch) if scratch is not None else None
        self._temporary: str | None = None
        self._handles: dict[str, LocalHandle] = {}
        self._pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="codabench-work")
        self._closed = False
        self._reaper: threading.Thread | None = None

    @property
    def scratch(self) -> Path:
        """The directory for run directories and caches; made at the first use."""
        with self._lock:
            if self._scratch is None:
                self._temporary = tempfile.mkdtemp(prefix="codabench-")
                self._scratch = Path(self._temporary)
            self._scratch.mkdir(parents=True, exist_ok=True)
            return self._scratch

    def submit(
        self,
        work: Work,
        *,
        key: str,
        needs: Needs | None = None,
        on_event: Emit | None = None,
        on_done: Callable[[Handle], None] | None = None,
    ) -> LocalHandle:
        """As `Backend.submit`.

        Raises
        ------
        UsageError
            If `work` names no function of this library, or `key` is in flight.
        """
        function = function_named(work.function)
        host = WorkHost(
            engine=self.engine,
            scratch=self.scratch,
            emit=_ignore,
            ceiling=self.ceiling,
            local_data=self.local_data,
        )
        handle = LocalHandle(key, on_event)
        host.emit, host.stop = handle.put_event, handle.stop
        with self._lock:
            if self._closed:
                raise UsageError("this backend is closed")
            if key in self._handles:
                raise UsageError(f"work with the key {key!r} is already in flight")
            self._handles[key] = handle
            if self._reaper is None:
                self._reaper = threading.Thread(target=self._reap, name="codabench-reap", daemon=True)
                self._reaper.start()

            def done() -> None:
                with self._lock:
                    self._handles.pop(key, None)
                if on_done is not None:
                    on_done(handle)

            handle.on_finished = done
            self._pool.submit(handle.run, function, work.payload, host)
        return handle

    def _reap(self) -> None:
        """What a process that was killed has left goes when the next one begins; nobody waits for it."""
        try:
            self.engine.reap()
        except EngineError as error:
            _log.warning("leftovers could not be looked for: %s", error)

    def info(self) -> BackendInfo:
        return BackendInfo(name="local", slots=self.jobs, engine=self.engine.name)

    def close(self) -> None:
        """As `Backend.close`."""
        with self._lock:
            self._closed = True
            handles = list(self._handles.values())
        for handle in handles:
            handle.cancel("the backend is closed")
        self._pool.shutdown(wait=True)
        if self._reaper is not None:
            self._reaper.join()
        self.engine.close()
        with self._lock:
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)
                self._temporary = self._scratch = None

    def __enter__(self) -> LocalBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LocalHandle:
    """Work in the pool."""

    def __init__(self, key: str, on_event: Emit | None) -> None:
        self.key = key
        self.stop = StopSignal()
        self.on_finished: Callable[[], None] = _nothing
        self._lock = threading.Lock()
        self._status = HandleStatus.WAITING
        self._done = threading.Event()
        self._result: dict[str, Any] = {}
        self._error: BaseException | None = None
        self._on_event = on_event
        self._events: deque[dict[str, Any]] = deque(maxlen=_EVENTS_KEPT)
        self._readers: list[queue.SimpleQueue[dict[str, Any] | None]] = []
        self._deliver = threading.Lock()

    def status(self) -> HandleStatus:
        return self._status

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        if not self._done.wait(timeout):
            raise TimeoutError(f"the work {self.key!r} is not done after {timeout} s")
        if self._error is not None:
            raise self._error
        return self._result

    def events(self) -> Iterator[dict[str, Any]]:
        inbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            for event in self._events:
                inbox.put(event)
            if self._done.is_set():
                inbox.put(None)
            else:
                self._readers.append(inbox)
        yield from iter(inbox.get, None)

    def cancel(self, reason: str = "cancelled") -> None:
        with self._lock:
            dropped = self._status is HandleStatus.WAITING
            if dropped:
                self._status = HandleStatus.CANCELLED
        self.stop.set(reason)
        if dropped:
            self._end(HandleStatus.CANCELLED, Interrupted(f"{self.key}: {reason} before it began"))

    def put_event(self, event: dict[str, Any]) -> None:
        """Keep an event and hand it out, in the order in which events come."""
        with self._deliver:
            with self._lock:
                self._events.append(event)
                readers = list(self._readers)
            for reader in readers:
                reader.put(event)
            if self._on_event is not None:
                self._on_event(event)

    def run(self, function: Callable[..., dict[str, Any]], payload: dict[str, Any], host: WorkHost) -> None:
        """Do it, unless it was cancelled before."""
        with self._lock:
            if self._status is not HandleStatus.WAITING:
                return
            self._status = HandleStatus.RUNNING
        try:
            self._result = function(payload, host)
        except BaseException as error:  # noqa: BLE001 - the outermost frame of a thread; `result` raises it
            self._end(HandleStatus.ERROR, error)
        else:
            self._end(HandleStatus.DONE, None)

    def _end(self, status: HandleStatus, error: BaseException | None) -> None:
        with self._deliver, self._lock:
            self._status, self._error = status, error
            self._done.set()
            for reader in self._readers:
                reader.put(None)
            self._readers.clear()
        self.on_finished()


def function_named(name: str) -> Callable[..., dict[str, Any]]:
    """The function that ``package.module:function`` names; of this library only.

    Raises
    ------
    UsageError
        If it is none.
    """
    module, _, function = name.partition(":")
    if not module.startswith(_ALLOWED) or not function.isidentifier() or function.startswith("_"):
        raise UsageError(f"work must name a public function of codabench (codabench.module:function), not {name!r}")
    with contextlib.suppress(ImportError, AttributeError):
        found = getattr(importlib.import_module(module), function)
        if callable(found):
            return found  # type: ignore[no-any-return]
    raise UsageError(f"there is no function {name!r}")


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _ignore(event: dict[str, Any]) -> None:
    del event


def _nothing() -> None:
    return
