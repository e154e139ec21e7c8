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
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from codabench.backends.backend import Backend, Handle, HandleStatus, Work
from codabench.core.errors import CodabenchError, EngineUnavailable, Interrupted, StateError, StorageError, WorkLost
from codabench.core.events import EventKind
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Outcome, Run, Status
from codabench.db.connection import passing
from codabench.db.database import Database
from codabench.runner.plan import RunPlan
from codabench.workspace import endings
from codabench.workspace.holding import Clock, Heart, new_holder
from codabench.workspace.load import Flight, Load
from codabench.workspace.takeover import Takeover

log = logging.getLogger("codabench.workspace")

LEASE_SECONDS = 30.0
LINGER_SECONDS = 0.5
SWEEP_SECONDS = 1.0
"""Between two looks at what others do: their wishes to cancel, their deaths, what they queued."""
EXECUTE = "codabench.runner.execute:execute_run"
_STEP_EVENTS = {kind.value for kind in EventKind}

T = TypeVar("T")


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


class Dispatcher:
    """Drives runs of a workspace, together with those of other processes.

    Parameters
    ----------
    plan
        Makes the plan of a run for an attempt.
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
    seconds
        Of a lease: when others take over what is in the hands of a process that is not heard of.
    forgets
        The rows go with this process: what is under way at its end is cancelled, not given back.
    """

    def __init__(
        self,
        db: Database,
        *,
        plan: Callable[[Run, Attempt], RunPlan],
        backend_of: Callable[[Run], Backend],
        notify: Callable[[dict[str, Any]], None],
        seal: Callable[[Run, Outcome], Outcome] = lambda run, outcome: outcome,
        stored: Callable[[str, str], dict[str, Any] | None] = lambda run, attempt: None,
        reap: Callable[[], None] = lambda: None,
        seconds: float = LEASE_SECONDS,
        forgets: bool = False,
    ) -> None:
        self._db, self._plan, self._backend_of, self._notify, self._seal = db, plan, backend_of, notify, seal
        self._seconds, self._forgets = seconds, forgets
        self.holder = new_holder()
        self._clock, self._stored = Clock(db), stored
        self._takeover = Takeover(db, self.holder, self._clock, stored=stored, reap=reap, tell=self._tell_run)
        self._inbox: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        self._flights: dict[str, Flight] = {}
        self._load = Load()
        self._thread: threading.Thread | None = None
        self._heart: Heart | None = None
        self._resting = self._closing = False
        self._taking = self._busy = self._looked = False
        self._wanted = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._look = True
        self._sweep_at = 0.0
        self._fatal: BaseException | None = None
        self.errors: dict[str, BaseException] = {}

    # ------------------------------------------------------------------ from any thread
    def wake(self) -> None:
        """There is something to do: start the thread if none runs."""
        with self._lock:
            self._taking = True
            self._inbox.put(("wake", None, None))
            before = self._thread
            if before is None or self._resting or not before.is_alive():
                self._closing = self._resting = False
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
        elif any(flight.run.id == run for flight in tuple(self._flights.values())):
            self._inbox.put(("cancel", run, (reason, fault)))
        else:
            self._takeover.cancel_of_dead(run)

    def wait(
        self,
        done: Callable[[], bool],
        timeout: float | None,
        take: Callable[[], Callable[[], None] | None] = lambda: None,
    ) -> bool:
        """Wait until `done` says so; it is asked again whenever a run has ended.

        Parameters
        ----------
        take
            Gives work that only the thread that waits can do; asked again after `nudge`.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            work = None
            with self._changed:
                while not (over := done()) and (work := take()) is None:
                    self.check()
                    # Another process may drive the work: the rows are looked at now and then even if nothing changes.
                    left = 0.5 if end is None else min(0.5, end - time.monotonic())
                    if left <= 0:
                        return False
                    self._changed.wait(left)
            if over:
                return True
            if work is not None:
                work()

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Somebody waits: the thread goes on looking for what there is to do, also where others do it now."""
        self._wanted += 1
        try:
            self._looked = False
            self.wake()
            yield
        finally:
            self._wanted -= 1

    def resign(self) -> None:
        """Take nothing more until `wake`; what runs goes on, what only waits for a slot is given back."""
        self._taking = False
        self._inbox.put(("resign", None, None))

    def has_work(self) -> bool:
        """Whether anything is in hand or waits for this process, or it has not looked yet what others have left."""
        return not self._looked or self._db.waits(self.holder) or self.under_way

    @property
    def under_way(self) -> bool:
        """Whether anything is in hand here."""
        return self._busy or bool(self._flights)

    def nudge(self) -> None:
        """Whoever waits looks again."""
        with self._changed:
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what stopped the dispatcher, if anything did: nothing more will come."""
        if self._fatal is not None:
            raise self._fatal

    def close(self) -> None:
        """End what is under way, give back what others can do, and wait until the thread has ended."""
        with self._lock:
            thread, self._closing = self._thread, True
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
            self._stop_work("the dispatcher stopped")
            with self._changed:
                self._changed.notify_all()

    def _work(self) -> None:
        self._patiently(self._clock.set)
        self._heart = Heart(
            self._db,
            self.holder,
            self._clock,
            seconds=self._seconds,
            held=lambda: set(self._flights),
            lost=lambda attempts: self._inbox.put(("lost", attempts, None)),
        )
        try:
            self._sweep_at, quiet_since = 0.0, time.monotonic()
            while not (self._closing and not self._flights):
                if time.monotonic() >= self._sweep_at:
                    self._patiently(self._sweep)
                if self._look:
                    self._look = False
                    self._fill()
                if self._drain(timeout=min(LINGER_SECONDS, max(0.0, self._sweep_at - time.monotonic()))):
                    quiet_since = time.monotonic()
                quiet = time.monotonic() - quiet_since >= LINGER_SECONDS
                if quiet and not self._flights and not self._wanted and self._rest():
                    return
            if self._closing:
                self._patiently(self._takeover.abandon_pinned)
        finally:
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
        """Handle messages until none is left; False if none came in time."""
        try:
            message = self._inbox.get(timeout=timeout)
        except queue.Empty:
            return False
        while True:
            self._handle(*message)
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                return True

    def _handle(self, kind: str, key: Any, value: Any) -> None:
        # What a step reports leaves the queue as it is; everything else may have filled it or made room.
        self._look = self._look or kind != "event"
        if kind == "event":
            self._step_event(key, value)
        elif kind == "done":
            self._done(key, value)
        elif kind == "cancel":
            self._cancel(key, *value)
        elif kind == "lost":
            self._lost(key)
        elif kind == "resign":
            self._stop_work("its process takes nothing more", only_waiting=True)
        elif kind == "close":
            self._stop_work("the workspace was closed")

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask the database; while it is away ask again, as long as what is in hand still is.

        Raises
        ------
        StorageError
            It was away for longer than a lease: others may have taken everything over.
        """
        began, pause = time.monotonic(), 0.1
        while True:
            try:
                return ask()
            except StorageError as error:
                away = time.monotonic() - began
                if not passing(error) or self._closing or away > self._seconds:
                    raise
                log.warning("the database does not answer, asking again: %s", error.message)
                time.sleep(pause)
                pause = min(2 * pause, 2.0)

    # ------------------------------------------------------------------ taking
    def _fill(self) -> None:
        """Take runs while there is room for them. Backends that are full, or do not answer, get nothing."""
        self._busy = True
        while self._taking and not self._closing:
            full = self._load.full()
            if full and not (self._load.look_elsewhere() and self._waits(full)):
                break
            flight = self._patiently(partial(self._take, full))
            if flight is None:
                break
            self._tell_run(flight.run, Status.PREPARING, flight.attempt.started_at)
            self._start(flight)
        self._busy = False

    def _waits(self, full: Collection[Any] = ()) -> bool:
        return self._patiently(lambda: self._db.waits(self.holder, self._clock.now(), but_not=full))

    def _take(self, full: Collection[Any]) -> Flight | None:
        id, token = uuid.uuid4().hex, uuid.uuid4().hex
        now, seconds = self._clock.now(), self._seconds
        taken = self._db.take_run(self.holder, attempt=id, token=token, now=now, seconds=seconds, but_not=full)
        if taken is None:
            return None
        flight = self._flights[id] = Flight(*taken)
        return flight

    def _start(self, flight: Flight) -> None:
        run, id = flight.run, flight.attempt.id
        if flight.attempt.number > endings.LOSSES:
            lost = endings.losses(self._db.events(run.id), *endings.DEADLY)
            if lost >= endings.LOSSES:
                self._finish(flight, endings.lost_too_often(lost))
                return
        try:
            place = self._backend_of(run)
        except CodabenchError as error:
            self._no_place(flight, error)
            return
        self._load.add(flight, place)
        try:
            plan = self._plan(run, flight.attempt)
            flight.handle = place.submit(
                Work(function=EXECUTE, payload=plan.model_dump(mode="json")),
                key=id,
                on_event=lambda event: self._live(flight, event),
                on_done=lambda handle: self._inbox.put(("done", id, handle)),
            )
        except EngineUnavailable as error:
            self._no_place(flight, error)
        except Exception as error:  # noqa: BLE001 - as in `_done`: a run that cannot be started must end, too
            self._finish(flight, self._machine_failed(run.id, error))

    def _no_place(self, flight: Flight, error: CodabenchError) -> None:
        """This process does not reach the backend: others may. The run fails if nobody does."""
        run, pause = flight.run, self._load.shun(flight.run.backend)
        tried = endings.losses(self._db.events(run.id), endings.NO_PLACE) + 1
        alone = len(self._db.present(self._clock.now())) < 2
        if tried >= (endings.TRIES if alone else endings.TRIES_OF_MANY):
            self._finish(flight, self._machine_failed(run.id, error))
        else:
            self._give_back(flight, endings.NO_PLACE, after=min(pause, 1.0), error=str(error))

    # ------------------------------------------------------------------ what comes
    def _live(self, flight: Flight, event: dict[str, Any]) -> None:
        if event.get("type") == "step":
            self._inbox.put(("event", flight.attempt.id, event))
        self._notify({"run": flight.run.id, "submission": flight.run.submission, "attempt": flight.attempt.id, **event})

    def _step_event(self, attempt: str, event: dict[str, Any]) -> None:
        flight = self._flights.get(attempt)
        if flight is None or event["event"] not in _STEP_EVENTS:
            return
        data = {k: v for k, v in event.items() if k not in ("type", "event", "run", "attempt")}
        self._append(flight, [EventKind(event["event"])], data=data)

    def _append(self, flight: Flight, kinds: list[EventKind], **more: Any) -> None:
        now = self._clock.now()
        who: dict[str, Any] = {"attempt": flight.attempt.id, "token": flight.attempt.token}
        try:
            status = self._patiently(lambda: self._db.append(flight.run.id, kinds, at=now, **who, **more))
        except StateError as error:
            log.warning("an event of attempt %s was refused: %s", flight.attempt.id, error)
            return
        if status is not flight.status:
            flight.status = status
            self._tell_run(flight.run, status, now)

    def _done(self, attempt: str, handle: Handle) -> None:
        flight = self._flights.get(attempt)
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
            self._give_back(flight, endings.CLOSED)
            return
        self._finish(flight, endings.blamed(outcome, flight.blame))

    def _worker_gone(self, flight: Flight, error: WorkLost) -> None:
        """A worker is gone with a run: it goes to another one, unless it had come to a result before."""
        run = flight.run
        result = self._patiently(lambda: self._stored(run.id, flight.attempt.id))
        outcome = endings.counts(result, run)
        if outcome is None and flight.blame is not None:
            outcome = endings.interrupted(Interrupted(error.message), flight.blame)
        if outcome is not None:
            self._finish(flight, outcome)
            return
        lost = endings.losses(self._db.events(run.id), *endings.DEADLY)
        after = endings.back_off(lost) if lost else 0.0
        self._give_back(flight, endings.WORKER_GONE, after=after, error=error.message)

    def _machine_failed(self, run: str, error: BaseException) -> Outcome:
        self.errors[run] = error
        if not isinstance(error, CodabenchError):
            log.error("run %s ended by an internal error", run, exc_info=error)
        return Outcome(status=Status.FAILED, problem=endings.machine_problem(error))

    def _finish(self, flight: Flight, outcome: Outcome) -> None:
        outcome = self._seal(flight.run, outcome)
        self._append(flight, endings.closing_events(flight.status, outcome), outcome=outcome)
        self._drop(flight)

    def _drop(self, flight: Flight) -> None:
        self._load.remove(flight)
        del self._flights[flight.attempt.id]

    def _give_back(self, flight: Flight, why: str, *, after: float = 0.0, **data: str) -> None:
        """The run waits again, for whoever takes it first."""
        now = self._clock.now()
        later = now + timedelta(seconds=after) if after else None
        about: dict[str, Any] = {"at": now, "holder": self.holder, "not_before": later, "data": {"why": why, **data}}
        try:
            self._patiently(lambda: self._db.lose_attempt(flight.run.id, flight.attempt.id, **about))
        except StateError as error:
            log.warning("attempt %s was lost already: %s", flight.attempt.id, error)
        self._drop(flight)
        self._tell_run(flight.run, Status.SUBMITTED, now)

    # ------------------------------------------------------------------ what ends early
    def _cancel(self, run: str, reason: str, fault: Fault) -> None:
        for flight in self._flights.values():
            if flight.run.id == run and flight.blame is None:
                flight.blame = fault
                if flight.handle is not None:
                    flight.handle.cancel(reason)

    def _lost(self, attempts: set[str]) -> None:
        """Others have taken these over, or ended them: what goes on here is stopped and counts for nothing."""
        for flight in [self._flights[id] for id in attempts if id in self._flights]:
            log.warning("run %s is in other hands: this process was not heard of in time", flight.run.id)
            self._drop(flight)
            if flight.handle is not None:
                flight.handle.cancel("another process has taken it over")
            self._tell_run(flight.run, Status.SUBMITTED, self._clock.now())

    def _stop_work(self, why: str, *, only_waiting: bool = False) -> None:
        for flight in tuple(self._flights.values()):
            begun = flight.handle is None or flight.handle.status() is not HandleStatus.WAITING
            if only_waiting and (begun or not self._for_others(flight)):
                continue
            flight.leaving = True
            if flight.handle is not None:
                flight.handle.cancel(why)

    def _for_others(self, flight: Flight) -> bool:
        """Whether other processes can carry it out."""
        return not self._forgets and flight.run.pinned is None

    def _sweep(self) -> None:
        """Look at what others did."""
        self._sweep_at = time.monotonic() + SWEEP_SECONDS
        for run, reason, fault in self._db.cancels(self.holder):
            self._cancel(run, reason, fault)
        self._takeover.look(mine=set(self._flights))
        self._look = self._look or self._waits()
        self._looked = True

    def _tell_run(self, run: Run, status: Status, at: datetime) -> None:
        who = {"run": run.id, "submission": run.submission, "task": run.task}
        self._notify({"type": "status", **who, "status": status, "at": at})
        if status.is_final:
            with self._changed:
                self._changed.notify_all()
