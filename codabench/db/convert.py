"""Records as rows and rows as records."""

from __future__ import annotations

import json
from typing import Any

from codabench.core.evaluations import Batch, BatchRun, Revision
from codabench.core.events import EventKind, StatusEvent
from codabench.core.records import Attempt, HandScore, Outcome, Run, RunOptions, StepRecord, Submission
from codabench.core.trees import TreeRef


def submission_row(submission: Submission) -> dict[str, Any]:
    row = submission.model_dump()
    row["tree"] = submission.tree.model_dump_json()
    row["tasks"] = json.dumps(submission.tasks)
    row["fact_sheet"] = json.dumps(submission.fact_sheet)
    row["options"] = submission.options.model_dump_json()
    return row


def submission_from(row: Any) -> Submission:
    return Submission(
        id=row.id,
        competition=row.competition,
        phase=row.phase,
        name=row.name,
        participant=row.participant,
        number=row.number,
        tree=TreeRef.model_validate_json(row.tree),
        tasks=tuple(json.loads(row.tasks)),
        fact_sheet=json.loads(row.fact_sheet),
        options=RunOptions.model_validate_json(row.options),
        created_at=row.created_at,
        deleted_at=row.deleted_at,
        deletion=row.deletion,
        origin=row.origin,
        origin_kind=row.origin_kind,
    )


_PLAIN = (
    "id", "submission", "position", "created_at", "revision", "priority", "scoring_only", "shown", "pinned", "batch",
    "fault", "cancel_reason", "cancel_fault", "not_before", "finished_at",
)  # fmt: skip
"""Fields of a run that are columns as they are."""


def run_row(run: Run, submission: Submission) -> dict[str, Any]:
    """A new run: its status and its number come from its first event."""
    row = {name: getattr(run, name) for name in _PLAIN}
    row |= {"task": json.dumps(run.task), "backend": None if run.backend is None else json.dumps(run.backend)}
    return row | {"competition": submission.competition, "participant": submission.participant}


def run_from(row: Any) -> Run:
    return Run(
        **{name: getattr(row, name) for name in _PLAIN},
        task=json.loads(row.task),
        status=row.status,
        sequence=row.last_event,
        attempt=row.attempt,
        outcome=Outcome.model_validate_json(row.outcome) if row.outcome else None,
        backend=json.loads(row.backend) if row.backend else None,
    )


def attempt_from(row: Any) -> Attempt:
    return Attempt(**{name: getattr(row, name) for name in Attempt.model_fields})


def event_row(event: StatusEvent) -> dict[str, Any]:
    return event.model_dump() | {"kind": event.kind.value, "data": json.dumps(event.data)}


def event_from(row: Any) -> StatusEvent:
    return StatusEvent(
        run=row.run,
        sequence=row.sequence,
        kind=EventKind(row.kind),
        at=row.at,
        attempt=row.attempt,
        data=json.loads(row.data),
    )


def hand_score_from(row: Any) -> HandScore:
    return HandScore(**{name: getattr(row, name) for name in HandScore.model_fields})


def step_rows(run: str, attempt: str, outcome: Outcome) -> list[dict[str, Any]]:
    """The steps of an outcome that can be found again."""
    return [
        {
            "attempt": attempt,
            "name": step.name,
            "run": run,
            "digest": step.digest,
            "ok": bool(step.exits) and all(end.ok for end in step.exits.values()),
            "output": step.output.model_dump_json() if step.output else None,
            "seconds": step.seconds,
            "reused_from": step.reused_from,
        }
        for step in outcome.steps
        if step.digest
    ]


def step_from(row: Any) -> StepRecord:
    return StepRecord(
        run=row.run,
        attempt=row.attempt,
        name=row.name,
        digest=row.digest,
        ok=row.ok,
        output=TreeRef.model_validate_json(row.output) if row.output else None,
        seconds=row.seconds,
        reused_from=row.reused_from,
    )


def revision_row(revision: Revision) -> dict[str, Any]:
    return {
        "competition": revision.competition,
        "task": json.dumps(revision.task),
        "number": revision.number,
        "spec": revision.spec.model_dump_json(),
        "trees": json.dumps({path: ref.model_dump(mode="json") for path, ref in revision.trees.items()}),
        "note": revision.note,
        "created_at": revision.created_at,
    }


def revision_from(row: Any) -> Revision:
    return Revision(
        competition=row.competition,
        task=json.loads(row.task),
        number=row.number,
        spec=json.loads(row.spec),
        trees=json.loads(row.trees),
        note=row.note,
        created_at=row.created_at,
    )


def batch_from(row: Any) -> Batch:
    return Batch(
        **{name: getattr(row, name) for name in Batch.model_fields if name != "plan"}, plan=json.loads(row.plan)
    )


def batch_run_from(row: Any) -> BatchRun:
    return BatchRun(**{name: getattr(row, name) for name in BatchRun.model_fields})
