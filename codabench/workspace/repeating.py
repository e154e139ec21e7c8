"""Submissions that are run once more: again, on another task, in another phase."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from codabench.core.competition import CompetitionSpec, PhaseSpec, TaskSpec
from codabench.core.errors import StateError, UsageError
from codabench.core.events import EventKind
from codabench.core.records import Run, Submission
from codabench.core.text import printable
from codabench.runner.inline import NAME as INLINE
from codabench.workspace import admission
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.handles import SubmissionHandle
from codabench.workspace.places import BackendLike

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace


def rerun(
    workspace: Workspace,
    before: SubmissionHandle,
    *,
    backend: BackendLike,
    task: int | str | Sequence[int | str] | None,
    phase: int | str | None,
    aside: bool,
) -> SubmissionHandle:
    """What `Workspace.rerun` does."""
    competition, record = before.competition, before.record
    if record.deleted_at is not None:
        message = f"submission {printable(record.name)!r} was deleted, and its files may be gone"
        raise StateError(message, code="CB714", hint="submit its files again")
    workspace._fresh(competition)
    chosen, tasks = aim(competition.spec, record, task, phase)
    word = backend if backend is not None else before.runs[0].record.backend if before.runs else None
    if word == INLINE:
        hint = "name where its files are to be run, such as backend='process', or submit the object again"
        raise UsageError("it was an object of Python, which is not kept", code="CB691", hint=hint)
    made = copy_of(record, chosen, tasks, kind="aside" if aside else "rerun", id=uuid.uuid4().hex)
    place = workspace.place_for(word, record.options.image)
    name, pinned = workspace.word_for(word, place)
    runs = runs_of(workspace, made, backend=name, pinned=pinned)
    for run in runs:
        if place is not None:
            workspace.places.assign(run.id, place)
    kept = workspace.db.add_submission(made, runs, kind=EventKind.RUN_QUEUED)
    workspace._wake()
    return SubmissionHandle(workspace, competition, kept, runs)


def aim(
    spec: CompetitionSpec,
    before: Submission,
    task: int | str | Sequence[int | str] | None,
    phase: int | str | None,
) -> tuple[PhaseSpec, tuple[TaskSpec, ...]]:
    """The phase and the tasks of a submission that is run again: its own, unless others are named.

    A task may be any of the competition, also one that the phase does not have (contract.md 4.14).
    """
    chosen = spec.phases[before.phase] if phase is None else admission.find_phase(spec, phase)
    if task is not None:
        wanted = [task] if isinstance(task, (int, str)) else task
        named = [admission.pick(spec.tasks, w, "task", lambda t: t.index, lambda t: t.name) for w in wanted]
        return chosen, tuple(t for t in spec.tasks if t in named)
    if chosen.index != before.phase:
        return chosen, admission.find_tasks(spec, chosen, None)
    return chosen, tuple(spec.task(index) for index in before.tasks)


def copy_of(
    before: Submission,
    phase: PhaseSpec,
    tasks: Sequence[TaskSpec],
    *,
    kind: Literal["rerun", "aside", "migration"],
    id: str,
) -> Submission:
    """The same files of the same participant, as a submission of its own."""
    return before.model_copy(
        update={
            "id": id,
            "phase": phase.index,
            "tasks": tuple(t.index for t in tasks),
            "created_at": utc_now(),
            "options": before.options.model_copy(update={"keep": False}),
            "origin": before.id,
            "origin_kind": kind,
        }
    )


def runs_of(workspace: Workspace, submission: Submission, **more: Any) -> list[Run]:
    """New runs of a submission, one for each of its tasks, on their newest revisions."""
    newest = workspace.db.newest_revisions(submission.competition)
    about: dict[str, Any] = {"submission": submission.id, "created_at": submission.created_at, **more}
    return [
        Run(id=uuid.uuid4().hex, task=index, position=n, revision=newest.get(index, 1), **about)
        for n, index in enumerate(submission.tasks)
    ]
