"""What runs report while they go on: kept in memory until their end, then in storage; each reader gets it once.

A `Feed` numbers the events of one run. It keeps the beginning and the end of each log, as the stored logs do, so a run
that prints for days needs no more memory than one that prints a little.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from codabench.core.events import StatusEvent, next_status
from codabench.core.live import AnyEvent, LogWritten, StatusChanged, live_event
from codabench.core.records import LogRecord, Outcome, Run, Status
from codabench.core.trees import BlobRef
from codabench.runner.logs import left_out
from codabench.storage.store import Storage

_PATIENCE = 1.0

Clock = Callable[[], datetime]


class _Log:
    """One stream of one program of one attempt, as pieces in a feed."""

    def __init__(self) -> None:
        self.beginning = 0
        self.end: deque[int] = deque()
        self.kept = 0


class Feed:
    """The live events of one run, from the one that adds them to any number of readers.

    Parameters
    ----------
    keep
        Bytes kept of the beginning and of the end of each log.

    Attributes
    ----------
    over
        The run has a final status.
    """

    def __init__(self, run: str, keep: int, now: Clock) -> None:
        self._run, self._keep, self._now = run, keep, now
        self._changed = threading.Condition()
        self._events: list[AnyEvent | None] = []
        self._logs: dict[tuple[str | None, str], _Log] = {}
        self.over = self._sealed = self._released = False
        self.page: BlobRef | None = None

    def add(self, data: dict[str, Any]) -> None:
        """Take an event in. After a final status nothing more is taken."""
        with self._changed:
            final = data["type"] == "status" and Status(data["status"]).is_final
            if self.over or self._released or (self._sealed and not final):
                return
            event = live_event({"at": self._now(), **_typed(data), "run": self._run, "sequence": len(self._events) + 1})
            self._events.append(event)
            if isinstance(event, LogWritten):
                self._bound(event)
            elif event.type == "page":
                self.page = event.blob
            self.over = final
            self._changed.notify_all()

    def release(self) -> None:
        """The run goes to whoever takes it next: readers get what came, and look elsewhere."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def _bound(self, event: LogWritten) -> None:
        """The middle of a log goes, piece by piece, as its end moves on."""
        log, size = self._logs.setdefault((event.attempt, event.name), _Log()), len(event.data)
        if log.beginning + size <= self._keep:
            log.beginning += size
            return
        log.beginning = self._keep
        log.end.append(event.sequence - 1)
        log.kept += size
        while log.kept > self._keep and len(log.end) > 1:
            place = log.end.popleft()
            dropped = self._events[place]
            if isinstance(dropped, LogWritten):
                log.kept -= len(dropped.data)
            self._events[place] = None

    def read(
        self, after: int = 0, *, follow: bool = True, check: Callable[[], None] = lambda: None
    ) -> Iterator[AnyEvent]:
        """Events from the one after `after` on, each once; to the end of the run if `follow`, else to now.

        `check` is asked now and then while nothing comes; it may raise.
        """
        place, gaps = after, Gaps()
        while True:
            if follow:
                self.wait(place, check)
            with self._changed:
                fresh, over = self._events[place:], self.over or self._released
            place += len(fresh)
            yield from (gaps.told(event) for event in fresh if event is not None)
            if not follow or (over and place >= len(self._events)):
                return

    def wait(self, place: int, check: Callable[[], None] = lambda: None) -> None:
        """Until there are more than so many events, or none will come; `check` is asked meanwhile, and may raise."""
        with self._changed:
            while not (self.over or self._released) and place >= len(self._events):
                self._changed.wait(_PATIENCE)
                check()

    def since(self, place: int) -> tuple[list[AnyEvent], int]:
        """What came after so many events, as far as it is kept, and how many there are now."""
        with self._changed:
            fresh = self._events[place:]
        return [event for event in fresh if event is not None], place + len(fresh)

    def logs(self) -> dict[str, bytes]:
        """What was printed so far, as far as it is kept, by the name of the log; of the last attempt."""
        found: dict[str, bytes] = {}
        attempt: str | None = None
        for event in self.read(follow=False):
            if isinstance(event, LogWritten):
                if event.attempt != attempt:
                    attempt, found = event.attempt, {}
                gap = left_out(event.missing) if event.missing else b""
                found[event.name] = found.get(event.name, b"") + gap + event.data
        return found

    def seal(self, storage: Storage) -> BlobRef | None:
        """Store what came, before the row says that the run is over; only its final status may come after.

        None where only statuses came: the rows have those.
        """
        with self._changed:
            self._sealed = True
            events = [event for event in self._events if event is not None]
        if all(event.type == "status" for event in events):
            return None
        return storage.put("".join(f"{json.dumps(_stored(event))}\n" for event in events).encode())


