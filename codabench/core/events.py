"""Status events and the table of legal transitions.

The status of a run is the fold of its events. Storing an event and the status it leads to is one transaction; the
column is a cache of the fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from codabench.core.base import Record
from codabench.core.errors import StateError
from codabench.core.records import Status


class EventKind(StrEnum):
    """What can happen to a run."""

    RUN_HELD = "RunHeld"
    RUN_QUEUED = "RunQueued"
    ATTEMPT_STARTED = "AttemptStarted"
    ATTEMPT_LOST = "AttemptLost"
    PREDICTION_STARTED = "PredictionStarted"
    PREDICTION_FINISHED = "PredictionFinished"
    SCORING_STARTED = "ScoringStarted"
    SCORING_FINISHED = "ScoringFinished"
    SCORES_PARSED = "ScoresParsed"
    RUN_FINISHED = "RunFinished"
    RUN_FAILED = "RunFailed"
    RUN_CANCELLED = "RunCancelled"


class StatusEvent(Record):
    """One row of a run's history.

    Attributes
    ----------
    sequence
        Counts from 1 within the run.
    attempt
        The attempt that reports it; None for what the workspace itself decides.
    """

    run: str
    sequence: int
    kind: EventKind
    at: datetime
    attempt: str | None = None
    data: dict[str, Any] = {}


_S, _K = Status, EventKind
_LIVE = (_S.PREPARING, _S.RUNNING, _S.SCORING)

TRANSITIONS: dict[tuple[Status | None, EventKind], Status] = {
    (None, _K.RUN_HELD): _S.SUBMITTING,
    (None, _K.RUN_QUEUED): _S.SUBMITTED,
    (_S.SUBMITTING, _K.RUN_QUEUED): _S.SUBMITTED,
    (_S.SUBMITTED, _K.ATTEMPT_STARTED): _S.PREPARING,
    (_S.PREPARING, _K.PREDICTION_STARTED): _S.RUNNING,
    (_S.RUNNING, _K.PREDICTION_FINISHED): _S.RUNNING,
    (_S.PREPARING, _K.SCORING_STARTED): _S.SCORING,
    (_S.RUNNING, _K.SCORING_STARTED): _S.SCORING,
    (_S.SCORING, _K.SCORING_FINISHED): _S.SCORING,
    (_S.SCORING, _K.SCORES_PARSED): _S.SCORING,
    (_S.SCORING, _K.RUN_FINISHED): _S.FINISHED,
    (_S.SUBMITTED, _K.RUN_FAILED): _S.FAILED,
    (_S.SUBMITTING, _K.RUN_CANCELLED): _S.CANCELLED,
    (_S.SUBMITTED, _K.RUN_CANCELLED): _S.CANCELLED,
    **{(s, _K.ATTEMPT_LOST): _S.SUBMITTED for s in _LIVE},
    **{(s, _K.RUN_FAILED): _S.FAILED for s in _LIVE},
    **{(s, _K.RUN_CANCELLED): _S.CANCELLED for s in _LIVE},
}
"""(status before, event) -> status after. What is not here is not legal; final statuses have no way out."""


def next_status(status: Status | None, kind: EventKind) -> Status:
    """The status after an event.

    Raises
    ------
    StateError
        If the table has no such transition.
    """
    try:
        return TRANSITIONS[status, kind]
    except KeyError:
        raise StateError(f"a run that is {status or 'new'} cannot take the event {kind}") from None


def fold(events: Iterable[StatusEvent]) -> Status | None:
    """The status that a history leads to; None for an empty one."""
    status: Status | None = None
    for event in events:
        status = next_status(status, event.kind)
    return status


def submission_status(runs: Iterable[Status]) -> tuple[Status, bool]:
    """Status of a submission from its runs, and whether it is incomplete.

    Finished when every run finished, Failed when every run failed, Cancelled when every run was; a final mixture with
    a finished run is Finished and incomplete (architecture.md section 4).
    """
    statuses = list(runs)
    if not statuses:
        return Status.SUBMITTING, False
    if all(s.is_final for s in statuses):
        if all(s is Status.FINISHED for s in statuses):
            return Status.FINISHED, False
        if Status.FINISHED in statuses:
            return Status.FINISHED, True
        return (Status.FAILED if Status.FAILED in statuses else Status.CANCELLED), False
    order = [Status.SCORING, Status.RUNNING, Status.PREPARING]
    active = next((s for s in order if s in statuses), None)
    if active is None and any(s.is_final for s in statuses):
        active = Status.RUNNING
    return active or (Status.SUBMITTED if Status.SUBMITTED in statuses else Status.SUBMITTING), False
