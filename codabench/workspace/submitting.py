"""From what somebody submits to a submission with its queued runs."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from codabench.bundle.fact_sheet import check_answers
from codabench.core.competition import CompetitionSpec
from codabench.core.errors import SubmissionRejected, UsageError
from codabench.core.events import EventKind
from codabench.core.records import Run, RunOptions, Submission
from codabench.runner.inline import InlineBackend
from codabench.workspace import admission
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.inline import inline_calls
from codabench.workspace.places import BackendLike
from codabench.workspace.planning import Submitted, is_object, name_of, opened_submission, submission_facts

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.workspace import Workspace

_UNLIMITED = {"max_submissions": None, "max_submissions_per_day": None}


def admitted(
    workspace: Workspace,
    competition: Competition,
    submission: Submitted,
    *,
    phase: int | str | None,
    task: int | str | Sequence[int | str] | None,
    participant: str | None,
    name: str | None,
    fact_sheet: Mapping[str, Any] | None,
    params: Mapping[str, Any] | None,
    backend: BackendLike,
    options: RunOptions,
    enforce: bool,
    limits: bool,
    now: datetime | None,
) -> tuple[Submission, list[Run]]:
    """Store a submission, admit it, and queue a run for each task; see `Workspace.submit`."""
    spec, now = competition.spec, now or utc_now()
    chosen, tasks = admission.aim(spec, submission, phase, task, now)
    person = participant or user_name()
    # Refused before anything is stored, where that is known already; what decides is asked with the insert below.
    rules = chosen if limits else chosen.model_copy(update=_UNLIMITED)
    admit = partial(admission.admit, spec, rules, now) if enforce else None
    if admit is not None:
        admit(workspace.db.submission_times(competition.id, chosen.index, person))
    _check_answers(spec, fact_sheet, enforce=enforce)
    place = workspace.place_for(backend, options.image)
    inline = place if isinstance(place, InlineBackend) else None
    if inline is None and is_object(submission):
        hint = "give a folder or a zip, or backend='inline'"
        raise UsageError(f"a {type(submission).__name__} cannot be put into a container", code="CB692", hint=hint)
    with opened_submission(competition, submission) as source:
        facts = submission_facts(source)
        calls = [inline_calls(competition, t, submission, facts, chosen) for t in tasks] if inline else []
        tree = workspace.storage.put_tree(source)
    workspace.trees.keep(competition, tasks, inline=inline is not None)
    workspace._attach(competition)
    made = Submission(
        id=uuid.uuid4().hex,
        competition=competition.id,
        phase=chosen.index,
        name=name or name_of(submission),
        participant=person,
        tree=tree,
        created_at=now,
        tasks=tuple(t.index for t in tasks),
        fact_sheet=None if fact_sheet is None and params is None else {**(fact_sheet or {}), **(params or {})},
        options=options,
    )
    word, pinned = workspace.word_for(backend, place)
    newest = workspace.db.newest_revisions(competition.id)
    about: dict[str, Any] = {"submission": made.id, "created_at": now, "backend": word, "pinned": pinned}
    runs = [
        Run(id=uuid.uuid4().hex, task=t.index, position=n, revision=newest.get(t.index, 1), **about)
        for n, t in enumerate(tasks)
    ]
    workspace.plans.learn(made.id, facts)
    for run in runs:
        if place is not None:
            workspace.places.assign(run.id, place)
        if inline is not None:
            inline.expect(run.id, calls[run.position])
    # A rule of the phase like its dates: where those do not hold, nobody waits for an organizer either.
    held = enforce and not spec.auto_run_submissions
    kind = EventKind.RUN_HELD if held else EventKind.RUN_QUEUED
    return workspace.db.add_submission(made, runs, kind=kind, admit=admit), runs


def _check_answers(spec: CompetitionSpec, answers: Mapping[str, Any] | None, *, enforce: bool) -> None:
    if answers is None and not enforce:
        return
    problems = check_answers(spec.fact_sheet, dict(answers) if answers is not None else None)
    if problems:
        listed = "; ".join(p.message for p in problems)
        raise SubmissionRejected(f"the fact sheet is not complete: {listed}", code="CB334")


def user_name() -> str:
    """Who runs this process, as far as that can be told."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "me"
