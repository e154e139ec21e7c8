"""Ctrl-C while a batch is carried out: once to let what runs come to its end, twice to cancel it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interruptions:
    """How often somebody pressed Ctrl-C."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self.count, self._tell = 0, tell

    @property
    def draining(self) -> bool:
        """Nothing new is to be started."""
        return self.count > 0

    @property
    def cancelling(self) -> bool:
        """What runs is to be stopped."""
        return self.count > 1

    def heard(self, number: int, frame: FrameType | None) -> None:
        """The signal came; a third one ends whatever goes on."""
        self.count += 1
        if self.count > 2:
            raise KeyboardInterrupt
        self._tell(self.count)


@contextmanager
def interruptions(tell: Callable[[int], None]) -> Iterator[Interruptions]:
    """Count Ctrl-C instead of being interrupted by it, where signals come: in the main thread.

    Parameters
    ----------
    tell
        Called with the count each time.
    """
    found = Interruptions(tell)
    mine = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if mine else None
    # Somebody who has turned Ctrl-C off, or has a handler that was not made in Python, keeps what they have.
    takes = before is not None and before is not signal.SIG_IGN
    if takes:
        signal.signal(signal.SIGINT, found.heard)
    try:
        yield found
    finally:
        if takes:
            signal.signal(signal.SIGINT, before)
