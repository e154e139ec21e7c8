"""What is in hand: attempts that this process drives, and what becomes of each. For one thread only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from codabench.backends.backend import Handle, HandleStatus
from codabench.core.errors import CodabenchError, Interrupted, StateError, StorageError, WorkLost
from codabench.core.events import EventKind, next_status
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Outcome, Run, Status
from codabench.db.database import Database
from codabench.db.recording import Happened, Told
from codabench.workspace import endings
from codabench.workspace.holding import Clock, Patience
from codabench.workspace.load import Flight, Load

log = logging.getLogger("codabench.workspace")

SEALS = 8
"""So many outcomes are sealed at the same time."""

_STEP_EVENTS = {kind.value for kind in EventKind}


class Noted:
    """What an attempt has come to since the last record of it.

    Attributes
    ----------
    status
        Where its run stands when this is recorded.
    """

    def __init__(self, flight: Flight) -> None:
        self.flight, self.status = flight, flight.status
        self.outcome: Outcome | None = None
        self._happened: list[Happened] = []
        self._changes: list[tuple[Status, datetime]] = []

    def add(
        self,
        kinds: Sequence[EventKind],
        at: datetime,
        data: dict[str, Any] | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        """Events that came at the same time; `StateError` if one cannot follow what came before it."""
        before = status = self.status
        for kind in kinds:
            status = next_status(status, kind)
        self._happened += [Happened(kind, at, data or {}) for kind in kinds]
        self.status, self.outcome = status, outcome
        if status is not before:
            self._changes.append((status, at))

    def told(self) -> Told:
        """As the database takes it."""
        of = self.flight
        return Told(of.run.id, of.attempt.id, of.attempt.token, of.sequence, self._happened, self.status, self.outcome)

    def recorded(self) -> list[tuple[Status, datetime]]:
        """It is recorded; returns the changes of status, and when they came."""
        self.flight.status = self.status
        self.flight.sequence += len(self._happened)
        return self._changes


Ended = tuple[Flight, Outcome]


def _together(seal: Callable[[Ended], Ended], ended: list[Ended]) -> list[Ended]:
    """What is sealed waits for a disk or a server: all at the same time."""
    if len(ended) == 1:
        return [seal(ended[0])]
    with ThreadPoolExecutor(min(len(ended), SEALS), thread_name_prefix="codabench-seal") as pool:
        return list(pool.map(seal, ended))


class Hands:
    """The attempts in hand, by their ids.

    What comes of them is noted, and recorded with the next `record`: what came at the same time is one transaction.

    Parameters
    ----------
    patience
        Asks the database.
    tell
        Told of every change of status: run, status, when.
    seal, stored, forgets
        As of `Dispatcher`.
    """

    def __init__(
        self,
        db: Database,
        holder: str,
        clock: Clock,
        patience: Patience,
        *,
        tell: Callable[[Run, Status, datetime], None],
        seal: Callable[[Run, Outcome], Outcome],
        stored: Callable[[str, str], dict[str, Any] | None],
        forgets: bool,
    ) -> None:
        self._db, self._holder, self._clock, self._patiently = db, holder, clock, patience
        self._tell, self._seal, self._stored, self._forgets = tell, seal, stored, forgets
        self.flights: dict[str, Flight] = {}
        self.load = Load()
        self.errors: dict[str, BaseException] = {}
        self._noted: dict[str, Noted] = {}
        self._ending: dict[str, Ended] = {}

    def __bool__(self) -> bool:
        return bool(self.flights)

    def holds(self, run: str) -> bool:
        """Whether a run is in hand; also from other threads."""
        return any(flight.run.id == run for flight in tuple(self.flights.values()))

    def begun(self, run: str) -> bool:
        """Whether a run in hand has begun at its backend; also from other threads."""
        flights = [flight for flight in tuple(self.flights.values()) if flight.run.id == run]
        return any(f.handle is not None and f.handle.status() is not HandleStatus.WAITING for f in flights)

    def add(self, run: Run, attempt: Attempt) -> Flight:
        """Take an attempt in hand."""
        flight = self.flights[attempt.id] = Flight(run, attempt)
        return flight

    def let_go(self) -> None:
        """Nothing is in hand any more: what goes on is looked after like what other processes have left."""
        self.flights.clear()
        self._noted.clear()
        self._ending.clear()
        self.load = Load()

    # ------------------------------------------------------------------ that cannot begin
    def too_often(self, flight: Flight) -> bool:
        """End a run that too many processes were lost with."""
        if flight.attempt.number <= endings.LOSSES:
            return False
        lost = self._losses(flight.run, *endings.DEADLY)
        if lost >= endings.LOSSES:
            self.finish(flight, endings.lost_too_often(lost))
        return lost >= endings.LOSSES

    def _losses(self, run: Run, *why: str) -> int:
        return endings.losses(self._patiently(lambda: self._db.events(run.id)), *why)

    def no_place(self, flight: Flight, error: CodabenchError) -> None:
        """This process does not reach the backend: others may. The run fails if nobody does."""
        run, pause = flight.run, self.load.shun(flight.run.backend)
        tried = self._losses(run, endings.NO_PLACE) + 1
        alone = len(self._patiently(lambda: self._db.present(self._clock.now()))) < 2
        if tried >= (endings.TRIES if alone else endings.TRIES_OF_MANY):
            self.fail(flight, error)
        else:
            self.give_back(flight, endings.NO_PLACE, after=min(pause, 1.0), error=str(error))

    def no_room(self, flight: Flight, error: CodabenchError) -> None:
        """The backend is there and takes nothing now, as a cluster without workers: the run waits until it does."""
        self.load.shun(flight.run.backend)
        self.give_back(flight, endings.NO_ROOM, error=str(error))

    def fail(self, flight: Flight, error: BaseException) -> None:
        """The machine failed."""
        self.finish(flight, self._machine_failed(flight.run.id, error))

    # ------------------------------------------------------------------ what comes
    def step_event(self, attempt: str, event: dict[str, Any]) -> None:
        """Record that a step began or ended."""
        flight = self.flights.get(attempt)
        if flight is None or event["event"] not in _STEP_EVENTS:
            return
        data = {k: v for k, v in event.items() if k not in ("type", "event", "run", "attempt")}
        self._note(flight, [EventKind(event["event"])], data=data)

    def _note(self, flight: Flight, kinds: Sequence[EventKind], **more: Any) -> bool:
        """Keep for `record` what has come; False if it cannot follow what came before it."""
        noted = self._noted.get(flight.attempt.id) or Noted(flight)
        try:
            noted.add(kinds, self._clock.now(), **more)
        except StateError as error:
            log.warning("an event of attempt %s was refused: %s", flight.attempt.id, error)
            return False
        self._noted[flight.attempt.id] = noted
        return True

    def record(self) -> None:
        """Record what came since the last time, of all attempts in one transaction; then what they have come to."""
        self._write()
        ending, self._ending = self._ending, {}
        if not ending:
            return
        for flight, outcome in _together(self._sealed, list(ending.values())):
            if not self._note(flight, endings.closing_events(flight.status, outcome), outcome=outcome):
                self._drop(flight)
        self._write()

    def _write(self) -> None:
        noted, self._noted = self._noted, {}
        if not noted:
            return
        refused = self._patiently(partial(self._db.record, [each.told() for each in noted.values()]))
        for attempt, each in noted.items():
            if attempt in refused:
                log.warning("what attempt %s tells is refused: %s", attempt, refused[attempt])
            for status, at in each.recorded() if attempt not in refused else ():
                self._tell(each.flight.run, status, at)
            if each.outcome is not None:
                self._drop(each.flight)

    def _sealed(self, ended: Ended) -> Ended:
        flight, outcome = ended
        try:
            return flight, self._seal(flight.run, outcome)
        except StorageError as error:
            log.warning("what run %s reported while it went on is not kept: %s", flight.run.id, error.message)
            return ended

    def done(self, attempt: str, handle: Handle) -> None:
        """Record what an attempt came to."""
        flight = self.flights.get(attempt)
        if flight is None:
            return  # it was lost meanwhile, and does not count
        try:
            outcome = Outcome.model_validate(handle.result(timeout=0))
        except Interrupted as error:
            outcome = endings.interrupted(error)
        except WorkLost as error:
            self._worker_gone(flight, error)
            return
        except Exception as error:  # noqa: BLE001 - the outermost frame of a run: whatever it was, the run must end
            outcome = self._machine_failed(flight.run.id, error)
        unfinished = outcome.status is Status.CANCELLED and flight.leaving and flight.blame is None
        if unfinished and self._for_others(flight):
            self.give_back(flight, endings.CLOSED)
            return
        self.finish(flight, endings.blamed(outcome, flight.blame))

    def _worker_gone(self, flight: Flight, error: WorkLost) -> None:
        """A worker is gone with a run: it goes to another one, unless it had come to a result before."""
        run = flight.run
        try:
            outcome = endings.counts(self._stored(run.id, flight.attempt.id), run)
        except StorageError as unread:
            log.warning("it is not known whether run %s has a result: %s", run.id, unread.message)
            outcome = None
        if outcome is None and flight.blame is not None:
            outcome = endings.interrupted(Interrupted(error.message), flight.blame)
        if outcome is not None:
            self.finish(flight, outcome)
            return
        if not error.begun:
            self.give_back(flight, endings.NOT_BEGUN, error=error.message)
            return
        after = endings.back_off(self._losses(run, *endings.DEADLY))
        self.give_back(flight, endings.WORKER_GONE, after=after, error=error.message)

    def _machine_failed(self, run: str, error: BaseException) -> Outcome:
        self.errors[run] = error
        if not isinstance(error, CodabenchError):
            log.error("run %s ended by an internal error", run, exc_info=error)
        return Outcome(status=Status.FAILED, problem=endings.machine_problem(error))

    def finish(self, flight: Flight, outcome: Outcome) -> None:
        """It has come to this; the next `record` records it."""
        self._ending[flight.attempt.id] = flight, outcome

    def _drop(self, flight: Flight) -> None:
        self.load.remove(flight)
        del self.flights[flight.attempt.id]

    def give_back(self, flight: Flight, why: str, *, after: float = 0.0, **data: str) -> None:
        """The run waits again, for whoever takes it first."""
        self.record()
        now = self._clock.now()
        later = now + timedelta(seconds=after) if after else None
        about: dict[str, Any] = {"at": now, "holder": self._holder, "not_before": later, "data": {"why": why, **data}}
        try:
            self._patiently(lambda: self._db.lose_attempt(flight.run.id, flight.attempt.id, **about))
        except StateError as error:
            log.warning("attempt %s was lost already: %s", flight.attempt.id, error)
        self._drop(flight)
        self._tell(flight.run, Status.SUBMITTED, now)

    # ------------------------------------------------------------------ what ends early
    def cancel(self, run: str, reason: str, fault: Fault) -> None:
        """Stop a run that is not wanted."""
        for flight in self.flights.values():
            if flight.run.id == run and flight.blame is None:
                flight.blame = fault
                if flight.handle is not None:
                    flight.handle.cancel(reason)

    def lost(self, attempts: set[str]) -> None:
        """Others have taken these over, or ended them: what goes on here is stopped and counts for nothing."""
        self.record()
        for flight in [self.flights[id] for id in attempts if id in self.flights]:
            log.warning("run %s is in other hands: this process was not heard of in time", flight.run.id)
            self._drop(flight)
            if flight.handle is not None:
                flight.handle.cancel("another process has taken it over")
            status = self._patiently(partial(self._db.run, flight.run.id)).status
            self._tell(flight.run, status if status.is_final else Status.SUBMITTED, self._clock.now())

    def stop(self, why: str, *, only_waiting: bool = False) -> None:
        """Stop everything, or what only waits for a slot and others can do: it is given back."""
        for flight in tuple(self.flights.values()):
            begun = flight.handle is None or flight.handle.status() is not HandleStatus.WAITING
            if only_waiting and (begun or not self._for_others(flight)):
                continue
            flight.leaving = True
            if flight.handle is not None:
                flight.handle.cancel(why)

    def _for_others(self, flight: Flight) -> bool:
        """Whether other processes can carry it out."""
        return not self._forgets and flight.run.pinned is None
