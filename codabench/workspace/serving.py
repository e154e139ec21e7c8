"""A process that does nothing but drive runs: ``ws.dispatch()`` and ``codabench dispatch``."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from codabench.core.errors import StorageError
from codabench.db.connection import passing
from codabench.workspace.attending import Take
from codabench.workspace.dispatcher import Dispatcher

log = logging.getLogger("codabench.workspace")

_PAUSES = (1.0, 60.0)
TICK_SECONDS = 60.0


def with_ticks(take: Take, tick: Callable[[], object], every: float = TICK_SECONDS) -> Take:
    """Work for the thread that waits: also, at once and then every so many seconds, what is due by the clock."""
    due = time.monotonic()

    def ticked() -> None:
        tick()

    def found() -> Callable[[], None] | None:
        nonlocal due
        work = take()
        if work is None and time.monotonic() >= due:
            due = time.monotonic() + every
            return ticked
        return work

    return found


def serve(dispatcher: Dispatcher, take: Take, *, drain: bool, stop: threading.Event) -> None:
    """Drive runs until `stop` is set, or until there are none if `drain`; see `Workspace.dispatch`."""
    pause, longest = _PAUSES
    while not stop.is_set():
        try:
            with dispatcher.wanted():
                dispatcher.wait(lambda: stop.is_set() or (drain and not dispatcher.has_work()), None, take)
            break
        except StorageError as error:
            if not passing(error):
                raise
            # What was in hand is stopped, and others may have it. When the database is back, so are we.
            log.warning("the database is away: %s", error.message)
            end = time.monotonic() + pause
            while not stop.is_set() and time.monotonic() < end:
                time.sleep(0.1)  # `stop` may be set by a signal, in the midst of this thread
            pause = min(2 * pause, longest)
    dispatcher.resign()
    dispatcher.wait(lambda: not dispatcher.under_way, None, take)
