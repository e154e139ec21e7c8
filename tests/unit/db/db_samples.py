"""Submissions, runs and attempts for the tests of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from codabench.core.events import EventKind
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.records import Outcome, Run, Status, Submission
from codabench.core.trees import TreeRef
from codabench.db.database import Database

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
TREE = TreeRef(digest="sha256:x", archive="y", size=3, files=1)
K = EventKind
NewUrl = Callable[[], str]


def submission(id: str = "s", *, participant: str = "p", phase: int = 0, at: datetime = AT, **more: Any) -> Submission:
    return Submission(
        id=id, competition="c", phase=phase, name=f"{id}.zip", participant=participant, tree=TREE, created_at=at, **more
    )


def admitted(db: Database, id: str = "s", runs: int = 1, kind: EventKind = K.RUN_QUEUED, **more: Any) -> list[str]:
    made = [Run(id=f"{id}-{n}", submission=id, task=n, position=n, created_at=AT) for n in range(runs)]
    db.add_submission(submission(id, **more), made, kind=kind)
    return [run.id for run in made]


def started(db: Database, run: str, attempt: str = "a1", token: str = "t1") -> dict[str, Any]:
    db.start_attempt(run, attempt=attempt, token=token, at=AT)
    return {"at": AT, "attempt": attempt, "token": token}


def end(db: Database, run: str, kind: EventKind, fault: Fault | None = None) -> None:
    """Fail or cancel a run that waits, by somebody's fault."""
    problem = Problem(code="CB999", severity=Severity.ERROR, message="m", fault=fault)
    status = Status.CANCELLED if kind is K.RUN_CANCELLED else Status.FAILED
    db.append(run, [kind], at=AT, outcome=Outcome(status=status, problem=problem))
