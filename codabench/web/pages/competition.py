"""A competition for its visitors: pages, terms, files, phases, and how one asks to take part (platform.md 5.1)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from codabench.core.errors import Invalid, NotFound
from codabench.core.people import ParticipationStatus
from codabench.site.policy import Action
from codabench.web.identity import Somebody
from codabench.web.pages.common import TOLD, Sent
from codabench.web.pages.submissions import mine_again
from codabench.web.pages.view import Opened, Read, View
from codabench.web.routing import decides

router = APIRouter(include_in_schema=False)


@router.get("/competitions/{number:int}/", openapi_extra=decides(Action.COMPETITION_OPEN))
def overview(view: Opened) -> HTMLResponse:
    """Its first page."""
    return _overview(view, 0)


@router.get("/competitions/{number:int}/pages/{place:int}/", openapi_extra=decides(Action.COMPETITION_READ))
def page(view: Read, place: int) -> HTMLResponse:
    """One of its pages, counted from 0."""
    if place >= len(view.spec.pages):
        raise NotFound("there is no such page")
    return _overview(view, place)


def _overview(view: View, place: int) -> HTMLResponse:
    pages = view.spec.pages if view.may(Action.COMPETITION_READ) else ()
    return view.page("overview.html", "overview", place=place, pages=pages)


@router.get("/competitions/{number:int}/terms/", openapi_extra=decides(Action.COMPETITION_OPEN))
def terms(view: Opened) -> HTMLResponse:
    """What one agrees to."""
    return view.page("terms.html", "terms")


@router.get("/competitions/{number:int}/phases/", openapi_extra=decides(Action.COMPETITION_READ))
def phases(view: Read) -> HTMLResponse:
    """When what is asked."""
    return view.page("phases.html", "phases")


@router.get("/competitions/{number:int}/files/", openapi_extra=decides(Action.COMPETITION_READ))
def files(view: Read) -> HTMLResponse:
    """What there is to download, as far as the visitor may."""
    found = view.site.datasets.files(view.actor, view.id, key=view.key)
    return view.page("files.html", "files", files=found, takes_part=view.may(Action.FILES_KITS))


@router.post("/competitions/{number:int}/register/", openapi_extra=decides(Action.COMPETITION_REGISTER))
def register(view: Opened, _: Somebody, sent: Sent) -> Response:
    """Ask to take part; the terms have to be agreed to."""
    try:
        if not sent.ticked("agreed"):
            raise Invalid({"agreed": "Read the terms, and agree to them."})
        made = view.site.registrations.register(view.actor, view.id, key=view.key)
    except TOLD as error:
        return mine_again(view, sent.texts("agreed"), error)
    if made.status is ParticipationStatus.APPROVED:
        return view.onward("submissions/", "You take part in this competition now.")
    return view.onward(
        "submissions/", "You asked to take part. The organizers will decide, and you get a mail.", "busy"
    )
