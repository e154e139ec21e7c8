"""What a transaction writes of runs, gathered: each table is written once, however many runs there are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, update
from sqlalchemy.exc import IntegrityError

from codabench.core.errors import StateError
from codabench.core.events import EventKind, StatusEvent, next_status
from codabench.core.records import Attempt, Outcome, Status
from codabench.db.connection import Found
from codabench.db.convert import event_row, step_rows
from codabench.db.tables import ATTEMPT, EVENT, RUN, STEP

# Built once: putting a statement together costs more than carrying it out.
_ADVANCE = (
    update(RUN)
    .where(RUN.c.id == bindparam("id_"), RUN.c.last_event == bindparam("seen"))
    .values(
        status=bindparam("status_"),
        last_event=bindparam("sequence_"),
        attempt=bindparam("attempt_"),
        finished_at=bindparam("finished_at_"),
    )
)
_KEEP = (
    update(RUN)
    .where(RUN.c.id == bindparam("id_"))
    .values(outcome=bindparam("outcome_"), fault=bindparam("fault_"), scores=bindparam("scores_"))
)
_ADD_ATTEMPT, _ADD_EVENT, _ADD_STEP = insert(ATTEMPT), insert(EVENT), insert(STEP)


class Happened(NamedTuple):
    """A status event before it has a number."""

    kind: EventKind
    at: datetime
    data: Mapping[str, Any] = {}


class Told(NamedTuple):
    """What an attempt has to tell of its run, in order.

    Attributes
    ----------
    seen
        The number of the last event of the run before these.
    status
        The status that these lead to.
    outcome
        Kept with the last of them.
    """

    run: str
    attempt: str
    token: str
    seen: int
    happened: Sequence[Happened]
    status: Status
    outcome: Outcome | None = None


class Writing:
    """Gathers what becomes of runs whose rows this transaction has read and holds; `carry_out` writes it."""

    def __init__(self) -> None:
        self._attempts: list[dict[str, Any]] = []
        self._advances: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._kept: list[dict[str, Any]] = []
        self._steps: list[dict[str, Any]] = []

    def begin(self, row: Found, attempt: Attempt) -> None:
        """An attempt begins."""
        self._attempts.append(attempt.model_dump())
        self.advance(row, [Happened(EventKind.ATTEMPT_STARTED, attempt.started_at)], attempt.id)

    def advance(self, row: Found, happened: Sequence[Happened], reporter: str | None) -> Status:
        """Events of a run; returns the status that they lead to.

        Raises
        ------
        StateError
            If the table of transitions forbids it.
        """
        status, events = Status(row.status), []
        for sequence, (kind, at, data) in enumerate(happened, row.last_event + 1):
            status = next_status(status, kind)
            events.append(StatusEvent(run=row.id, sequence=sequence, kind=kind, at=at, attempt=reporter, data=data))
        last = happened[-1]
        self._events += [event_row(event) for event in events]
        self._advances.append(
            {
                "id_": row.id,
                "seen": row.last_event,
                "status_": status.value,
                "sequence_": row.last_event + len(events),
                # Nobody's word counts while a run waits.
                "attempt_": None if last.kind is EventKind.ATTEMPT_LOST else reporter or row.attempt,
                "finished_at_": last.at if status.is_final else None,
            }
        )
        return status

    def keep(self, run: str, attempt: str | None, status: Status, outcome: Outcome) -> None:
        """What came of a run."""
        fault = outcome.problem.fault if outcome.problem else None
        scores = json.dumps(outcome.scores) if status is Status.FINISHED else None
        kept = {"outcome_": outcome.model_dump_json(), "fault_": fault, "scores_": scores}
        self._kept.append({"id_": run, **kept})
        self._steps += step_rows(run, attempt, outcome) if attempt else []

    def carry_out(self, db: Connection) -> None:
        """Write it.

        Raises
        ------
        StateError
            If a run has changed since its row was read.
        """
        _all(db, _ADD_ATTEMPT, self._attempts)
        if _all(db, _ADVANCE, self._advances) != len(self._advances):
            raise StateError(f"{_named(self._advances)} was changed by somebody else")
        try:
            _all(db, _ADD_EVENT, self._events)
        except IntegrityError as error:
            raise StateError(f"{_named(self._advances)} was changed by somebody else") from error
        _all(db, _KEEP, self._kept)
        _all(db, _ADD_STEP, self._steps)


def _all(db: Connection, statement: Any, rows: list[dict[str, Any]]) -> int:
    return db.execute(statement, rows).rowcount if rows else 0


def _named(advances: list[dict[str, Any]]) -> str:
    many = len(advances)
    return f"run {advances[0]['id_']}" if many == 1 else f"one of {many} runs"
