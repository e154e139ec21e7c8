"""The dispatcher: takes runs that wait, hands them to backends, records what comes. Any number share one workspace.

Each run in hand is an attempt under a lease (`holding`). Everything that this process changes of a run in hand happens
in one thread, so its events are recorded in order; backends, the heart and live events only put messages into the
queue of that thread. What others left is looked after once a second (`takeover`).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from codabench.backends.backend import Backend, Needs, Work
from codabench.core.errors import CodabenchError, NoRoom, StorageError
from codabench.core.policy import Policy
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Outcome, Run, Status
from codabench.db.connection import passing
from codabench.db.database import Database
from codabench.db.taking import GROUPS, Room
from codabench.runner.plan import RunPlan
from codabench.workspace import endings
from codabench.workspace.attending import Bell, Take
from codabench.workspace.hands import Hands
from codabench.workspace.holding import Card, Clock, Heart, Patience, new_holder
from codabench.workspace.load import Flight
from codabench.workspace.takeover import Takeover

log = logging.getLogger("codabench.workspace")

LEASE_SECONDS = 30.0
LINGER_SECONDS = 0.5
SWEEP_SECONDS = 1.0
"""Between two looks at what others do: their wishes to cancel, their deaths, what they queued."""
TOGETHER = 200
"""So many messages at most are recorded in one transaction."""
EXECUTE = "codabench.runner.execute:execute_run"
_FIRST_ATTEMPT = 2
"""The number of its event, if the run was queued and nothing else."""

MakePlan = Callable[[Run, Attempt], RunPlan]


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


class Dispatcher:
    """Drives runs of a workspace, together with those of other processes.

    Parameters
    ----------
    planner
        Makes what makes plans of runs that were taken together, each for an attempt.
    backend_of
        Where a run is carried out.
    notify
        Takes events for observers; called from this thread, and from backend threads for live output.
    seal
        Told of an outcome before it is recorded; may add to it what is known here.
    stored
        The outcome that an attempt left in storage, if it did: (run, attempt).
    reap
        Called when a process of this machine has died and left runs, and maybe containers.
    about
        What others are told of this process: what it has to carry out runs.
    seconds
        Of a lease: when others take over what is in the hands of a process that is not heard of.
    forgets
        The rows go with this process: what is under way at its end is cancelled, not given back.
    """

    def __init__(
        self,
        db: Database,
        *,
        planner: Callable[[list[Run]], MakePlan],
        backend_of: Callable[[Run], Backend],
        notify: Callable[[dict[str, Any]], None],
        seal: Callable[[Run, Outcome], Outcome] = lambda run, outcome: outcome,
        stored: Callable[[str, str], dict[str, Any] | None] = lambda run, attempt: None,
        reap: Callable[[], None] = lambda: None,
        about: Callable[[], Any] = lambda: None,
        seconds: float = LEASE_SECONDS,
        forgets: bool = False,
    ) -> None:
        self._db, self._planner, self._backend_of, self._notify = db, planner, backend_of, notify
        self._seconds, self._about = seconds, about
        self.holder = new_holder()
        self._clock, self._patiently = Clock(db), Patience(seconds)
        both: dict[str, Any] = {"tell": self._tell_run, "stored": stored}
        self._takeover = Takeover(db, self.holder, self._clock, reap=reap, **both)
        self._hands = Hands(db, self.holder, self._clock, self._patiently, seal=seal, forgets=forgets, **both)
        self.errors = self._hands.errors
        self._inbox: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._heart: Heart | None = None
        self._resting = self._closing = False
        self._taking = self._busy = self._looked = False
        self._wanted = 0
        self._lock = threading.Lock()
        self._bell = Bell()
        self._look = True
        self._sweep_at = 0.0
        self._fatal: BaseException | None = None

    # ------------------------------------------------------------------ from any thread
    def wake(self) -> None:
        """There is something to do: start the thread if none runs."""
        with self._lock:
            self._taking = True
            self._inbox.put(("wake", None, None))
            before = self._thread
            if before is None or self._resting or not before.is_alive():
                self._closing = self._resting = self._patiently.over = False
                self._fatal = None
                self._thread = threading.Thread(
                    target=self._live_and_die, args=(before,), name="codabench-dispatcher", daemon=True
                )
                self._thread.start()

    def cancel(self, run: str, reason: str, fault: Fault) -> None:
        """Cancel a run, waiting or under way, in whose hands it may be; returns at once."""
        if not self._db.request_cancel(run, reason, fault=fault):
            return
        row = self._db.run(run)
        if row.status in (Status.SUBMITTED, Status.SUBMITTING):
            self._takeover.cancel_waiting(row)
        elif self._hands.holds(run):
            self._inbox.put(("cancel", run, (reason, fault)))
        else:
            self._takeover.cancel_of_dead(run)

    def wait(
        self,
        done: Callable[[], bool],
        timeout: float | None,
        take: Take = lambda: None,
    ) -> bool:
        """Wait until `done` says so; it is asked again whenever a run has ended.

        Parameters
        ----------
        take
            Gives work that only the thread that waits can do; asked again after `nudge`.
        """
        return self._bell.wait(done, timeout, take, self.check)

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Somebody waits: the thread goes on looking for what there is to do, also where others do it now."""
        with self._lock:
            self._wanted += 1
            self._looked = False
        try:
            self.wake()
            yield
        finally:
            with self._lock:
                self._wanted -= 1

    def resign(self) -> None:
        """Take nothing more until `wake`; what runs goes on, what only waits for a slot is given back."""
        self._taking = False
        self._inbox.put(("resign", None, None))

    def has_work(self) -> bool:
        """Whether anything is in hand or waits for this process, or it has not looked yet what others have left."""
        known = not self._looked or self.under_way
        # Asked again after the database: what does not wait any more may have come into these hands.
        return known or self._db.waits(self.holder) or self.under_way

    @property
    def under_way(self) -> bool:
        """Whether anything is in hand here."""
        return self._busy or bool(self._hands)

    def waits_for_slot(self, run: str) -> bool:
        """Whether a run is in hand here and its backend has not begun it."""
        return self._hands.holds(run) and not self._hands.begun(run)

    def nudge(self) -> None:
        """Whoever waits looks again."""
        self._bell.ring()

    def check(self) -> None:
        """Raise what stopped the dispatcher, if anything did: nothing more will come."""
        if self._fatal is not None:
            raise self._fatal

    def close(self) -> None:
        """End what is under way, give back what others can do, and wait until the thread has ended."""
        with self._lock:
            thread, self._closing, self._patiently.over = self._thread, True, True
        self._inbox.put(("close", None, None))
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # ------------------------------------------------------------------ in the dispatcher's thread
    def _live_and_die(self, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        try:
            self._work()
        except BaseException as error:
            log.error("the dispatcher of this workspace stopped", exc_info=error)
            self._fatal = error
            self._hands.stop("the dispatcher stopped")
            self._hands.let_go()
            self._busy = False
            self.nudge()

    def _work(self) -> None:
        self._patiently(self._clock.set)
        self._heart = Heart(
            self._db,
            self.holder,
            self._clock,
            seconds=self._seconds,
            held=lambda: set(self._hands.flights),
            lost=lambda attempts: self._inbox.put(("lost", attempts, None)),
        )
        card = Card(self._about, self._heart.tell)
        try:
            self._sweep_at, quiet_since = 0.0, time.monotonic()
            while not (self._closing and not self._hands):
                if time.monotonic() >= self._sweep_at:
                    self._patiently(self._sweep)
                if self._look:
                    self._look = False
                    self._fill()
                if self._drain(timeout=min(LINGER_SECONDS, max(0.0, self._sweep_at - time.monotonic()))):
                    quiet_since = time.monotonic()
                quiet = time.monotonic() - quiet_since >= LINGER_SECONDS
                if quiet and not self._hands and not self._wanted and self._rest():
                    return
            if self._closing:
                self._patiently(self._takeover.abandon_pinned)
        finally:
            card.stop()
            self._heart.stop()
            with suppress(StorageError):  # its lease ends by itself, too
                self._db.leave(self.holder)

    def _rest(self) -> bool:
        """Nothing to do for a while: end the thread, unless something came in at this very moment."""
        if self._taking and self._patiently(lambda: self._db.waits(self.holder)):
            return False
        with self._lock:
            self._resting = self._inbox.empty()
            return self._resting

    def _drain(self, timeout: float) -> bool:
        """Handle what has come, and record it together; False if nothing came in time."""
        try:
            self._handle(*self._inbox.get(timeout=timeout))
        except queue.Empty:
            return False
        with suppress(queue.Empty):
            for _ in range(TOGETHER):
                self._handle(*self._inbox.get_nowait())
        self._hands.record()
        return True

    def _handle(self, kind: str, key: Any, value: Any) -> None:
        # What a step reports leaves the queue as it is; everything else may have filled it or made room.
        self._look = self._look or kind != "event"
        if kind == "event":
            self._hands.step_event(key, value)
        elif kind == "done":
            self._hands.done(key, value)
        elif kind == "cancel":
            self._hands.cancel(key, *value)
        elif kind == "lost":
            self._hands.lost(key)
        elif kind == "resign":
            self._hands.stop("its process takes nothing more", only_waiting=True)
        elif kind == "close":
            self._hands.stop("the workspace was closed")

    # ------------------------------------------------------------------ taking
    def _fill(self) -> None:
        """Take runs while there is room for them. Backends that are full, or do not answer, get nothing."""
        self._busy = True
        while self._taking and not self._closing:
            rooms = self._hands.load.rooms()
            full = [room.backend for room in rooms if not room.runs]
            if full and not (self._hands.load.look_elsewhere() and self._waits(full)):
                break
            flights = self._patiently(partial(self._take, rooms))
            if not flights:
                break
            self._begin(flights)
        self._busy = False

    def _waits(self, full: Collection[Any] = ()) -> bool:
        return self._patiently(lambda: self._db.waits(self.holder, self._clock.now(), but_not=full))

    def _take(self, rooms: list[Room]) -> list[Flight]:
        many = min(GROUPS, max(1, sum(room.runs for room in rooms)))
        attempts = [(uuid.uuid4().hex, uuid.uuid4().hex) for _ in range(many)]
        about: dict[str, Any] = {"now": self._clock.now(), "seconds": self._seconds, "rooms": rooms}
        return [self._hands.add(*taken) for taken in self._db.take_runs(self.holder, attempts, **about)]

    def _begin(self, flights: list[Flight]) -> None:
        """Hand over what was taken."""
        plan = self._patiently(partial(self._planner, [flight.run for flight in flights]))
        for flight in flights:
            run = flight.run
            waited = {"queued_at": run.created_at} if run.sequence == _FIRST_ATTEMPT else {}
            self._tell_run(run, Status.PREPARING, flight.attempt.started_at, **waited)
        for flight in flights:
            if self._hands.load.shunned(flight.run.backend):
                self._hands.give_back(flight, endings.NO_ROOM)  # one that was taken with it did not get there
            else:
                self._start(flight, plan)
        self._hands.record()

    def _start(self, flight: Flight, plan: MakePlan) -> None:
        run, id = flight.run, flight.attempt.id
        if self._hands.too_often(flight):
            return
        try:
            place = self._patiently(partial(self._backend_of, run))
        except NoRoom as error:
            self._hands.no_room(flight, error)
            return
        except CodabenchError as error:
            _raise_if_away(error)
            self._hands.no_place(flight, error)
            return
        self._hands.load.add(flight, place)
        try:
            made = self._patiently(partial(plan, run, flight.attempt))
            flight.handle = place.submit(
                Work(function=EXECUTE, payload=made.model_dump(mode="json")),
                key=id,
                needs=_needs(made.policy),
                on_event=lambda event: self._live(flight, event),
                on_done=lambda handle: self._inbox.put(("done", id, handle)),
            )
        except NoRoom as error:
            self._hands.no_room(flight, error)
        except Exception as error:  # noqa: BLE001 - as in `Hands.done`: a run that cannot be started must end, too
            _raise_if_away(error)
            self._hands.fail(flight, error)

    # ------------------------------------------------------------------ what comes
    def _live(self, flight: Flight, event: dict[str, Any]) -> None:
        if event.get("type") == "step":
            self._inbox.put(("event", flight.attempt.id, event))
        self._notify({"run": flight.run.id, "submission": flight.run.submission, "attempt": flight.attempt.id, **event})

    def _sweep(self) -> None:
        """Look at what others did."""
        self._sweep_at = time.monotonic() + SWEEP_SECONDS
        for run, reason, fault in self._db.cancels(self.holder):
            self._hands.cancel(run, reason, fault)
        self._takeover.look(mine=set(self._hands.flights))
        self._look = self._look or self._waits()
        self._looked = True

    def _tell_run(self, run: Run, status: Status, at: datetime, **more: Any) -> None:
        who = {"run": run.id, "submission": run.submission, "task": run.task, **more}
        self._patiently(partial(self._notify, {"type": "status", **who, "status": status, "at": at}))
        if status.is_final:
            self.nudge()


def _needs(policy: Policy) -> Needs:
    """What a run asks of the place where it is carried out: each is one slot."""
    return Needs(cpus=policy.limits.cpus, memory=policy.limits.memory, gpus=policy.gpus)


def _raise_if_away(error: Exception) -> None:
    """It is no run's fault that the database is away."""
    if isinstance(error, StorageError) and passing(error):
        raise error
