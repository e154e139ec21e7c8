"""Revisions of tasks, and the batches that evaluate submissions again on them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from codabench.core.base import Record
from codabench.core.competition import TaskSpec
from codabench.core.records import Status
from codabench.core.trees import TreeRef


class Revision(Record):
    """A task as it was from a moment on; never changed.

    Attributes
    ----------
    number
        Counts from 1, which is how the competition came.
    trees
        The stored programs and data, by their paths in the bundle.
    """

    competition: str
    task: int | str
    number: int
    spec: TaskSpec
    trees: dict[str, TreeRef]
    note: str = ""
    created_at: datetime


class BatchState(StrEnum):
    """Where a re-evaluation stands."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    PROMOTED = "promoted"
    ABANDONED = "abandoned"


BATCH_STEPS: frozenset[tuple[BatchState, BatchState]] = frozenset(
    [
        (BatchState.PLANNED, BatchState.RUNNING),
        (BatchState.RUNNING, BatchState.DONE),
        (BatchState.DONE, BatchState.RUNNING),
        (BatchState.DONE, BatchState.PROMOTED),
        (BatchState.PLANNED, BatchState.ABANDONED),
        (BatchState.RUNNING, BatchState.ABANDONED),
        (BatchState.DONE, BatchState.ABANDONED),
    ]
)
"""What may follow what. Done goes back to running when what failed is tried again."""


class Batch(Record):
    """A re-evaluation of many runs. Nothing of it is on a board before it is promoted.

    Attributes
    ----------
    key
        Digest of the plan: the same plan, asked for again, finds its batch and continues it.
    plan
        What was planned, as JSON.
    """

    id: str
    competition: str
    key: str
    plan: dict[str, Any]
    state: BatchState = BatchState.PLANNED
    note: str = ""
    created_at: datetime
    promoted_at: datetime | None = None


class BatchRun(Record):
    """One run that a batch does again.

    Attributes
    ----------
    replaces
        The run that boards show now.
    run
        The new run, once it is queued.
    action
        What has to be done: ``score`` only, the ``full`` run, or ``nothing`` because it cannot be done.
    reason
        Why.
    """

    batch: str
    replaces: str
    position: int
    run: str | None = None
    action: Literal["score", "full", "nothing"]
    reason: str = ""


class Evaluated(NamedTuple):
    """A run that boards show and its submission, as plain values: what a plan over many runs asks for.

    Attributes
    ----------
    name, participant, phase, number, tree
        Of the submission; `tree` as JSON.
    options
        How the submission wants to be run, as JSON; few differ.
    outcome
        As JSON; None while the run goes on.
    """

    run: str
    submission: str
    task: int | str
    position: int
    revision: int
    status: Status
    backend: str | None
    name: str
    participant: str
    phase: int
    number: int
    tree: str
    options: str
    outcome: str | None
