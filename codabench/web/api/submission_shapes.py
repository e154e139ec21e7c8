"""Submissions as clients of Codabench read them (platform.md 3.4, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from codabench.leaderboard.exports import full
from codabench.site.links import HOUR
from codabench.site.numbers import Kind, joined
from codabench.site.showing import Shown, ShownScore, ShownTask
from codabench.web.api.common import wire
from codabench.web.api.shapes import Leaderboard, Score, leaderboard_of

if TYPE_CHECKING:
    from codabench.site.board_rows import BoardHead
    from codabench.site.site import Site
    from codabench.site.submission_files import Details as FoundDetails
    from codabench.site.submission_files import FileTicket


class Allowed(BaseModel):
    """Whether one may submit, and why not."""

    can: bool
    reason: str | None


class TaskOfSubmission(BaseModel):
    """The task that a submission ran on. Keys of programs and data are told to those who may have them."""

    id: int | None
    name: str
    description: str
    key: str | None
    created_by: int | None
    created_when: str | None
    is_public: bool
    ingestion_only_during_scoring: bool
    validated: bool = False
    input_data: str | None
    ingestion_program: str | None
    reference_data: str | None
    scoring_program: str | None
    shared_with: list[int]


class Submission(BaseModel):
    """A submission, or what it is on one of several tasks."""

    id: int
    pk: int
    phase: int
    phase_name: str
    name: str
    filename: str
    description: str
    created_when: str
    is_public: bool
    is_specific_task_re_run: bool
    status: str
    status_details: str | None
    owner: str
    has_children: bool
    parent: int | None
    children: list[int]
    scores: list[Score]
    fact_sheet_answers: dict[str, Any] | None
    leaderboard: int | None
    on_leaderboard: bool
    task: TaskOfSubmission | None
    auto_run: bool
    can_make_submissions_public: bool
    is_soft_deleted: bool


class Created(BaseModel):
    """What a new submission is answered with."""

    id: int
    data: str
    phase: int
    status: str
    status_details: str | None
    filename: str
    description: str
    md5: None = None
    fact_sheet_answers: dict[str, Any] | None
    organization: int | None
    queue: None = None
    created_when: str
    scores: list[Score]


class Log(BaseModel):
    """What a program of a submission wrote, and where it can be had."""

    name: str
    data_file: str


class Details(BaseModel):
    """Files of a submission: addresses that work by themselves, for an hour."""

    logs: list[Log]
    data_file: str | None
    prediction_result: str | None
    detailed_result: str | None
    scoring_result: str | None
    leaderboards: list[Leaderboard] | None
    fact_sheet_answers: dict[str, Any] | None


def submissions_of(site: Site, found: Sequence[Shown]) -> list[Submission]:
    """Submissions in this order."""
    keys = {each.competition: joined(each.competition, 0) for each in found if each.on_board}
    numbers = site.numbers.many(Kind.BOARD, keys.values())
    boards = {competition: numbers[key] for competition, key in keys.items()}
    return [_submission(each, boards.get(each.competition)) for each in found]


def _submission(shown: Shown, board: int | None) -> Submission:
    return Submission(
        id=shown.number,
        pk=shown.number,
        phase=shown.phase_number,
        phase_name=shown.phase_name,
        name=shown.name,
        filename=shown.file_name or "Deleted File",
        description=shown.description,
        created_when=wire(shown.created_at),
        is_public=shown.is_public,
        is_specific_task_re_run=shown.is_task_rerun,
        status=shown.status.value,
        status_details=shown.status_details,
        owner=shown.owner_name,
        has_children=shown.has_children,
        parent=shown.parent,
        children=list(shown.children),
        scores=[score_of(each) for each in shown.scores],
        fact_sheet_answers=None if shown.fact_sheet is None else dict(shown.fact_sheet),
        leaderboard=board if shown.on_board else None,
        on_leaderboard=shown.on_board,
        task=None if shown.task is None else _task(shown.task),
        auto_run=shown.auto_run,
        can_make_submissions_public=shown.can_be_published,
        is_soft_deleted=shown.is_deleted,
    )


def _task(task: ShownTask) -> TaskOfSubmission:
    return TaskOfSubmission(
        id=task.number,
        name=task.name,
        description=task.description,
        key=task.key,
        created_by=task.owner,
        created_when=task.created_at and wire(task.created_at),
        is_public=task.is_public,
        ingestion_only_during_scoring=task.ingestion_only_during_scoring,
        input_data=task.parts.get("input_data"),
        ingestion_program=task.parts.get("ingestion_program"),
        reference_data=task.parts.get("reference_data"),
        scoring_program=task.parts.get("scoring_program"),
        shared_with=sorted(task.shared_with),
    )


def created(shown: Shown, data: str) -> Created:
    return Created(
        id=shown.number,
        data=data,
        phase=shown.phase_number,
        status="Submitting",
        status_details=None,
        filename=shown.file_name or "",
        description=shown.description,
        fact_sheet_answers=None if shown.fact_sheet is None else dict(shown.fact_sheet),
        organization=None,
        created_when=f"{shown.created_at:%Y-%m-%d %H:%M}",
        scores=[],
    )


def score_of(score: ShownScore) -> Score:
    return Score(id=score.number, index=score.index, score=full(score.value), column_key=score.key)


def details_of(site: Site, found: FoundDetails, boards: Sequence[BoardHead] | None) -> Details:
    """Files of a submission, by links that hold for an hour."""

    def url(ticket: FileTicket | None) -> str | None:
        return None if ticket is None else site.links.url("GET", ticket.what, HOUR)

    return Details(
        logs=[Log(name=name, data_file=site.links.url("GET", log.what, HOUR)) for name, log in found.logs],
        data_file=url(found.data_file),
        prediction_result=url(found.prediction_result),
        detailed_result=url(found.detailed_result),
        scoring_result=url(found.scoring_result),
        leaderboards=None if boards is None else [leaderboard_of(head) for head in boards],
        fact_sheet_answers=found.fact_sheet,
    )
