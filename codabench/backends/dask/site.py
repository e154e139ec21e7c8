"""What one worker has for its work: engines, a place to work in, what it grants, what it offers."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from codabench.backends.backend import WorkHost
from codabench.backends.dask.wire import STOP, Message, Order, error_record, parts
from codabench.backends.engine import ContainerEngine, EngineInfo, StopSignal
from codabench.backends.local import function_named
from codabench.core.errors import EngineError
from codabench.core.policy import UNBOUNDED, Policy

log = logging.getLogger("codabench.backends")

BATCH_SECONDS = 0.1
"""How long events are gathered: one message for each line costs four times the processor."""

_BATCH_EVENTS = 200
_REFUSED = 10_000


class Site:
    """One worker of a cluster.

    Parameters
    ----------
    engine
        The word of the engine that is used where an order names none.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        engine: str = "auto",
        ceiling: Policy = UNBOUNDED,
        local_data: Mapping[str, Path] | None = None,
    ) -> None:
        self.scratch, self.engine = scratch, engine
        self.ceiling, self.local_data = ceiling, dict(local_data or {})
        self._engines: dict[str, ContainerEngine] = {}
        self._running: dict[str, StopSignal] = {}
        self._refused: deque[str] = deque(maxlen=_REFUSED)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, worker: Any) -> Site:
        """The site of a Dask worker; one that was started without us gets one with its first order."""
        found: Site | None = getattr(worker, "codabench_site", None)
        if found is None:
            found = cls(Path(worker.local_directory) / "codabench")
            found.attach(worker)
        return found

    def attach(self, worker: Any) -> None:
        """Belong to a Dask worker from now on."""
        worker.codabench_site = self
        worker.handlers[STOP] = self.stop

    def carry_out(self, order: Order, send: Callable[[dict[str, Any]], None]) -> None:
        """Do what is ordered, and report it. Never raises for what became of the work."""
        stop = StopSignal()
        with self._lock:
            if order.key in self._refused:
                return  # whoever cancelled it was told that it would not begin
            self._running[order.key] = stop
        courier = Courier(order.key, send)
        try:
            function = function_named(order.function)
            self.scratch.mkdir(parents=True, exist_ok=True)
            host = WorkHost(
                engine=self._engine(order.engine or self.engine),
                scratch=self.scratch,
                emit=courier.emit,
                stop=stop,
                ceiling=self.ceiling,
                local_data=self.local_data,
                cache=self.scratch / "cache",
            )
            courier.end("result", function(order.payload, host))
        except BaseException as error:  # noqa: BLE001 - the outermost frame: whoever ordered it is told
            courier.end("error", error_record(error))
        finally:
            with self._lock:
                self._running.pop(order.key, None)

    def stop(self, key: str, reason: str) -> bool:
        """Stop a piece of work; False if it does not run here, and from now on never will."""
        with self._lock:
            found = self._running.get(key)
            if found is None:
                self._refused.append(key)
        if found is not None:
            found.set(reason)
        return found is not None

    def stop_all(self, reason: str) -> int:
        """Stop everything; returns how much that is."""
        with self._lock:
            running = list(self._running.values())
        for stop in running:
            stop.set(reason)
        return len(running)

    def probe(self) -> EngineInfo:
        """What the worker's own engine says of itself.

        Raises
        ------
        EngineError
            It does not answer.
        """
        return self._engine(self.engine).probe()

    @property
    def busy(self) -> int:
        """How many pieces of work run here."""
        return len(self._running)

    def _engine(self, word: str) -> ContainerEngine:
        from codabench.backends.select import auto_engine, engine_named

        with self._lock:
            if word not in self._engines:
                made = auto_engine() if word == "auto" else engine_named(word)
                self._engines[word] = made
                threading.Thread(target=_reap, args=(made,), name="codabench-reap", daemon=True).start()
            return self._engines[word]

    def close(self) -> None:
        """Let go of the engines."""
        with self._lock:
            engines = list(self._engines.values())
            self._engines.clear()
        for engine in engines:
            engine.close()


def _reap(engine: ContainerEngine) -> None:
    """What a worker that was killed has left goes when the next one begins; nobody waits for it."""
    try:
        engine.reap()
    except EngineError as error:
        log.warning("leftovers could not be looked for: %s", error)


class Courier:
    """Reports one execution: numbers its messages, and gathers events to send them in batches, in order."""

    def __init__(self, key: str, send: Callable[[dict[str, Any]], None]) -> None:
        self._key, self._execution, self._to = key, uuid.uuid4().hex, send
        self._numbers = itertools.count()
        self._events: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._over = threading.Event()
        self._filled = threading.Event()
        self._thread: threading.Thread | None = None
        self._send("began")

    def emit(self, event: dict[str, Any]) -> None:
        """Take an event."""
        with self._lock:
            self._events.append(event)
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
        self._flush()
        for text, last in parts(value):
            self._send(kind, text, last=last)

    def _go(self) -> None:
        while not self._over.wait(BATCH_SECONDS):
            self._flush()
            self._filled.wait()
            self._filled.clear()

    def _flush(self) -> None:
        with self._sending:
            with self._lock:
                events, self._events = self._events, []
            for start in range(0, len(events), _BATCH_EVENTS):
                self._send("events", json.dumps(events[start : start + _BATCH_EVENTS], default=str))

    def _send(self, kind: Literal["began", "events", "result", "error"], text: str = "", *, last: bool = True) -> None:
        number = next(self._numbers)
        made = Message(key=self._key, execution=self._execution, kind=kind, number=number, text=text, last=last)
        self._to(made.model_dump())
