"""Lists of competitions: the public one, and one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator
from starlette.responses import HTMLResponse, Response

from codabench.core.errors import NotFound
from codabench.core.hosting import Listed
from codabench.core.text import storable
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.identity import Somebody, Who, site_of
from codabench.web.pages.common import Filled
from codabench.web.rendering import render
from codabench.web.routing import decides, open_to_all

router = APIRouter(include_in_schema=False)

PageNumber = Annotated[int, Query(ge=1, le=10**6)]
Words = Annotated[str, Query(max_length=200), AfterValidator(storable)]

_LOGO = 160
"""Pixels in width of a logo in a list; shown at half of that."""


class Tile(NamedTuple):
    """A competition in a list, its number, and who organizes it."""

    listed: Listed
    number: int
    organizer: str


def organizers(request: Request, listed: Iterable[Listed]) -> dict[str, str]:
    """What is shown of those who created these competitions."""
    return site_of(request).accounts.shown_names({each.hosted.owner for each in listed})


def tiles(request: Request, listed: Iterable[Listed], names: Mapping[str, str]) -> list[Tile]:
    """Competitions as a list shows them."""
    found = list(listed)
    numbers = site_of(request).numbers.many(Kind.COMPETITION, [each.hosted.competition for each in found])
    return [Tile(e, numbers[e.hosted.competition], names.get(f"u{e.hosted.owner}", "somebody")) for e in found]


@router.get("/competitions/public/", openapi_extra=open_to_all("only what is published is listed"))
def public(
    request: Request,
    actor: Who,
    search: Words = "",
    page: PageNumber = 1,
    order: Literal["recent", "popular", "busy"] = "recent",
    reward: bool = False,
    participating: bool = False,
    organizing: bool = False,
) -> HTMLResponse:
    """Published competitions: searched, filtered, in an order, page by page (platform.md V07, V08)."""
    shown = site_of(request).competitions.public(
        actor,
        page=page,
        text=search,
        order=order,
        with_reward=reward,
        participating=participating,
        organizing=organizing,
    )
    asked = {
        "search": search,
        "order": order,
        "reward": reward,
        "participating": participating,
        "organizing": organizing,
    }
    values = {
        "form": Filled(asked),
        "page": shown,
        "tiles": tiles(request, shown.items, organizers(request, shown.items)),
    }
    return render(request, "competitions/public.html", values)


@router.get("/competitions/", openapi_extra=open_to_all("it lists what is one's own"))
def mine(request: Request, actor: Somebody, tab: Literal["running", "in"] = "running") -> HTMLResponse:
    """Competitions that one organizes, or takes part in (platform.md P05, O43)."""
    lists = site_of(request).competitions
    found = lists.mine(actor) if tab == "running" else lists.entered(actor)
    values = {"tab": tab, "tiles": tiles(request, found, organizers(request, found))}
    return render(request, "competitions/mine.html", values)


@router.get("/competitions/{number}/logo/", openapi_extra=decides(Action.COMPETITION_OPEN))
def logo(request: Request, actor: Who, number: int, secret_key: Words = "") -> Response:
    """The logo, made small, without what cameras add."""
    site = site_of(request)
    found = site.competitions.logo(actor, site.numbers.key(Kind.COMPETITION, number), width=_LOGO, key=secret_key)
    if found is None:
        raise NotFound("this competition has no logo")
    return Response(found, media_type="image/png", headers={"cache-control": "private, max-age=3600"})
