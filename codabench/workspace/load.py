"""What is in hand, and which backends have room for more."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any

from codabench.backends.backend import Backend, Handle
from codabench.core.errors import EngineError
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Run, Status
from codabench.db.taking import Room

ELSEWHERE_SECONDS = 1.0
"""Between two looks for runs of other backends while one is full."""
READY_SECONDS = 0.5
"""How long it may take at most to record an end, and to hand out what comes after it."""
_ENDS = 16
_PAUSES = (1.0, 60.0)


class Flight:
    """An attempt in hand.

    Attributes
    ----------
    status, sequence
        Where its run stands, and the number of its last status event, as far as it is recorded.
    blame
        Who cancelled it.
    leaving
        Its process ends: if it is not over before, others carry it out.
    """

    def __init__(self, run: Run, attempt: Attempt) -> None:
        self.run, self.attempt = run, attempt
        self.status, self.sequence = Status.PREPARING, run.sequence
        self.handle: Handle | None = None
        self.blame: Fault | None = None
        self.leaving = False


class Load:
    """How much each backend has: runs by the word that they were submitted with, of which one backend may have several.

    A word is full when in hand are, beside one run for each slot of its backends, those that are ready for a slot. What
    is ready is before everything that is queued later, whoever's it is: so there are no more than the slots are likely
    to take within `READY_SECONDS`, and as many as there are slots while that is not known.
    """

    def __init__(self) -> None:
        self._words: dict[str, Any] = {}
        self._places: dict[str, dict[int, Backend]] = {}
        self._flights: dict[str, set[Flight]] = {}
        self._ends: dict[str, deque[float]] = {}
        self._shunned: dict[str, tuple[float, float]] = {}
        self._looked = 0.0

    def add(self, flight: Flight, place: Backend) -> None:
        """It is handed to a backend."""
        key = self._key(flight.run.backend)
        self._shunned.pop(key, None)
        self._places.setdefault(key, {})[id(place)] = place
        self._flights.setdefault(key, set()).add(flight)

    def remove(self, flight: Flight) -> None:
        """It is over, if it ever was handed over."""
        key = self._key(flight.run.backend)
        flights = self._flights.get(key, set())
        if flight not in flights:
            return
        flights.remove(flight)
        self._ends.setdefault(key, deque(maxlen=_ENDS)).append(time.monotonic())
        if not flights:
            self._ends[key].clear()

    def rooms(self) -> list[Room]:
        """How many more runs of each word that is in use may be taken now."""
        found = {key: self._room(key) for key, flights in self._flights.items() if flights}
        found |= {key: 0 for key in self._shunned if self._is_shunned(key)}
        return [Room(self._words[key], runs) for key, runs in found.items()]

    def _room(self, key: str) -> int:
        try:
            slots = sum(place.info().slots for place in self._places[key].values())
        except EngineError:
            return 0  # whoever does not say how much room there is gets nothing more
        return max(0, slots + self._ready(key, slots) - len(self._flights[key]))

    def _ready(self, key: str, slots: int) -> int:
        ends = self._ends.get(key, ())
        if not ends or len(ends) < min(slots, _ENDS):
            return slots
        each = (time.monotonic() - ends[0]) / len(ends)
        return min(slots, 1 + int(READY_SECONDS / each)) if each else slots

    def look_elsewhere(self) -> bool:
        """Whether it is time to look for runs of other words: that costs more than to take the next one."""
        now = time.monotonic()
        if now - self._looked < ELSEWHERE_SECONDS:
            return False
        self._looked = now
        return True

    def shun(self, word: Any) -> float:
        """Its backend does not answer: leave its runs to others for a while, longer each time. Returns the seconds."""
        key = self._key(word)
        first, last = _PAUSES
        pause = min(2 * self._shunned[key][1], last) if key in self._shunned else first
        self._shunned[key] = (time.monotonic() + pause, pause)
        return pause

    def shunned(self, word: Any) -> bool:
        """Whether its runs are left to others now."""
        return self._is_shunned(self._key(word))

    def _is_shunned(self, key: str) -> bool:
        return key in self._shunned and self._shunned[key][0] > time.monotonic()

    def _key(self, word: Any) -> str:
        key = json.dumps(word)
        self._words[key] = word
        return key
