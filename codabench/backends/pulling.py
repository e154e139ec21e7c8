"""Fetching an image: progress as it comes, an end in any case, the registry's own words where it fails."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from codabench.backends.engine import Emit
from codabench.core.errors import EngineError, EngineTimeout, ImageNotFound

_SILENCE = 300.0


def follow_pull(
    name: str, events: Callable[[], Iterator[dict[str, Any]]], emit: Emit | None, timeout: float | None
) -> None:
    """Read the events of a pull to their end.

    They are read in a thread of their own, because neither SDK gives this call a timeout: when the registry is silent
    for five minutes, or `timeout` seconds are over, the thread is left behind and ends with its connection.

    Raises
    ------
    ImageNotFound
        If there is an error among the events; the message quotes it.
    EngineTimeout
        If it takes too long.
    """
    inbox: queue.SimpleQueue[dict[str, Any] | EngineError | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(events, inbox), name="codabench-pull", daemon=True).start()
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        patience = _SILENCE if end is None else min(_SILENCE, max(0.0, end - time.monotonic()))
        try:
            event = inbox.get(timeout=patience)
        except queue.Empty:
            raise EngineTimeout(
                f"pulling {name} took too long and was given up",
                hint=f"try `docker pull {name}` by hand, or put the image into the engine beforehand",
            ) from None
        if event is None:
            return
        if isinstance(event, EngineError):
            raise event
        if event.get("error"):
            raise ImageNotFound(
                f"the image {name} is not here and could not be pulled; the registry says: {event['error']}",
                hint="check the name and the tag, log in to the registry, or name another image with `--image`",
            )
        if emit:
            emit({"type": "pull", "image": name, **_progress(event)})


def _read(
    events: Callable[[], Iterator[dict[str, Any]]], inbox: queue.SimpleQueue[dict[str, Any] | EngineError | None]
) -> None:
    try:
        for event in events():
            inbox.put(event)
        inbox.put(None)
    except EngineError as error:
        inbox.put(error)


def _progress(event: dict[str, Any]) -> dict[str, Any]:
    detail = event.get("progressDetail") or {}
    return {
        "status": event.get("status", ""),
        "layer": event.get("id"),
        "current": detail.get("current"),
        "total": detail.get("total"),
    }
