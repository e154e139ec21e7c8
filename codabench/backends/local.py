"""Work in a bounded pool of threads of this process."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from codabench.backends.backend import BackendInfo, Handle, Needs, Work, WorkHost
from codabench.backends.engine import ContainerEngine, Emit
from codabench.backends.handle import WorkHandle
from codabench.backends.local_data import LocalData
from codabench.backends.scratch import make_scratch
from codabench.core.errors import EngineError, UsageError
from codabench.core.policy import UNBOUNDED, Policy

_log = logging.getLogger("codabench.backends")
_ALLOWED = "codabench."


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
        self._temporary: Path | None = None
        self._handles: dict[str, WorkHandle] = {}
        self._pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="codabench-work")
        self._closed = False
        self._reaper: threading.Thread | None = None

    @property
    def scratch(self) -> Path:
        """The directory for run directories and caches; made at the first use."""
        with self._lock:
            if self._scratch is None:
                self._scratch = self._temporary = make_scratch()
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
    ) -> WorkHandle:
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

        def done() -> None:
            with self._lock:
                self._handles.pop(key, None)
            if on_done is not None:
                on_done(handle)

        handle = WorkHandle(key, on_event, done)
        host.emit, host.stop = handle.put_event, handle.stop
        with self._lock:
            if self._closed:
                raise UsageError("this backend is closed")
            if key in self._handles:
                raise UsageError(f"work with the key {key!r} is already in flight")
            self._handles[key] = handle
            if self._reaper is None:
                self._start_reaper()
            self._pool.submit(_carry_out, handle, function, work.payload, host)
        return handle

    def reap(self) -> None:
        """Look for what dead processes have left, while work goes on."""
        with self._lock:
            if not self._closed and (self._reaper is None or not self._reaper.is_alive()):
                self._start_reaper()

    def _start_reaper(self) -> None:
        self._reaper = threading.Thread(target=self._reap, name="codabench-reap", daemon=True)
        self._reaper.start()

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


def _carry_out(
    handle: WorkHandle, function: Callable[..., dict[str, Any]], payload: dict[str, Any], host: WorkHost
) -> None:
    """Do it, unless it was cancelled before."""
    if not handle.begin():
        return
    try:
        result = function(payload, host)
    except BaseException as error:  # noqa: BLE001 - the outermost frame of a thread; `result` raises it
        handle.fail(error)
    else:
        handle.finish(result)


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
