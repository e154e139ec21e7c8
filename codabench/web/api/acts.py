"""What is done to submissions by the calls of Codabench (platform.md 3.6, 3.10).

Some of these calls are GETs where clients know them so; they are then taken from those who show a token, and as POST
from everybody.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, RootModel
from starlette.responses import Response

from codabench.site.links import HOUR
from codabench.site.policy import Action
from codabench.web.api.common import Asked, Body, ByToken, Id, Number, Text, body, takes
from codabench.web.api.numbered import phase_of
from codabench.web.api.shapes import Score
from codabench.web.api.submission_shapes import score_of
from codabench.web.identity import Somebody, Who, site_of
from codabench.web.routing import decides

router = APIRouter(tags=["submissions"])

_SUBMISSION = "/api/submissions/{number}"


class Ids(RootModel[list[Id]]):
    """Numbers of submissions."""


class Chosen(Body):
    """Numbers of submissions."""

    pks: list[Id]


class NewScore(Body):
    """Another value: a number, or a text with one."""

    score: float


class Answers(RootModel[dict[str, Any]]):
    """Answers to the fact sheet, by the keys of its questions."""


class Nothing(BaseModel):
    """It is done; there is nothing to say."""


class Canceled(BaseModel):
    """Whether there was something to cancel."""

    canceled: bool


class Again(BaseModel):
    """The new submission."""

    id: int


class Rerun(BaseModel):
    """New submissions."""

    ids: list[int]


class Count(BaseModel):
    """So many submissions are run again."""

    count: int


class Public(BaseModel):
    """Whether everybody sees it."""

    is_public: bool


class NamedFile(BaseModel):
    """A file, and where it can be had for an hour."""

    name: str
    url: str


# ---------------------------------------------------------------------- cancelled, run, run again
@router.get(f"{_SUBMISSION}/cancel_submission/", openapi_extra=decides(Action.SUBMISSION_CANCEL))
@router.post(f"{_SUBMISSION}/cancel_submission/", openapi_extra=decides(Action.SUBMISSION_CANCEL))
def cancel_submission(request: Request, actor: ByToken, number: Number) -> Canceled:
    """End what runs, on every task."""
    return Canceled(canceled=site_of(request).submissions.cancel(actor, number))


@router.post(f"{_SUBMISSION}/run_submission/", openapi_extra=decides(Action.SUBMISSION_RUN))
def run_submission(request: Request, actor: Somebody, number: Number) -> Nothing:
    """Run what waits for an organizer to say so."""
    site_of(request).submissions.run(actor, number)
    return Nothing()


@router.post(f"{_SUBMISSION}/re_run_submission/", openapi_extra=decides(Action.SUBMISSION_RERUN))
def re_run_submission(request: Request, actor: Somebody, number: Number, task_key: Text | None = None) -> Again:
    """Submit the same again, for its owner and without limits; on another task, if one is named by its key."""
    return Again(id=site_of(request).submissions.rerun(actor, number, task=task_key or None))


@router.post("/api/submissions/re_run_many_submissions/", openapi_extra=decides(Action.SUBMISSION_RERUN, **takes(Ids)))
def re_run_many_submissions(request: Request, actor: Somebody, given: Annotated[Ids, body(Ids)]) -> Rerun:
    """Submit each of these again; if one of them may not be, none is."""
    return Rerun(ids=site_of(request).submissions.rerun_many(actor, given.root))


@router.get("/api/phases/{number}/rerun_submissions/", openapi_extra=decides(Action.PHASE_RERUN))
@router.post("/api/phases/{number}/rerun_submissions/", openapi_extra=decides(Action.PHASE_RERUN))
def rerun_submissions(request: Request, actor: ByToken, number: Number) -> Count:
    """Submit everything of a phase again."""
    site = site_of(request)
    return Count(count=site.submissions.rerun_phase(actor, *phase_of(site, number)))


# ---------------------------------------------------------------------- deleted
@router.delete("/api/submissions/delete_many/", openapi_extra=decides(Action.SUBMISSION_HARD_DELETE, **takes(Ids)))
def delete_many(request: Request, actor: Somebody, given: Annotated[Ids, body(Ids)]) -> Nothing:
    """Take each of these away; if one of them may not be, none is."""
    site_of(request).submissions.delete_many(actor, given.root)
    return Nothing()


@router.delete(_SUBMISSION + "/", status_code=204, openapi_extra=decides(Action.SUBMISSION_HARD_DELETE))
def delete(request: Request, actor: Somebody, number: Number) -> Response:
    """Take it away with its files."""
    site_of(request).submissions.delete(actor, number)
    return Response(status_code=204)


@router.delete(f"{_SUBMISSION}/soft_delete/", openapi_extra=decides(Action.SUBMISSION_SOFT_DELETE))
def soft_delete(request: Request, actor: Somebody, number: Number) -> Nothing:
    """Take its files away; that it was there stays, and counts against limits."""
    site_of(request).submissions.soft_delete(actor, number)
    return Nothing()


# ---------------------------------------------------------------------- boards, scores, answers, who sees it
@router.post(f"{_SUBMISSION}/submission_leaderboard_connection/", openapi_extra=decides(Action.SUBMISSION_PUT_ON_BOARD))
def put_on_board(request: Request, actor: Somebody, number: Number) -> Nothing:
    """Put it on the leaderboard, as the rule of that allows."""
    site_of(request).submissions.put_on_board(actor, number)
    return Nothing()


@router.delete(
    f"{_SUBMISSION}/submission_leaderboard_connection/", openapi_extra=decides(Action.SUBMISSION_TAKE_OFF_BOARD)
)
def take_off_board(request: Request, actor: Somebody, number: Number) -> Nothing:
    """Take it off the leaderboard."""
    site_of(request).submissions.take_off_board(actor, number)
    return Nothing()


@router.get(f"{_SUBMISSION}/toggle_public/", openapi_extra=decides(Action.SUBMISSION_PUBLISH))
@router.post(f"{_SUBMISSION}/toggle_public/", openapi_extra=decides(Action.SUBMISSION_PUBLISH))
def toggle_public(request: Request, actor: ByToken, number: Number) -> Public:
    """Show it to everybody, or to nobody any more."""
    submissions = site_of(request).submissions
    public = not submissions.get(actor, number).is_public
    submissions.publish(actor, number, public)
    return Public(is_public=public)


@router.patch(f"{_SUBMISSION}/update_fact_sheet/", openapi_extra=decides(Action.SUBMISSION_ANSWER, **takes(Answers)))
def update_fact_sheet(
    request: Request, actor: Somebody, number: Number, given: Annotated[Answers, body(Answers)]
) -> Nothing:
    """Answer the fact sheet anew: all of its questions."""
    answers = given.root
    if set(answers) == {"fact_sheet_answers"} and isinstance(answers["fact_sheet_answers"], dict):
        answers = answers["fact_sheet_answers"]
    site_of(request).submissions.answer(actor, number, answers)
    return Nothing()


@router.post("/api/submissions/download_many/", openapi_extra=decides(Action.SUBMISSION_DOWNLOAD, **takes(Chosen)))
def download_many(request: Request, actor: Somebody, given: Annotated[Chosen, body(Chosen)]) -> list[NamedFile]:
    """Where what was submitted can be had."""
    site = site_of(request)
    files = site.submissions.download_many(actor, given.pks)
    return [NamedFile(name=file.name, url=site.links.url("GET", file.what, HOUR)) for file in files]


# ---------------------------------------------------------------------- scores by hand
@router.get("/api/submission_scores/", openapi_extra=decides(Action.SUBMISSION_READ))
def scores(request: Request, actor: Who, submission: Asked = None) -> list[Score]:
    """The scores of a submission; where none is named, nothing."""
    if submission is None:
        return []
    return [score_of(each) for each in site_of(request).submissions.get(actor, submission).scores]


@router.get("/api/submission_scores/{number}/", openapi_extra=decides(Action.SUBMISSION_READ))
def score(request: Request, actor: Who, number: Number) -> Score:
    """One score."""
    return score_of(site_of(request).submissions.score_shown(actor, number))


@router.patch("/api/submission_scores/{number}/", openapi_extra=decides(Action.SUBMISSION_SCORE, **takes(NewScore)))
@router.put("/api/submission_scores/{number}/", openapi_extra=decides(Action.SUBMISSION_SCORE, **takes(NewScore)))
def set_score(request: Request, actor: Somebody, number: Number, given: Annotated[NewScore, body(NewScore)]) -> Score:
    """Set it by hand; computed columns and boards follow."""
    submissions = site_of(request).submissions
    submissions.score(actor, number, given.score)
    return score_of(submissions.score_shown(actor, number))
