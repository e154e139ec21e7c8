"""Submissions by the calls of Codabench (platform.md 3.4 and 3.5): asked for, made, listed, read.

What is done to them is in `codabench.web.api.acts`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import field_validator
from starlette.responses import JSONResponse, Response

from codabench.core.errors import Invalid, NotFound, Refused
from codabench.site.links import HOUR
from codabench.site.listing import Filters
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.api.common import Asked, Body, Id, Number, Text, body, format_of, takes
from codabench.web.api.numbered import chosen, phase_of, secret_of
from codabench.web.api.submission_shapes import (
    Allowed,
    Created,
    Details,
    Submission,
    created,
    details_of,
    submissions_of,
)
from codabench.web.identity import Somebody, Who, site_of
from codabench.web.routing import decides

router = APIRouter(tags=["submissions"])


class New(Body):
    """A submission to be made. What the server decides (status, scores, a secret) is not among it.

    Attributes
    ----------
    data
        Key of the data set that was uploaded.
    tasks
        Numbers of tasks of the phase; none: all of them.
    """

    phase: Id
    data: Text
    tasks: list[int | Text] = []
    fact_sheet_answers: dict[str, Any] | None = None
    organization: Id | None = None
    queue: Id | None = None

    @field_validator("tasks")
    @classmethod
    def _numbers(cls, tasks: list[int | str]) -> list[int | str]:
        """In a form, a number is a text."""
        return [int(task) if isinstance(task, str) and task.isdecimal() else task for task in tasks]


# ---------------------------------------------------------------------- made
@router.get("/api/can_make_submission/{phase}/", openapi_extra=decides(Action.SUBMISSION_CREATE))
def can_make_submission(request: Request, actor: Somebody, phase: Number) -> Allowed:
    """Whether one may submit to a phase now. Where robots may be, one is let in by asking."""
    site = site_of(request)
    allowance = site.submissions.allowance(actor, *phase_of(site, phase), key=secret_of(request))
    return Allowed(can=allowance.can, reason=allowance.reason)


@router.post("/api/submissions/", status_code=201, openapi_extra=decides(Action.SUBMISSION_CREATE, **takes(New)))
def create(request: Request, actor: Somebody, given: Annotated[New, body(New)]) -> Created:
    """Submit what was uploaded, to a phase or to some of its tasks."""
    site = site_of(request)
    try:
        competition, phase = phase_of(site, given.phase)
    except NotFound:
        raise Invalid({"phase": f'Invalid pk "{given.phase}" - object does not exist.'}) from None
    if given.organization is not None:
        raise Invalid({"organization": "There are no organisations here."})
    shown = site.submissions.create(
        actor,
        competition,
        phase,
        given.data,
        tasks=given.tasks or None,
        fact_sheet=given.fact_sheet_answers,
        key=secret_of(request),
    )
    return created(shown, given.data)


# ---------------------------------------------------------------------- read
@router.get("/api/submissions/", openapi_extra=decides(Action.SUBMISSION_LIST), response_model=list[Submission])
def submissions(
    request: Request,
    actor: Who,
    phase: Asked = None,
    phase__competition: Asked = None,
    status: str | None = None,
    search: str | None = None,
    is_soft_deleted: bool | None = None,
    show_is_soft_deleted: bool = False,
) -> list[Submission] | Response:
    """Those one may see, newest first, and what they are on each task where there are several; also as CSV."""
    site = site_of(request)
    competition = None
    if phase__competition is not None:
        competition = chosen(site, Kind.COMPETITION, "phase__competition", phase__competition)
    place = None
    if phase is not None:
        of, _, index = chosen(site, Kind.PHASE, "phase", phase).partition(":")
        if competition not in (None, of):
            return []
        competition, place = of, int(index)
    filters = Filters(
        competition=competition,
        phase=place,
        status=status or None,
        search=search or None,
        deleted=show_is_soft_deleted or bool(is_soft_deleted),
    )
    if format_of(request) == "csv":
        head = {"content-disposition": 'attachment; filename="submissions.csv"'}
        return Response(site.submissions.to_csv(actor, **filters), media_type="text/csv; charset=utf-8", headers=head)
    found = site.submissions.list(actor, **filters, children=True, key=secret_of(request))
    if is_soft_deleted is not None:
        found = [each for each in found if each.is_deleted == is_soft_deleted]
    return submissions_of(site, found)


@router.get("/api/submissions/{number}/", openapi_extra=decides(Action.SUBMISSION_READ))
def submission(request: Request, actor: Who, number: Number) -> Submission:
    """One submission, with its scores."""
    site = site_of(request)
    return submissions_of(site, [site.submissions.get(actor, number, key=secret_of(request))])[0]


@router.get("/api/submissions/{number}/get_details/", openapi_extra=decides(Action.SUBMISSION_DETAILS))
def get_details(request: Request, actor: Who, number: Number) -> Details:
    """Its files and logs, by addresses that need no credentials and hold for an hour."""
    site = site_of(request)
    key = secret_of(request)
    details = site.submissions.details(actor, number, key=key)
    try:
        boards = site.boards.list(actor, site.submissions.get(actor, number, key=key).competition, key=key)
    except NotFound:
        boards = None  # of a competition that its owner does not see any more
    return details_of(site, details, boards)


@router.get(
    "/api/submissions/{number}/get_detail_result/",
    openapi_extra=decides(Action.SUBMISSION_DETAILED_RESULT),
    response_model=str | None,
)
def get_detail_result(request: Request, actor: Who, number: Number) -> str | Response | None:
    """The address of the page with details that its scoring program wrote; null: it wrote none."""
    site = site_of(request)
    try:
        ticket = site.submissions.detailed_result(actor, number, key=secret_of(request))
    except (NotFound, Refused) as error:
        return JSONResponse({"error_msg": error.message}, 404 if isinstance(error, NotFound) else 403)
    return None if ticket is None else site.links.url("GET", ticket.what, HOUR)
