"""What one worker has for its work: engines, a place to work in, what it grants, what it offers."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codabench._version import __version__
from codabench.backends.backend import WorkHost
from codabench.backends.dask.courier import Courier
from codabench.backends.dask.wire import STOP, Order, error_record
from codabench.backends.engine import ContainerEngine, EngineInfo, StopSignal
from codabench.backends.hosted import HostedEngine
from codabench.backends.local import function_named
from codabench.core.errors import EngineError
from codabench.core.policy import UNBOUNDED, Policy

log = logging.getLogger("codabench.backends")

TIDY_SECONDS = 30.0
"""Between two looks at what images take."""

RECENT_SECONDS = 60.0
"""An image that was used so lately may be one for which another process makes a container right now."""

_REFUSED = 10_000


@dataclass(frozen=True)
class _Running:
    """Work under way, and the image it is for: whatever wants one, in this library, names it so in its payload."""

    stop: StopSignal
    image: str | None


class Site:
    """One worker of a cluster.

    Parameters
    ----------
    engine
        The word of the engine that is used where an order names none.
    cache_bytes
        What it keeps of stored files; None: as storage has it.
    image_bytes
        What images may take that its runs have pulled; None: no bound.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        engine: str = "auto",
        ceiling: Policy = UNBOUNDED,
        local_data: Mapping[str, Path] | None = None,
        cache_bytes: int | None = None,
        image_bytes: int | None = None,
    ) -> None:
        self.scratch, self.engine, self.name = scratch, engine, ""
        self.ceiling, self.local_data = ceiling, dict(local_data or {})
        self.cache_bytes, self.image_bytes = cache_bytes, image_bytes
        self._engines: dict[str, ContainerEngine] = {}
        self._running: dict[str, _Running] = {}
        self._refused: deque[str] = deque(maxlen=_REFUSED)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._tidier: threading.Thread | None = None

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
            self._running[order.key] = _Running(stop, order.payload.get("image"))
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
                cache_bytes=self.cache_bytes,
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
            found.stop.set(reason)
        return found is not None

    def stop_all(self, reason: str) -> int:
        """Stop everything; returns how much that is."""
        with self._lock:
            running = list(self._running.values())
        for each in running:
            each.stop.set(reason)
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
                if self._tidier is None and self.image_bytes is not None:
                    self._tidier = threading.Thread(target=self._tidy, name="codabench-tidy", daemon=True)
                    self._tidier.start()
            return self._engines[word]

    def _tidy(self) -> None:
        """Keep images within their bound: nobody waits for it, and what a run has just found is left alone."""
        while not self._closed.wait(TIDY_SECONDS):
            with self._lock:
                engines = [engine for engine in self._engines.values() if isinstance(engine, HostedEngine)]
            for engine in engines:
                try:
                    gone = engine.trim_images(self.image_bytes or 0, busy=self._images, older_than=RECENT_SECONDS)
                except EngineError as error:
                    log.warning("images could not be kept within their bound: %s", error)
                    continue
                for image in gone:
                    log.info("removed the image %s, which no run has used for %.0f s", image.name, image.idle)

    def _images(self) -> set[str]:
        """The images of what is under way."""
        with self._lock:
            return {each.image for each in self._running.values() if each.image}

    def close(self) -> None:
        """Let go of the engines."""
        self._closed.set()
        if self._tidier is not None:
            self._tidier.join()
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
