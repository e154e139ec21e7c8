"""What goes on: where submissions run, how much there is of what, what nothing needs, maintenance."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from codabench.core.errors import Invalid
from codabench.core.text import human_size, plural
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.identity import Somebody, site_of
from codabench.web.pages.common import Sent, onward, question
from codabench.web.pages.lists import PageNumber
from codabench.web.rendering import render
from codabench.web.routing import decides

router = APIRouter(include_in_schema=False)

Every = Literal["day", "week", "month"]
By = Literal["competition", "user"]
_USUAL = timedelta(days=365)


@router.get("/server_status/", openapi_extra=decides(Action.SUBMISSION_MONITOR))
def server_status(request: Request, actor: Somebody, children: bool = False, page: PageNumber = 1) -> HTMLResponse:
    """Submissions, newest first, and where they are carried out (platform.md P32, A35)."""
    site = site_of(request)
    shown = site.status.work(actor, page=page, children=children)
    numbers = site.numbers.many(Kind.COMPETITION, {work.shown.competition for work in shown.items})
    return render(request, "status/server.html", {"work": shown, "numbers": numbers, "children": children})


# ---------------------------------------------------------------------- figures
@router.get("/analytics/", openapi_extra=decides(Action.SITE_ANALYTICS))
def analytics(
    request: Request, actor: Somebody, since: date | None = None, until: date | None = None, every: Every = "month"
) -> HTMLResponse:
    """How much there was of what, and who stores how much (platform.md A15, A17, A18)."""
    status = site_of(request).status
    since, until = _span(request, since, until)
    wrong: list[str] = []
    try:
        periods = status.analytics(actor, since, until, every)
    except Invalid as error:
        periods, wrong = [], [text for texts in error.fields.values() for text in texts]
    values = {
        "since": since,
        "until": until,
        "every": every,
        "periods": periods,
        "wrong": wrong,
        "stored": [("competition", status.storage(actor, "competition")), ("user", status.storage(actor, "user"))],
    }
    return render(request, "status/analytics.html", values, status=400 if wrong else 200)


def _span(request: Request, since: date | None, until: date | None) -> tuple[date, date]:
    """The last year, where nothing else is asked."""
    until = until or site_of(request).now().date()
    return since or until - min(_USUAL, until - date.min), until


@router.get("/analytics/use.csv", openapi_extra=decides(Action.SITE_ANALYTICS))
def use_csv(
    request: Request, actor: Somebody, since: date | None = None, until: date | None = None, every: Every = "month"
) -> Response:
    """The figures for spreadsheets."""
    since, until = _span(request, since, until)
    return _csv("use.csv", site_of(request).status.analytics_csv(actor, since, until, every))


@router.get("/analytics/storage_{by}.csv", openapi_extra=decides(Action.SITE_ANALYTICS))
def storage_csv(request: Request, actor: Somebody, by: By) -> Response:
    """The same of storage, in bytes."""
    return _csv(f"storage_{by}.csv", site_of(request).status.storage_csv(actor, by))


def _csv(name: str, text: str) -> Response:
    return Response(
        text,
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "private, no-cache"},
    )


# ---------------------------------------------------------------------- what nothing needs
@router.get("/admin/orphans/", openapi_extra=decides(Action.SITE_ADMINISTER))
def orphans(request: Request, actor: Somebody) -> HTMLResponse:
    """What is stored and nothing names any more (platform.md A20, A21)."""
    sweep = site_of(request).status.orphans(actor)
    return question(
        request,
        f"Remove {plural(len(sweep.items), 'thing')} that nothing needs?",
        f"{human_size(sweep.size)} are stored that nothing names any more, and that are older than a day. "
        f"{plural(sweep.kept[0], 'thing')} of {human_size(sweep.kept[1])} stay.",
        button="Remove them",
        back="/admin/",
    )


@router.post("/admin/orphans/", openapi_extra=decides(Action.SITE_ADMINISTER))
def remove_orphans(request: Request, actor: Somebody) -> Response:
    """Remove it."""
    sweep = site_of(request).status.orphans(actor, delete=True)
    return onward(request, "/admin/", f"{plural(len(sweep.items), 'thing')} removed, {human_size(sweep.size)}.")


# ---------------------------------------------------------------------- maintenance
@router.post("/admin/maintenance/", openapi_extra=decides(Action.SITE_ADMINISTER))
def maintenance(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Close the site for a while, or open it again (platform.md A25)."""
    status = site_of(request).status
    try:
        if sent.ticked("closed"):
            status.close_for_maintenance(actor, sent.text("text"))
        else:
            status.open_again(actor)
    except Invalid as error:
        return onward(request, "/admin/", error.message, "bad")
    said = "Only those who look after this site come in now." if sent.ticked("closed") else "The site is open again."
    return onward(request, "/admin/", said)
