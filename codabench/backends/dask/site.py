"""What one worker has for its work: engines, a place to work in, what it grants, what it offers."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from codabench._version import __version__
from codabench.backends.backend import WorkHost
from codabench.backends.dask.courier import Courier
from codabench.backends.dask.wire import STOP, Order, error_record
from codabench.backends.engine import ContainerEngine, EngineInfo, StopSignal
from codabench.backends.local import function_named
from codabench.core.errors import EngineError
from codabench.core.policy import UNBOUNDED, Policy

log = logging.getLogger("codabench.backends")

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
        self.scratch, self.engine, self.name = scratch, engine, ""
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
        self.name = str(worker.name)
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
                name=self.name,
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

    def card(self, worker: Any) -> dict[str, str]:
        """What its scheduler tells others of it."""
        del worker
        info = self.probe()
        return {"engine": info.shown, "version": __version__}

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
