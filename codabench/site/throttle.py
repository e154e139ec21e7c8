"""`Throttle`: who guesses waits, longer each time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network
from typing import NamedTuple

from codabench.core.errors import TooMany

_FORGET = timedelta(hours=1)
_MANY = 50_000
"""Keys that are remembered; the oldest are forgotten first."""


class Limit(NamedTuple):
    """How much may be tried under one key.

    Attributes
    ----------
    key
        What is counted; what it is of comes first: ``("address", "192.0.2.7")``.
    free
        So many tries wait for nothing.
    longest
        Seconds between two tries at most; from the first that waits they double from one second on.
    """

    key: tuple[str, ...]
    free: int
    longest: float


def machine(address: str) -> str:
    """What is taken for one machine: an address, or all of those that one line of IPv6 has."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv4Address):
        return str(known)
    return str(known.ipv4_mapped or ip_network((int(known) >> 64 << 64, 64)))


class _Count:
    def __init__(self, at: datetime) -> None:
        self.tries, self.last = 0, at


class Throttle:
    """Counts tries. It lives in memory: each process of a site counts for itself, and forgets when it ends."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, ...], _Count] = OrderedDict()
        self._lock = threading.Lock()

    def enter(self, now: datetime, *limits: Limit) -> None:
        """Count a try before it is made, so that many at the same time are counted, too.

        Raises
        ------
        TooMany
            ``CB804``: it has to wait, and is not counted.
        """
        with self._lock:
            wait = max(self._wait(limit, now) for limit in limits)
            if wait > 0:
                raise TooMany(f"too many tries; the next one is in {wait:.0f} s", seconds=wait)
            for limit in limits:
                count = self._counts.setdefault(limit.key, _Count(now))
                count.tries, count.last = count.tries + 1, now
                self._counts.move_to_end(limit.key)
            while len(self._counts) > _MANY:
                self._counts.popitem(last=False)

    def _wait(self, limit: Limit, now: datetime) -> float:
        count = self._counts.get(limit.key)
        if count is None:
            return 0.0
        if now - count.last > _FORGET:
            del self._counts[limit.key]
            return 0.0
        over = count.tries - limit.free
        if over < 0:
            return 0.0
        pause = min(2.0 ** min(over, 20), limit.longest)
        return pause - (now - count.last).total_seconds()

    def forgive(self, *limits: Limit) -> None:
        """Take back a try that was none: what was shown was right."""
        with self._lock:
            for limit in limits:
                count = self._counts.get(limit.key)
                if count is not None:
                    count.tries = max(0, count.tries - 1)

    def clear(self, *limits: Limit) -> None:
        """Begin anew."""
        with self._lock:
            for limit in limits:
                self._counts.pop(limit.key, None)
