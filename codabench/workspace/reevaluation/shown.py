"""Which runs boards show: those of batches, and what their readers should know of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

from codabench.core.evaluations import Batch, BatchState
from codabench.core.records import Run, Status
from codabench.core.text import plural, printable

if TYPE_CHECKING:
    from codabench.db.database import Database
    from codabench.workspace.workspace import Workspace

Side = Literal["before", "after"]
Shown = dict[tuple[str, int | str], Run]
"""(submission, task) -> the run that a board shows instead of the one that it would show."""


def runs_on(workspace: Workspace, batch: Batch, side: Side) -> Shown:
    """Which runs the board of a batch shows: what boards show now, but for these."""
    db = workspace.db
    rows = db.batch_runs(batch.id, statuses=[Status.FINISHED])
    if side == "after":
        ids = [row.run for row in rows if row.run is not None]
    else:
        # Before it was promoted, boards show what was there before.
        ids = [row.replaces for row in rows] if batch.state is BatchState.PROMOTED else []
    return {(run.submission, run.task): run for run in map(db.run, ids)}


def revision_notes(db: Database, runs: list[Run]) -> list[str]:
    """What a reader of a board should know of revisions: what was re-evaluated, and where several are mixed."""
    notes = []
    batches = Counter(run.batch for run in runs if run.batch is not None)
    for id, count in batches.items():
        batch = db.batch(id)
        when = f" on {batch.promoted_at:%Y-%m-%d}" if batch.promoted_at else ", not promoted"
        why = f": {printable(batch.note)}" if batch.note else ""
        notes.append(f"{plural(count, 'run')} re-evaluated (batch {id[:8]}{when}){why}")
    for task in dict.fromkeys(run.task for run in runs):
        numbers = Counter(run.revision for run in runs if run.task == task)
        if len(numbers) > 1:
            each = ", ".join(f"{plural(numbers[n], 'run')} of revision {n}" for n in sorted(numbers))
            notes.append(f"task {task} was scored on several revisions: {each}")
    return notes
