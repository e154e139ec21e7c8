"""Those who wait for runs: they look again whenever something has changed, and do what only they can do meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_PATIENCE = 0.5
"""Another process may drive the work: after so many seconds the rows are looked at even if nothing changes here."""

Take = Callable[[], Callable[[], None] | None]


class Bell:
    """Wakes up everybody who waits."""

    def __init__(self) -> None:
        self._rung = threading.Condition()
        self._times = 0

    def ring(self) -> None:
        """Whoever waits looks again."""
        with self._rung:
            self._times += 1
            self._rung.notify_all()

    def wait(self, done: Callable[[], bool], timeout: float | None, take: Take, check: Callable[[], None]) -> bool:
        """Wait until `done` says so; False if the time is over first. See `Dispatcher.wait`.

        Parameters
        ----------
        check
            Raises if nothing more will come.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            heard = self._times
            # Both may ask the database: whoever rings does not wait for that.
            if done():
                return True
            if (work := take()) is not None:
                work()
                continue
            check()
            left = _PATIENCE if end is None else min(_PATIENCE, end - time.monotonic())
            if left <= 0:
                return False
            with self._rung:
                if self._times == heard:
                    self._rung.wait(left)
