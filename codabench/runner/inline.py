"""Programs that are functions of this process: ``backend="inline"``.

Not an engine that anybody can name: what has no isolation at all runs only what its caller wrote, at once, in the very
thread that waits for it. So Ctrl-C and plots work as in any other call. All around the call is as in every other run:
the same plan, directories, logs, scores, records.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from codabench.backends.backend import BackendInfo, Handle, HandleStatus, Needs, Work, WorkHost
from codabench.backends.engine import ContainerSpec, Deadline, Emit, EngineInfo, Image, LogSink, StopSignal
from codabench.core.errors import Interrupted, PolicyError, UsageError
from codabench.core.policy import UNBOUNDED, Limits, Policy, User
from codabench.core.records import Exit
from codabench.runner.calling import Call, Calls
from codabench.runner.execute import execute_run

NAME = "inline"
WARNING = "CB690"
_NOT_ISOLATED = "functions are called in this process, without isolation or limits: use it for your own code only"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_told = threading.Event()


def warn_not_isolated() -> None:
    """Say it once in a process: libraries that change filters make Python forget what it has shown."""
    if _told.is_set():
        return
    _told.set()
    text = 'backend="inline" runs submitted code in this process without isolation or limits; rows are marked'
    frame, level = sys._getframe(0), 1
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(f"[{WARNING}] {text} 'not isolated'", UserWarning, stacklevel=level)


class InlineBackend:
    """A backend whose work is done by the thread that waits for it (`take`).

    Parameters
    ----------
    on_work
        Called when there is work to take.
    ceiling
        What this place grants at most; limits that a function cannot be held to are refused.
    """

    def __init__(self, scratch: Path, on_work: Callable[[], None], ceiling: Policy = UNBOUNDED) -> None:
        self._scratch, self._on_work, self._ceiling = scratch, on_work, ceiling
        self._calls: dict[str, Calls] = {}
        self._waiting: deque[_InlineHandle] = deque()
        self._busy = threading.Lock()
        self._caller: int | None = None

    def expect(self, run: str, calls: Calls) -> None:
        """Say what a run calls, before it is queued.

        Raises
        ------
        UsageError
            ``CB691``: a function that is called here asks for it, and would wait for itself.
        """
        if self._caller == threading.get_ident():
            raise UsageError("a function cannot run submissions of the competition that calls it", code="CB691")
        self._calls[run] = calls

    def submit(
        self,
        work: Work,
        *,
        key: str,
        needs: Needs | None = None,
        on_event: Emit | None = None,
        on_done: Callable[[Handle], None] | None = None,
    ) -> _InlineHandle:
        calls = self._calls.pop(work.payload["run"], None)
        if calls is None:
            raise UsageError("this run was begun in another process, which alone has its functions", code="CB691")
        engine = InlineEngine(calls)
        emit = on_event or (lambda event: None)
        host = WorkHost(engine=engine, scratch=self._scratch, emit=emit, ceiling=self._ceiling)
        handle = _InlineHandle(key, work.payload, host, on_done, self._drop)
        self._waiting.append(handle)
        self._on_work()
        return handle

    def take(self) -> Callable[[], None] | None:
        """The next work, if there is any and none is under way; to be called by whoever took it."""
        if not self._waiting or not self._busy.acquire(blocking=False):
            return None
        handle = self._waiting.popleft()

        def work() -> None:
            self._caller = threading.get_ident()
            try:
                handle.carry_out()
            finally:
                self._caller = None
                self._busy.release()
                self._on_work()

        return work

    def info(self) -> BackendInfo:
        # What waits here waits for its caller, and must not keep the dispatcher from handing out other work.
        return BackendInfo(name=NAME, slots=1 << 20, engine=NAME)

    def _drop(self, handle: _InlineHandle) -> bool:
        """Take work back that nobody has begun."""
        try:
            self._waiting.remove(handle)
        except ValueError:
            return False
        return True

    def close(self) -> None:
        for handle in tuple(self._waiting):
            handle.cancel("the workspace was closed")


class _InlineHandle:
    def __init__(
        self,
        key: str,
        payload: dict[str, Any],
        host: WorkHost,
        on_done: Callable[[Handle], None] | None,
        drop: Callable[[_InlineHandle], bool],
    ) -> None:
        self.key, self._payload, self._host, self._on_done, self._drop = key, payload, host, on_done, drop
        self._status = HandleStatus.WAITING
        self._result: dict[str, Any] | None = None
        self._error: Exception | None = None
        self._over = threading.Event()

    def carry_out(self) -> None:
        self._status = HandleStatus.RUNNING
        try:
            if self._host.stop.is_set():
                raise Interrupted(f"cancelled before it began: {self._host.stop.reason}")
            self._result = execute_run(self._payload, self._host)
            self._end(HandleStatus.DONE)
        except Exception as error:  # noqa: BLE001 - the outermost frame of this work: whoever asks for its result gets it
            self._error = error
            self._end(HandleStatus.CANCELLED if isinstance(error, Interrupted) else HandleStatus.ERROR)
        except BaseException:
            self._error = Interrupted("interrupted")
            self._end(HandleStatus.CANCELLED)
            raise

    def _end(self, status: HandleStatus) -> None:
        self._status = status
        self._over.set()
        if self._on_done is not None:
            self._on_done(self)

    def status(self) -> HandleStatus:
        return self._status

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        if not self._over.wait(timeout):
            raise TimeoutError(f"{self.key} is {self._status.value}")
        if self._error is not None:
            raise self._error
        return self._result or {}

    def events(self) -> Iterator[dict[str, Any]]:
        yield from ()

    def cancel(self, reason: str = "cancelled") -> None:
        """A function that runs cannot be stopped: what it comes to does not count."""
        self._host.stop.set(reason)
        if self._drop(self):
            self.carry_out()


class InlineEngine:
    """The functions of one run, in the shape in which a run starts programs."""

    name = NAME

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def probe(self, image: Image | None = None) -> EngineInfo:
        names = ("isolation", "limits", "read_only_mounts")
        return EngineInfo(
            name=NAME,
            version=platform.python_version(),
            isolation="none",
            platform=sys.platform,
            enforced=dict.fromkeys(names, False),
            reasons=dict.fromkeys(names, _NOT_ISOLATED),
        )

    def images(self) -> list[str]:
        return []

    def resolve(self, image: str, *, pull: Any = "missing", **options: Any) -> Image:
        # An id of its own gives each step a digest of its own: what was called here is never used again.
        return Image(name=image, id=f"{NAME}:{uuid.uuid4().hex}")

    def file_owner(self, user: User) -> None:
        return None

    def create(self, spec: ContainerSpec) -> Call:
        for name in ("memory", "cpus", "pids"):
            if getattr(spec.limits, name) not in (None, getattr(Limits(), name)):
                hint = f"leave {name} at its default, or use a container engine"
                raise PolicyError(f'backend="inline" cannot limit {name}', hint=hint)
        return Call(self._calls, spec)

    def run(self, spec: ContainerSpec, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        return self.create(spec).run(logs, stop, deadline)

    def reap(self) -> list[str]:
        return []

    def close(self) -> None:
        pass
