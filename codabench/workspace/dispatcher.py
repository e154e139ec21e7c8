"""The dispatcher: one per workspace, under a lease. It takes queued runs, hands them to a backend, records what comes.

Everything that changes a run's status happens in its thread, so events of a run are recorded in order. Backends and
live events only put messages into its queue.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from codabench.backends.backend import Backend, Handle, Work
from codabench.core.errors import CodabenchError, ImageNotFound, Interrupted, StateError
from codabench.core.events import EventKind
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.records import Attempt, Outcome, Run, Status
from codabench.db.database import Database
from codabench.runner.plan import RunPlan

log = logging.getLogger("codabench.workspace")

LEASE = "dispatcher"
LEASE_SECONDS = 30.0
LINGER_SECONDS = 0.5
_STEP_EVENTS = {kind.value for kind in EventKind}
EXECUTE = "codabench.runner.execute:execute_run"


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


class Flight:
    """An attempt that a backend carries out."""

    def __init__(self, run: Run, attempt: Attempt) -> None:
        self.run, self.attempt = run, attempt
        self.status = Status.PREPARING
        self.handle: Handle | None = None


class Dispatcher:
    """Drives the queued runs of a workspace.

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
    """

    def __init__(
        self,
        db: Database,
        *,
        plan: Callable[[Run, Attempt], RunPlan],
        backend_of: Callable[[Run], Backend],
        notify: Callable[[dict[str, Any]], None],
        seal: Callable[[Run, Outcome], Outcome] = lambda run, outcome: outcome,
    ) -> None:
        self._db, self._plan, self._backend_of, self._notify, self._seal = db, plan, backend_of, notify, seal
        self._token = uuid.uuid4().hex
        self._holder = f"{socket.gethostname()}:{os.getpid()}"
        self._inbox: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        self._flights: dict[str, Flight] = {}
        self._thread: threading.Thread | None = None
        self._resting = False
        self._renew_at = 0.0
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._closing = False
        self._look = True
        self._fatal: BaseException | None = None
        self.errors: dict[str, BaseException] = {}

    # ------------------------------------------------------------------ from any thread
    def wake(self) -> None:
        """There is something to do: start the thread if none runs."""
        with self._lock:
            self._inbox.put(("wake", None, None))
            before = self._thread
            if before is None or self._resting or not before.is_alive():
                self._closing = self._resting = False
                self._fatal = None
                self._thread = threading.Thread(
                    target=self._live_and_die, args=(before,), name="codabench-dispatcher", daemon=True
                )
                self._thread.start()

    def cancel(self, run: str, reason: str) -> None:
        """Cancel a run, waiting or under way; returns at once."""
        self._inbox.put(("cancel", run, reason))
        self.wake()

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

    def nudge(self) -> None:
        """Whoever waits looks again."""
        with self._changed:
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what stopped the dispatcher, if anything did: nothing more will come."""
        if self._fatal is not None:
            raise self._fatal

    def close(self) -> None:
        """Cancel what is under way and wait until the thread has ended."""
        with self._lock:
            thread, self._closing = self._thread, True
        self._inbox.put(("close", None, None))
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # ------------------------------------------------------------------ in the dispatcher's thread
    def _live_and_die(self, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # it may be letting go of the lease
        try:
            self._work()
        except BaseException as error:
            log.error("the dispatcher of this workspace stopped", exc_info=error)
            self._fatal = error
            for flight in self._flights.values():
                if flight.handle:
                    flight.handle.cancel("the dispatcher stopped")
            with self._changed:
                self._changed.notify_all()

    def _work(self) -> None:
        while not self._lease():
            if self._closing:
                return
            self._drain(timeout=0.2)
        try:
            while not self._over():
                if self._look:
                    self._look = False
                    self._start_queued()
                idle = not self._drain(timeout=LEASE_SECONDS / 3 if self._flights else LINGER_SECONDS)
                if time.monotonic() > self._renew_at:
                    self._look = self._lease()  # other processes may have queued something
                if idle and not self._flights and self._rest():
                    return
        finally:
            self._db.release_lease(LEASE, token=self._token)

    def _over(self) -> bool:
        return self._closing and not self._flights

    def _rest(self) -> bool:
        """Nothing to do for a while: end the thread, unless something came in at this very moment."""
        with self._lock:
            self._resting = self._inbox.empty()
            return self._resting

    def _lease(self) -> bool:
        self._renew_at = time.monotonic() + LEASE_SECONDS / 3
        return self._db.take_lease(LEASE, holder=self._holder, token=self._token, now=utc_now(), seconds=LEASE_SECONDS)

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
            self._cancel(key, value)
        elif kind == "close":
            for flight in self._flights.values():
                if flight.handle:
                    flight.handle.cancel("the workspace was closed")

    def _start_queued(self) -> None:
        if self._closing:
            return
        for run in self._db.queued(limit=64):
            try:
                backend = self._backend_of(run)
            except CodabenchError as error:
                self._refuse(run, error)
                continue
            if len(self._flights) >= 2 * backend.info().slots:
                return
            self._start(run, backend)

    def _refuse(self, run: Run, error: CodabenchError) -> None:
        """There is no place where a run could be carried out: it fails, and the others go on."""
        now = utc_now()
        try:
            self._db.append(run.id, [EventKind.RUN_FAILED], at=now, outcome=self._machine_failed(run.id, error))
        except StateError:
            return
        self._tell_run(run, Status.FAILED, now)

    def _start(self, run: Run, backend: Backend) -> None:
        id, token, now = uuid.uuid4().hex, uuid.uuid4().hex, utc_now()
        try:
            attempt = self._db.start_attempt(run.id, attempt=id, token=token, at=now)
        except StateError:
            return
        flight = self._flights[id] = Flight(run, attempt)
        self._tell_run(run, Status.PREPARING, now)
        try:
            plan = self._plan(run, attempt)
            flight.handle = backend.submit(
                Work(function=EXECUTE, payload=plan.model_dump(mode="json")),
                key=id,
                on_event=lambda event: self._live(flight, event),
                on_done=lambda handle: self._inbox.put(("done", id, handle)),
            )
        except Exception as error:  # noqa: BLE001 - as in `_done`: a run that cannot be started must end, too
            self._finish(flight, self._machine_failed(run.id, error))

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
        now = utc_now()
        try:
            status = self._db.append(
                flight.run.id, kinds, at=now, attempt=flight.attempt.id, token=flight.attempt.token, **more
            )
        except StateError as error:
            log.warning("an event of attempt %s was refused: %s", flight.attempt.id, error)
            return
        if status is not flight.status:
            flight.status = status
            self._tell_run(flight.run, status, now)

    def _done(self, attempt: str, handle: Handle) -> None:
        flight = self._flights[attempt]
        try:
            outcome = Outcome.model_validate(handle.result(timeout=0))
        except Interrupted as error:
            outcome = _interrupted(error)
        except Exception as error:  # noqa: BLE001 - the outermost frame of a run: whatever it was, the run must end
            outcome = self._machine_failed(flight.run.id, error)
        self._finish(flight, outcome)

    def _machine_failed(self, run: str, error: BaseException) -> Outcome:
        self.errors[run] = error
        if not isinstance(error, CodabenchError):
            log.error("run %s ended by an internal error", run, exc_info=error)
        return Outcome(status=Status.FAILED, problem=machine_problem(error))

    def _finish(self, flight: Flight, outcome: Outcome) -> None:
        del self._flights[flight.attempt.id]
        outcome = self._seal(flight.run, outcome)
        self._append(flight, closing_events(flight.status, outcome), outcome=outcome)

    def _cancel(self, run: str, reason: str) -> None:
        for flight in self._flights.values():
            if flight.run.id == run and flight.handle is not None:
                flight.handle.cancel(reason)
                return
        now = utc_now()
        try:
            outcome = _interrupted(Interrupted(f"cancelled before it began: {reason}"))
            self._db.append(run, [EventKind.RUN_CANCELLED], at=now, outcome=outcome)
        except StateError:
            return
        self._tell_run(self._db.run(run), Status.CANCELLED, now)

    def _tell_run(self, run: Run, status: Status, at: datetime) -> None:
        who = {"run": run.id, "submission": run.submission, "task": run.task}
        self._notify({"type": "status", **who, "status": status, "at": at})
        if status.is_final:
            with self._changed:
                self._changed.notify_all()


def closing_events(status: Status, outcome: Outcome) -> list[EventKind]:
    """What is still to be recorded, whatever live events were lost on the way."""
    if outcome.status is Status.CANCELLED:
        return [EventKind.RUN_CANCELLED]
    if outcome.status is Status.FAILED:
        return [EventKind.RUN_FAILED]
    missing = [] if status is Status.SCORING else [EventKind.SCORING_STARTED]
    return [*missing, EventKind.RUN_FINISHED]


def machine_problem(error: BaseException) -> Problem:
    """What failed that is not the program, as a problem. An image that does not exist, or comes from a registry that is
    not allowed, is the organizer's to mend."""
    unusable = isinstance(error, ImageNotFound) or getattr(error, "code", "") == "CB362"
    fault = Fault.ORGANIZER if unusable else Fault.OPERATOR
    if isinstance(error, CodabenchError):
        return Problem(code=error.code, severity=Severity.ERROR, message=error.message, hint=error.hint, fault=fault)
    return Problem(
        code="CB699",
        severity=Severity.ERROR,
        message=f"internal error: {type(error).__name__}: {error}",
        hint="please report it; the log of codabench.workspace has the traceback",
        fault=fault,
    )


def _interrupted(error: Interrupted) -> Outcome:
    problem = Problem(code=error.code, severity=Severity.ERROR, message=error.message, fault=Fault.OPERATOR)
    return Outcome(status=Status.CANCELLED, problem=problem)
