"""Fetching an image: progress as it comes, an end in any case, a second try where that can help."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from codabench.backends.engine import Emit, StopSignal
from codabench.backends.naming import reference_of
from codabench.core.errors import EngineError, EngineTimeout, Interrupted, RegistryError
from codabench.core.text import human_size

SILENCE = 300.0
"""Seconds without a word after which a pull is given up. Unpacking a large layer takes minutes without one."""
TRY_FOR = 30.0
"""Seconds for which a registry that fails is asked again. A run that has failed for that costs nobody an attempt."""
LIMIT = 6 * 3600.0
"""Seconds that the whole may take: a registry that drips bytes ends, too."""
_OFTEN = 0.2
_ROOM_EVERY = 5.0

Events = Callable[[], Generator[dict[str, Any], None, None]]


@dataclass
class Pull:
    """One image to fetch, and what bounds it.

    Attributes
    ----------
    events
        Begins anew at each call; closing what it gives ends the pull.
    explain
        From the words of an engine to an error.
    room
        Bytes that are free where the engine keeps images; None: nobody knows.
    end
        When it must be over, on the monotonic clock.
    """

    name: str
    engine: str
    events: Events
    explain: Callable[[str], EngineError]
    room: Callable[[], int | None]
    end: float
    emit: Emit | None = None
    stop: StopSignal | None = None

    def fetch(self) -> None:
        """Pull; again and again where the registry fails in a way that may pass, with growing, random pauses.

        Raises
        ------
        ImageNotFound
            If there is no such image.
        RegistryError
            If the registry is away, fails, refuses us or lies.
        EngineTimeout
            If it takes too long.
        EngineError
            If there is no room for it.
        Interrupted
            If `stop` was set.
        """
        began, pause = time.monotonic(), 1.0
        before: RegistryError | None = None
        while True:
            try:
                return self._once()
            except EngineTimeout:
                if before is not None:
                    raise before from None  # why it failed at all says more than that there was no time to try again
                raise
            except RegistryError as error:
                before = error
                wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - many hosts should not come back together
                now = time.monotonic()
                if not error.passing or now + wait > min(self.end, began + TRY_FOR):
                    raise
                self._say({"status": f"the registry failed, trying again in {wait:.0f} s: {error.message}"})
                self._sleep(wait)
                pause *= 2

    def _once(self) -> None:
        """Read the events of one attempt. They come from a thread of their own: a read cannot be interrupted."""
        inbox: queue.SimpleQueue[dict[str, Any] | EngineError | None] = queue.SimpleQueue()
        over = threading.Event()
        threading.Thread(target=_read, args=(self.events, inbox, over), name="codabench-pull", daemon=True).start()
        forget = self.stop.on_set(lambda: inbox.put(None)) if self.stop else _nothing
        layers = _Layers(self)
        try:
            while (event := self._next(inbox, layers.last)) is not None:
                if isinstance(event, EngineError):
                    raise event
                if event.get("error"):
                    raise self.explain(str(event["error"]))
                layers.take(event)
            self._check_stop()
        finally:
            over.set()
            forget()

    def _next(self, inbox: queue.SimpleQueue[Any], last: str) -> dict[str, Any] | EngineError | None:
        self._check_stop()
        left = self.end - time.monotonic()
        try:
            found: dict[str, Any] | EngineError | None = inbox.get(timeout=max(0.0, min(SILENCE, left)))
        except queue.Empty:
            host, why = reference_of(self.name).host, f"; its last word was: {last}" if last else ""
            raise EngineTimeout(
                f"pulling {self.name} took too long and was given up{why}",
                hint=f"is the registry {host} slow or down? Try `{self.engine} pull {self.name}` by hand, "
                "or bring the image beforehand",
            ) from None
        return found

    def _sleep(self, seconds: float) -> None:
        if self.stop is None:
            time.sleep(seconds)
        else:
            self.stop.wait(seconds)
            self._check_stop()

    def _check_stop(self) -> None:
        if self.stop is not None and self.stop.is_set():
            raise Interrupted(f"{self.stop.reason} while the image {self.name} was being pulled")

    def _say(self, event: dict[str, Any]) -> None:
        if self.emit:
            self.emit({"type": "pull", "image": self.name, **event})


class _Layers:
    """What is known of the parts of an image while they come in."""

    def __init__(self, pull: Pull) -> None:
        self._pull = pull
        self._sizes: dict[str, tuple[int, int]] = {}
        self._told, self._looked = 0.0, time.monotonic()
        self.last = ""

    def take(self, event: dict[str, Any]) -> None:
        """Count, tell, and look whether what is still to come has a place."""
        status, layer = str(event.get("status") or event.get("stream") or "").strip(), str(event.get("id") or "")
        detail = event.get("progressDetail") or {}
        moving = bool(detail.get("total"))
        if moving and status == "Downloading":
            self._sizes[layer] = (int(detail.get("current") or 0), int(detail["total"]))
        elif layer in self._sizes and not moving:
            self._sizes[layer] = (self._sizes[layer][1],) * 2  # complete, verified, unpacked
        done, total = (sum(sizes) for sizes in zip(*self._sizes.values(), strict=True)) if self._sizes else (0, 0)
        self.last, now = status, time.monotonic()
        if not moving or now - self._told >= _OFTEN:
            self._told = now
            progress = f"{human_size(done)} of {human_size(total)}"
            size = {"current": done, "total": total, "progress": progress} if total else {}
            self._pull._say({"status": status, "layer": layer or None, **size})
        if now - self._looked >= _ROOM_EVERY:
            self._looked = now
            check_room(self._pull.name, total - done, self._pull.room())


def check_room(name: str, needed: int, free: int | None) -> None:
    """Refuse an image that cannot have a place.

    Raises
    ------
    EngineError
        With the code CB609.
    """
    if free is not None and needed > free:
        raise EngineError(
            f"there is no room for the image {name}: it takes at least {human_size(needed)} more, and "
            f"{human_size(free)} are free where the engine keeps images",
            code="CB609",
            hint="`codabench prune --images` removes images that codabench pulled and nothing uses",
        )


def _read(events: Events, inbox: queue.SimpleQueue[dict[str, Any] | EngineError | None], over: threading.Event) -> None:
    """Pass events on until there are no more, or nobody wants them: the engine then ends the pull."""
    try:
        with closing(events()) as found:
            for event in found:
                if over.is_set():
                    return
                inbox.put(event)
        inbox.put(None)
    except EngineError as error:
        inbox.put(error)


def _nothing() -> None:
    return