class Gaps:
    """Tells one reader how much of each log it did not get."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str | None, str], int] = {}

    def told(self, event: AnyEvent) -> AnyEvent:
        """The event, with what is missing before it."""
        if not isinstance(event, LogWritten):
            return event
        key = (event.attempt, event.name)
        missing = event.offset - self._ends.get(key, 0)
        self._ends[key] = event.offset + len(event.data)
        return event.model_copy(update={"missing": missing}) if missing > 0 else event


def statuses(history: Iterable[StatusEvent]) -> list[StatusChanged]:
    """The changes of status that a history holds."""
    found: list[StatusChanged] = []
    status: Status | None = None
    for event in history:
        before, status = status, next_status(status, event.kind)
        if status is not before:
            found.append(StatusChanged(sequence=len(found) + 1, at=event.at, run=event.run, status=status))
    return found


def _typed(data: dict[str, Any]) -> dict[str, Any]:
    """An event as backends and dispatcher report it, with the names that the classes have."""
    kept = {key: value for key, value in data.items() if key not in ("submission", "task", "queued_at")}
    if data["type"] == "log":
        kept["data"] = base64.b64decode(data["data"])
    elif data["type"] == "step":
        extra = {key: kept.pop(key) for key in list(kept) if key not in ("type", "event", "run", "attempt", "data")}
        kept["data"] = {**kept.get("data", {}), **extra}
    return kept


def _stored(event: AnyEvent) -> dict[str, Any]:
    """An event for the store: the bytes of a log lie where logs lie."""
    if isinstance(event, LogWritten):
        size = len(event.data)
        return {**event.model_dump(mode="json", exclude={"data", "missing", "run"}), "size": size}
    return event.model_dump(mode="json", exclude={"run"})


# ---------------------------------------------------------------------- of runs that are over
def stored_events(storage: Storage, run: Run, history: list[StatusChanged]) -> Iterator[AnyEvent]:
    """The events of a run that is over, with the numbers that they had.

    Parameters
    ----------
    history
        Its statuses by the database: all there is of a run that never began, and of every one its end.
    """
    outcome = run.outcome
    if outcome is None or outcome.events is None:
        yield from history
        return
    logs = _KeptLogs(storage, outcome)
    gaps, last = Gaps(), 0
    for line in storage.get(outcome.events).splitlines():
        data = {**json.loads(line), "run": run.id}
        last = data["sequence"]
        if data["type"] == "log":
            found = logs.read(data["name"], data["offset"], data.pop("size"))
            if found is None:
                continue
            data["data"] = found
        yield gaps.told(live_event(data))
    yield history[-1].model_copy(update={"sequence": last + 1})


class _KeptLogs:
    """Pieces of the stored logs of a run by their place in the whole stream."""

    def __init__(self, storage: Storage, outcome: Outcome) -> None:
        self._storage = storage
        self._records: dict[str, LogRecord] = {log.name: log for step in outcome.steps for log in step.logs}
        self._keep = int((outcome.provenance.get("policy") or {}).get("log_keep") or 0)
        self._bytes: dict[str, bytes] = {}

    def read(self, name: str, offset: int, size: int) -> bytes | None:
        """These bytes; None if they are not kept."""
        record = self._records.get(name)
        if record is None:
            return None
        if name not in self._bytes:
            self._bytes[name] = self._storage.get(record.blob)
        kept = self._bytes[name]
        if not record.truncated or offset + size <= self._keep:
            return kept[offset : offset + size]
        start = offset - (record.total - self._keep) + len(kept) - self._keep
        return kept[start : start + size] if start >= len(kept) - self._keep else None
