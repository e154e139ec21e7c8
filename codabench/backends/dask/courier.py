"""What a worker reports of one execution: numbered messages; events in order, output at a bounded rate."""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Literal

from codabench.backends.dask.wire import Message, parts
from codabench.backends.handle import weight

BATCH_SECONDS = 0.1
"""How long events are gathered: one message for each line costs four times the processor."""

RATE, BURST = 128 * 1024, 512 * 1024
"""Characters of output that leave in a second, and at once after a while of silence: one scheduler and one client hear
all runs, and who looks on reads no faster."""

PENDING = 2 << 20
"""Characters of one stream that wait at most: the beginning that a log keeps."""

_BATCH = 128 * 1024
_BATCH_EVENTS = 200
_OUTPUT = frozenset(("log", "usage", "pull"))
"""What may be lost on the way: nothing depends on it, and a log says by its offsets what is missing."""
_NEWEST = frozenset(("usage", "pull", "page"))
"""Of which only the newest is of interest."""
_BULKY = _OUTPUT | _NEWEST | {"plot", "message"}

Kind = Literal["began", "events", "output", "result", "error"]


class Outbox:
    """Events that wait to be sent: in order, each once.

    What a run lives by, as that a step began, leaves at once and takes along all that came before it. The rest leaves
    at a bounded rate. Of a log that grows faster the beginning and the newest piece wait, and what lies between goes.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._waiting: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._streams: dict[str, _Stream] = {}
        self._newest: dict[Hashable, int] = {}
        self._credit, self._due = float(BURST), -1

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, event: dict[str, Any]) -> None:
        """Take an event in."""
        number, kind = next(self._numbers), event.get("type")
        if kind in _NEWEST:
            key = (kind, event.get("layer"), event.get("step"), event.get("role"))
            self._waiting.pop(self._newest.get(key, -1), None)
            self._newest[key] = number
        elif kind not in _BULKY:
            self._due = number
        self._waiting[number] = event
        if kind == "log":
            self._bound(self._streams.setdefault(event["name"], _Stream()), number, weight(event))

    def _bound(self, stream: _Stream, number: int, size: int) -> None:
        stream.numbers.append(number)
        stream.size += size
        while stream.size > PENDING and len(stream.numbers) > 1:
            dropped = self._waiting.pop(stream.numbers[-2])
            del stream.numbers[-2]
            stream.size -= weight(dropped)

    def take(self, seconds: float, *, everything: bool = False) -> list[dict[str, Any]]:
        """What leaves now, so long after the last time."""
        self._credit = min(BURST, self._credit + RATE * seconds)
        taken = []
        while self._waiting:
            number = next(iter(self._waiting))
            if not everything and number > self._due and self._credit <= 0:
                break
            event = self._waiting.pop(number)
            size = weight(event)
            self._credit -= size
            if event.get("type") == "log":
                stream = self._streams[event["name"]]
                stream.numbers.popleft()
                stream.size -= size
            taken.append(event)
        return taken


class _Stream:
    """The pieces of one log that wait, by their numbers."""

    def __init__(self) -> None:
        self.numbers: deque[int] = deque()
        self.size = 0


def batches(events: Iterable[dict[str, Any]]) -> Iterator[tuple[Kind, str]]:
    """Events as texts for messages: those that may be lost apart from the others, in order."""
    for lossy, group in itertools.groupby(events, key=lambda event: event.get("type") in _OUTPUT):
        kind: Kind = "output" if lossy else "events"
        texts: list[str] = []
        size = 0
        for text in (json.dumps(event, default=str) for event in group):
            if texts and (size + len(text) > _BATCH or len(texts) == _BATCH_EVENTS):
                yield kind, f"[{','.join(texts)}]"
                texts, size = [], 0
            texts.append(text)
            size += len(text)
        yield kind, f"[{','.join(texts)}]"


class Courier:
    """Reports one execution, from a thread of its own: whoever emits events never waits for the network."""

    def __init__(self, key: str, send: Callable[[dict[str, Any]], None]) -> None:
        self._key, self._execution, self._to = key, uuid.uuid4().hex, send
        self._numbers = itertools.count()
        self._outbox, self._at = Outbox(), time.monotonic()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._filled = threading.Event()
        self._thread: threading.Thread | None = None
        self._send("began")

    def emit(self, event: dict[str, Any]) -> None:
        """Take an event."""
        with self._lock:
            self._outbox.put(event)
            if self._thread is None and not self._over.is_set():
                self._thread = threading.Thread(target=self._go, name="codabench-courier", daemon=True)
                self._thread.start()
        self._filled.set()

    def end(self, kind: Literal["result", "error"], value: dict[str, Any]) -> None:
        """Send what is left, and what came of it."""
        self._over.set()
        self._filled.set()
        if self._thread is not None:
            self._thread.join()
        self._flush(everything=True)
        for text, last in parts(value):
            self._send(kind, text, last=last)

    def _go(self) -> None:
        while not self._over.wait(BATCH_SECONDS):
            if not self._flush():
                self._filled.wait()
                self._filled.clear()

    def _flush(self, *, everything: bool = False) -> bool:
        """Send what may leave now; whether more waits."""
        with self._lock:
            before, self._at = self._at, time.monotonic()
            events, left = self._outbox.take(self._at - before, everything=everything), bool(self._outbox)
        for kind, text in batches(events):
            self._send(kind, text)
        return left

    def _send(self, kind: Kind, text: str = "", *, last: bool = True) -> None:
        number = next(self._numbers)
        made = Message(key=self._key, execution=self._execution, kind=kind, number=number, text=text, last=last)
        self._to(made.model_dump())
