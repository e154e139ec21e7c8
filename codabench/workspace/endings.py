"""How runs end that no outcome of a program ends: machines that failed, processes that are gone, cancelling. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from codabench.core.errors import CodabenchError, ImageNotFound, Interrupted
from codabench.core.events import EventKind, StatusEvent
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.records import Outcome, Run, Status

LOSSES = 3
"""So many attempts may be lost with the process that drove them; then the run is held to be the cause."""
TRIES, TRIES_OF_MANY = 3, 10
"""So often a run is offered to processes that do not reach its backend: where one is there, where there are more."""
_BACK_OFF = 5.0

GONE, SILENT, NO_PLACE, CLOSED, NO_ROOM = "gone", "silent", "no place", "closed", "no room"
WORKER_GONE, NOT_BEGUN = "worker gone", "worker gone before it began"
"""Why an attempt was lost, as its event says."""
DEADLY = (GONE, SILENT, WORKER_GONE)
"""Of these the run itself may be the cause."""


def losses(history: Iterable[StatusEvent], *why: str) -> int:
    """How many attempts were lost, for one of these reasons."""
    return sum(event.kind is EventKind.ATTEMPT_LOST and event.data.get("why") in why for event in history)


def back_off(lost: int) -> float:
    """Seconds until a run is tried again, of which so many attempts were lost before this one."""
    return _BACK_OFF * (2.0**lost - 1)


def counts(result: dict[str, Any] | None, run: Run) -> Outcome | None:
    """The outcome that a lost attempt left in storage, if it is one.

    An attempt that was cancelled because its process ended has come to nothing, unless somebody wanted that.
    """
    if result is None:
        return None
    try:
        outcome = Outcome.model_validate(result)
    except ValueError:
        return None
    if outcome.status is Status.CANCELLED:
        return blamed(outcome, run.cancel_fault) if run.cancel_reason is not None else None
    return outcome


def closing_events(status: Status, outcome: Outcome) -> list[EventKind]:
    """What is still to be recorded, whatever live events were lost on the way."""
    if outcome.status is Status.CANCELLED:
        return [EventKind.RUN_CANCELLED]
    if outcome.status is Status.FAILED:
        return [EventKind.RUN_FAILED]
    missing = [] if status is Status.SCORING else [EventKind.SCORING_STARTED]
    return [*missing, EventKind.RUN_FINISHED]


def blamed(outcome: Outcome, fault: Fault | None) -> Outcome:
    """The outcome of a run that was cancelled, with who did it."""
    if fault is None or outcome.status is not Status.CANCELLED or outcome.problem is None:
        return outcome
    return outcome.model_copy(update={"problem": outcome.problem.model_copy(update={"fault": fault})})


def interrupted(error: Interrupted, fault: Fault = Fault.OPERATOR) -> Outcome:
    """Cancelled where no program ran."""
    return _ended(Status.CANCELLED, error.code, error.message, fault=fault)


def cancelled_before(reason: str, fault: Fault) -> Outcome:
    """Cancelled while it waited."""
    return interrupted(Interrupted(f"cancelled before it began: {reason}"), fault)


def process_gone(holder: str) -> Outcome:
    """Pinned to a process that has ended."""
    text = f"only the process {holder} could carry it out, which has ended"
    hint = "submit it again; what is submitted with a word as backend ('docker') any process can carry out"
    return _ended(Status.CANCELLED, "CB631", text, hint=hint)


def lost_too_often(lost: int) -> Outcome:
    """Every process that drove it is gone."""
    text = f"{lost} attempts were lost: each time the process that drove it ended or was not heard of any more"
    hint = "look at the logs of these processes and at the memory of their machines before you run it again"
    return _ended(Status.FAILED, "CB632", text, hint=hint)


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


def _ended(
    status: Status, code: str, message: str, *, fault: Fault = Fault.OPERATOR, hint: str | None = None
) -> Outcome:
    problem = Problem(code=code, severity=Severity.ERROR, message=message, hint=hint, fault=fault)
    return Outcome(status=status, problem=problem)
