"""The receipt of a run, from what the workspace keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codabench.backends.sandbox_view import ROOTFS
from codabench.core.errors import UsageError
from codabench.core.records import Status
from codabench.workspace.finding import short
from codabench.workspace.receipts import Named, Provenance, Receipt, RevisedTask, Submitted, Titled
from codabench.workspace.revisions import task_of

if TYPE_CHECKING:
    from codabench.workspace.handles import RunHandle
    from codabench.workspace.workspace import Workspace


def receipt_of(workspace: Workspace, run: RunHandle) -> Receipt:
    """See `RunHandle.receipt`."""
    record, outcome = run.record, run.outcome
    if outcome is None or record.status is not Status.FINISHED:
        raise UsageError(
            f"run {short(run.id)} has no receipt: it is {record.status.value}",
            code="CB381",
            hint="only a finished run has scores that can be verified",
        )
    if not run.isolated:
        raise UsageError(
            f"run {short(run.id)} has no receipt: functions were called in the process of its caller",
            code="CB381",
            hint="run the same with backend='docker'",
        )
    submission = workspace.db.submission(record.submission)
    spec = workspace.db.competition(submission.competition)
    phase, (task, _) = spec.phases[submission.phase], task_of(workspace.db, submission.competition, record)
    return Receipt(
        run=run.id,
        competition=Titled(title=spec.title),
        phase=Named(index=phase.index, name=phase.name),
        task=RevisedTask(index=task.index, name=task.name, revision=record.revision),
        submission=Submitted(name=submission.name),
        finished_at=record.finished_at,
        scores=run.scores,
        provenance=Provenance.model_validate(without_paths(outcome.provenance)),
    )


def without_paths(provenance: dict[str, Any]) -> dict[str, Any]:
    """Provenance for others: a file system that is a directory of this host is called by the last part of its path."""
    image = provenance["image"]
    if not image["name"].startswith(ROOTFS):
        return provenance
    name = ROOTFS + image["name"].rstrip("/").rpartition("/")[2]
    shown = image | {"name": name, "id": name + image["id"].removeprefix(image["name"])}
    return provenance | {"image": shown}
