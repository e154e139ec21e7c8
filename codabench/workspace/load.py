"""What is in hand, and which backends have room for more."""

from __future__ import annotations

import json
import time
from typing import Any

from codabench.backends.backend import Backend, Handle
from codabench.core.errors import EngineError
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Run, Status
from codabench.db.taking import Room

ELSEWHERE_SECONDS = 1.0
"""Between two looks for runs of other backends while one is full."""
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

    A word is full when twice as many runs are in hand as its backends have slots: one is carried out, one is ready.
    """

    def __init__(self) -> None:
        self._words: dict[str, Any] = {}
        self._places: dict[str, dict[int, Backend]] = {}
        self._flights: dict[str, set[Flight]] = {}
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
        self._flights.get(self._key(flight.run.backend), set()).discard(flight)

    def rooms(self) -> list[Room]:
        """How many more runs of each word that is in use may be taken now."""
        found = {key: self._room(key) for key, flights in self._flights.items() if flights}
        found |= {key: 0 for key in self._shunned if self._is_shunned(key)}
        return [Room(self._words[key], runs) for key, runs in found.items()]

    def _room(self, key: str) -> int:
        try:
            room = 2 * sum(place.info().slots for place in self._places[key].values())
        except EngineError:
            return 0  # whoever does not say how much room there is gets nothing more
        return max(0, room - len(self._flights[key]))

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
