"""Submissions on a site that come to something without being carried out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from codabench.core.events import EventKind as K
from codabench.core.hosting import Posted
from codabench.core.records import Outcome, Run, Status
from codabench.site.actors import Actor
from codabench.site.finding import child_key
from codabench.site.numbers import Kind
from codabench.site.site import Site

ENDS = {Status.FINISHED: K.RUN_FINISHED, Status.FAILED: K.RUN_FAILED}


def submitted(site: Site, competition: str, actor: Actor, *, specific: bool = False, **options: Any) -> str:
    """The id of a submission of this actor; nobody asks whether it may."""
    files = {"answer.csv": "1\n"}
    opened = site.workspace.competition(competition)
    given: dict[str, Any] = {"participant": actor.participant, "name": "answer.zip", "phase": 0, "enforce": False}
    made = site.workspace.submit(opened, files, **{**given, **options})
    opened.close()
    site.db.post(Posted(submission=made.id, is_specific_task=specific))
    return made.id


def over(site: Site, run: Run, scores: Mapping[str, float] | None = None, **outcome: Any) -> None:
    """A run ends: with scores it has finished."""
    status = Status.FAILED if scores is None else Status.FINISHED
    at = max(run.created_at, datetime.now(run.created_at.tzinfo)) + timedelta(milliseconds=1)
    me: dict[str, Any] = {"attempt": f"a-{run.id}", "token": "t", "at": at}
    site.db.start_attempt(run.id, **me)
    steps = [K.SCORING_STARTED, ENDS[status]]
    site.db.append(run.id, steps, outcome=Outcome(status=status, scores=dict(scores or {}), **outcome), **me)


def scored(
    site: Site, competition: str, actor: Actor, *scores: Mapping[str, float] | None, board: bool = True, **options: Any
) -> str:
    """A submission that has ended: with these scores on its tasks, in their order; None: it failed on that one."""
    id = submitted(site, competition, actor, **options)
    for run, written in zip(site.db.runs_of(id), scores, strict=True):
        over(site, run, written)
    if board:
        site.workspace.choose(id)
    return id


def number(site: Site, submission: str, place: int | None = None) -> int:
    """The number of a submission, or of the part of it on a task."""
    return site.numbers.of(Kind.SUBMISSION, submission if place is None else child_key(submission, place))
