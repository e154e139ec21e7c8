"""What a visitor sees first, and what is on no page in particular."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from codabench.web.identity import Who, site_of
from codabench.web.pages.common import Sent, onward
from codabench.web.pages.lists import organizers, tiles
from codabench.web.rendering import THEMES, render
from codabench.web.routing import open_to_all
from codabench.web.security import inside

router = APIRouter(include_in_schema=False)

_YEAR = 365 * 86400


@router.get("/", openapi_extra=open_to_all("the front page lists what is published"))
def front(request: Request, actor: Who) -> HTMLResponse:
    """What is announced, popular and recent competitions, three counters (platform.md V01-V04)."""
    site = site_of(request)
    page = site.competitions.front_page(actor)
    names = organizers(request, [*page.popular, *page.recent])
    values = {
        "popular": tiles(request, page.popular, names),
        "recent": tiles(request, page.recent, names),
        "counters": site.competitions.counters(actor),
        "announcement": site.status.announcement(actor),
    }
    return render(request, "front.html", values)


@router.get("/about/", openapi_extra=open_to_all("it says what this site is"))
def about(request: Request, actor: Who) -> HTMLResponse:
    """What this site is, and whose."""
    return render(request, "about.html")


@router.post("/theme/", openapi_extra=open_to_all("it is kept in the browser"))
def theme(request: Request, actor: Who, sent: Sent) -> Response:
    """Light, dark, or as the system."""
    chosen, answer = sent.text("theme"), onward(request, inside(sent.text("next")))
    if chosen in THEMES:
        secure = site_of(request).settings.url.startswith("https:")
        answer.set_cookie("theme", chosen, max_age=_YEAR, path="/", secure=secure, httponly=True, samesite="lax")
    return answer
