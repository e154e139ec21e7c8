"""`WorkHandle`: what whoever submitted work holds; backends tell it what becomes of the work."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from codabench.backends.backend import HandleStatus
from codabench.backends.engine import Emit, StopSignal
from codabench.core.errors import Interrupted

_EVENTS_KEPT, _WEIGHT_KEPT = 1_000, 1 << 20
"""For who asks later: so many events, and so many characters of output in them."""


def weight(event: dict[str, Any]) -> int:
    """Characters of output, or of an object that a program printed, in an event: what may be much."""
    data = event.get("data", "")
    return len(data) if isinstance(data, str) else len(str(data))


class WorkHandle:
    """Work that was submitted; thread-safe.

    Parameters
    ----------
    on_event
        Gets each event, one at a time.
    on_finished
        Called once, after the end.
    """

    def __init__(self, key: str, on_event: Emit | None = None, on_finished: Callable[[], None] | None = None) -> None:
        self.key = key
        self.stop = StopSignal()
        self._on_event, self._on_finished = on_event, on_finished
        self._lock = threading.Lock()
        self._deliver = threading.Lock()
        self._status = HandleStatus.WAITING
        self._done = threading.Event()
        self._result: dict[str, Any] = {}
        self._error: BaseException | None = None
        self._events: deque[dict[str, Any]] = deque()
        self._weight = 0
        self._readers: list[queue.SimpleQueue[dict[str, Any] | None]] = []

    # ------------------------------------------------------------------ for whoever submitted it
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

    # ------------------------------------------------------------------ for the backend
    def begin(self) -> bool:
        """It begins; False if it was cancelled before."""
        with self._lock:
            if self._status is not HandleStatus.WAITING:
                return False
            self._status = HandleStatus.RUNNING
            return True

    def put_event(self, event: dict[str, Any]) -> None:
        """Keep an event and hand it out, in the order in which events come."""
        with self._deliver:
            with self._lock:
                self._keep(event)
                readers = list(self._readers)
            for reader in readers:
                reader.put(event)
            if self._on_event is not None:
                self._on_event(event)

    def _keep(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        self._weight += weight(event)
        while len(self._events) > _EVENTS_KEPT or (self._weight > _WEIGHT_KEPT and len(self._events) > 1):
            self._weight -= weight(self._events.popleft())

    def finish(self, result: dict[str, Any]) -> None:
        """It ended, and came to this."""
        self._result = result
        self._end(HandleStatus.DONE, None)

    def fail(self, error: BaseException) -> None:
        """It ended, and `result` raises this."""
        self._end(HandleStatus.ERROR, error)

    def _end(self, status: HandleStatus, error: BaseException | None) -> None:
        with self._deliver, self._lock:
            if self._done.is_set():
                return
            self._status, self._error = status, error
            self._done.set()
            for reader in self._readers:
                reader.put(None)
            self._readers.clear()
        if self._on_finished is not None:
            self._on_finished()
