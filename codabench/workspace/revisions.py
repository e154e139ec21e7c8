"""Revisions of tasks: which there are, and which programs and data a run is of."""

from __future__ import annotations

from collections.abc import Iterable

from codabench.core.competition import CompetitionSpec, TaskSpec
from codabench.core.evaluations import Revision
from codabench.core.records import Run
from codabench.core.trees import TreeRef
from codabench.db.competitions import Kept
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
    return revised(spec, stored, run, db.revision(competition, run.task, run.revision))


def revised(
    spec: CompetitionSpec, stored: dict[str, TreeRef], run: Run, kept: Revision | None
) -> tuple[TaskSpec, dict[str, TreeRef]]:
    """The task of a run by its revision, which has been read after the competition; None: it was never changed."""
    return (spec.task(run.task), stored) if kept is None else (kept.spec, {**stored, **kept.trees})


def revisions_of(competition: str, kept: Kept, task: TaskSpec, changed: Iterable[Revision]) -> list[Revision]:
    """The revisions of a task, oldest first; of one that was never changed how it came.

    Parameters
    ----------
    changed
        All that are in the database.
    """
    found = [revision for revision in changed if revision.task == task.index]
    names = {part.tree for part in task.parts.values()}
    trees = {name: ref for name, ref in kept.trees.items() if name in names}
    came = Revision(
        competition=competition, task=task.index, number=1, spec=task, trees=trees, created_at=kept.created_at
    )
    return found or [came]
