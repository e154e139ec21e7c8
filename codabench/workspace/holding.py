"""Who holds runs: the name of a holder, the clock that all holders share, and the heart that keeps leases alive."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from codabench.backends.owner import Owner, myself
from codabench.core.errors import StorageError
from codabench.db.connection import passing
from codabench.db.database import Database

log = logging.getLogger("codabench.workspace")

T = TypeVar("T")

BEATS = 3
"""Heartbeats within a lease: two may be lost."""

CARD_SECONDS = (0.5, 5.0)
"""Between two looks at what a holder says of itself: longer each time, for backends are opened with the first runs."""


def new_holder() -> str:
    """The name of a holder in this process, like no other."""
    return myself().label()


def shown(holder: str | None) -> str:
    """A holder for people: ``host:pid``."""
    owner = Owner.of_label(holder or "")
    return f"{owner.machine.partition(':')[0]}:{owner.pid}" if owner else holder or "somebody"


def is_dead(holder: str | None) -> bool:
    """Whether the process of a holder is certainly gone; who is on another machine counts as alive."""
    owner = Owner.of_label(holder or "")
    return owner is not None and owner.is_dead()


class Clock:
    """The time by the clock of the database, without asking it each time: clocks of machines differ."""

    def __init__(self, db: Database) -> None:
        self._db, self._ahead = db, timedelta(0)

    def set(self) -> datetime:
        """Ask the database; returns its time."""
        before = datetime.now(UTC)
        now = self._db.now()
        # On SQLite it is the very same clock.
        self._ahead = timedelta(0) if self._db.is_sqlite else now - before
        return now

    def now(self) -> datetime:
        """The time by the database, as far as this machine's clock has run evenly since it was asked."""
        return datetime.now(UTC) + self._ahead


class Card:
    """What a holder says of itself, looked up in a thread of its own: a cluster may take long to answer.

    Parameters
    ----------
    about
        Looks it up; what JSON can say.
    news
        Told when it is something else than before.
    """

    def __init__(self, about: Callable[[], Any], news: Callable[[str], None]) -> None:
        self._about, self._news = about, news
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="codabench-card", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, which may be in the midst of a question: nobody waits for the answer."""
        self._ended.set()

    def _go_on(self) -> None:
        pause, told = 0.0, ""
        while not self._ended.wait(pause):
            try:
                text = json.dumps(self._about(), default=str)
            except Exception:  # the outermost frame of a thread: backends may be closed, or are somebody else's code
                log.debug("what this process has could not be looked up", exc_info=True)
                text = told
            if text != told:
                told = text
                self._news(text)
            pause = min(max(CARD_SECONDS[0], 2 * pause), CARD_SECONDS[1])


class Heart:
    """Says in a thread of its own that a holder is there, so that nothing slow elsewhere makes its leases expire.

    Parameters
    ----------
    seconds
        Of a lease.
    held
        The ids of the attempts in hand.
    lost
        Told of attempts that were in hand and do not count any more.
    """

    def __init__(
        self,
        db: Database,
        holder: str,
        clock: Clock,
        *,
        seconds: float,
        held: Callable[[], set[str]],
        lost: Callable[[set[str]], None],
    ) -> None:
        self._db, self._holder, self._clock, self._seconds = db, holder, clock, seconds
        self._held, self._lost = held, lost
        self._about: str | None = None
        self._over = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="codabench-heart", daemon=True)
        self._thread.start()

    def tell(self, about: str) -> None:
        """Say this of the holder, as JSON, now and from now on."""
        self._about = about
        self._wake.set()

    def stop(self) -> None:
        """End the thread."""
        self._over = True
        self._wake.set()
        self._thread.join()

    def _go_on(self) -> None:
        said: str | None = None
        while not self._over:
            held, about = self._held(), self._about
            news = about if about != said else None
            try:
                now = self._clock.set()
                counting = self._db.heartbeat(self._holder, now=now, seconds=self._seconds, about=news)
            except StorageError as error:
                log.warning("the database did not hear that this process is there: %s", error.message)
                self._pause(min(1.0, self._seconds / BEATS))
                continue
            said = about
            if held - counting:
                self._lost(held - counting)
            self._pause(self._seconds / BEATS)

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()


class Patience:
    """Asks the database; while it is away asks again, as long as what is in hand still is.

    Parameters
    ----------
    seconds
        Of a lease.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.over = False

    def __call__(self, ask: Callable[[], T]) -> T:
        """What `ask` returns.

        Raises
        ------
        StorageError
            The database was away for longer than a lease: others may have taken everything over. Or patience is `over`.
        """
        began, pause = time.monotonic(), 0.1
        while True:
            try:
                return ask()
            except StorageError as error:
                away = time.monotonic() - began
                if not passing(error) or self.over or away > self._seconds:
                    raise
                log.warning("the database does not answer, asking again: %s", error.message)
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
