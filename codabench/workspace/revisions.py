"""Revisions of tasks: which programs and data a run is of."""

from __future__ import annotations

from codabench.core.competition import TaskSpec
from codabench.core.records import Run
from codabench.core.trees import TreeRef
from codabench.db.database import Database


def task_of(db: Database, competition: str, run: Run) -> tuple[TaskSpec, dict[str, TreeRef]]:
    """The task of a run as it was when the run was queued, and the stored programs and data by their paths.

    Raises
    ------
    NotFound
        No such competition.
    """
    # In this order: a first revision that comes in between keeps what was read here as revision 1.
    spec, stored = db.competition(competition), db.trees(competition)
    kept = db.revision(competition, run.task, run.revision)
    return (spec.task(run.task), stored) if kept is None else (kept.spec, {**stored, **kept.trees})
