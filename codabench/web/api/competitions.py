"""Competitions by the calls of Codabench: found, read, made, changed, entered (platform.md 3.3, 3.9, 3.10)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from codabench.core.errors import NotFound, NotSignedIn
from codabench.site.actors import Actor
from codabench.site.lists import Order
from codabench.site.numbers import Kind
from codabench.site.overview import overview
from codabench.site.policy import Action
from codabench.web.api import competition_bodies as bodies
from codabench.web.api.common import Body, Number, Sized, Text, Twenties, body, listed, takes
from codabench.web.api.competition_shapes import CompetitionDetail, CompetitionItem, detail_of, items_of
from codabench.web.identity import Somebody, Who, site_of
from codabench.web.routing import decides, open_to_all

router = APIRouter(prefix="/api/competitions", tags=["competitions"])

SecretKey = Annotated[Text, Query(description="of the secret link of a competition that is not published")]

_ORDERS: dict[str, Order] = {"popular": "popular", "with_most_submissions": "busy", "busy": "busy"}
_WIDEST = 1200


class FrontPage(BaseModel):
    """What a visitor sees first."""

    popular_comps: list[CompetitionItem]
    recent_comps: list[CompetitionItem]


class Entry(Body):
    """An application to take part."""

    secret_key: Text = ""


class Entered(BaseModel):
    """Where an application stands."""

    participant_status: str


class Published(BaseModel):
    """Whether everybody sees a competition."""

    published: bool


def competition_of(request: Request, number: int) -> str:
    """The id of the competition of that number."""
    return site_of(request).numbers.key(Kind.COMPETITION, number)


# ---------------------------------------------------------------------- lists
@router.get("/", openapi_extra=decides(Action.COMPETITION_READ))
def competitions(
    request: Request,
    actor: Who,
    mine: bool = False,
    participating_in: bool = False,
    search: Text = "",
    kind: Annotated[Literal["competition", "benchmark", "any"], Query(alias="type")] = "competition",
    secret_key: SecretKey = "",
) -> list[CompetitionItem]:
    """Competitions that one may see, oldest first; with ``mine`` those that one organizes."""
    site, wanted = site_of(request), None if kind == "any" else kind
    if not (mine or participating_in):
        found = site.competitions.all(actor, text=search, competition_type=wanted, key=secret_key)
        return items_of(request, found, key=secret_key)
    found = site.competitions.mine(actor) if mine else site.competitions.entered(actor)
    words = search.lower()
    held = [
        each
        for each in found
        if wanted in (None, each.competition_type) and words in f"{each.title}\n{each.description}".lower()
    ]
    return items_of(request, held)


@router.get("/front_page/", openapi_extra=open_to_all("published competitions"))
def front_page(request: Request, actor: Who) -> FrontPage:
    """Popular competitions, and new ones."""
    found = site_of(request).competitions.front_page(actor)
    return FrontPage(popular_comps=items_of(request, found.popular), recent_comps=items_of(request, found.recent))


@router.get("/public/", openapi_extra=open_to_all("published competitions"), response_model=Sized[CompetitionItem])
def public(
    request: Request,
    actor: Who,
    paging: Twenties,
    search: Text = "",
    title: Text = "",
    ordering: Text = "recent",
    has_reward: bool = False,
    participating_in: bool = False,
    organizing: bool = False,
) -> object:
    """Published competitions, in pages; ``participating_in`` and ``organizing`` are for who is signed in."""
    try:
        page = site_of(request).competitions.public(
            actor,
            page=paging.page,
            size=paging.size,
            title=title or search,
            with_reward=has_reward,
            participating=participating_in,
            organizing=organizing,
            order=_ORDERS.get(ordering, "recent"),
        )
    except NotSignedIn as error:
        return JSONResponse({"detail": error.message}, 401)
    return listed(request, items_of(request, page.items), page.total, paging)


# ---------------------------------------------------------------------- one
@router.get("/{id}/", openapi_extra=decides(Action.COMPETITION_READ), response_model_exclude_unset=True)
def competition(request: Request, actor: Who, id: Number, secret_key: SecretKey = "") -> CompetitionDetail:
    """A competition, with all that one may see of it."""
    return _detail(request, actor, competition_of(request, id), secret_key)


@router.get("/{id}/logo/", openapi_extra=decides(Action.COMPETITION_OPEN), response_class=Response)
def logo(
    request: Request,
    actor: Who,
    id: Number,
    width: Annotated[int, Query(ge=1, le=_WIDEST)] = _WIDEST,
    secret_key: SecretKey = "",
) -> Response:
    """The logo as a PNG, not wider than asked."""
    found = site_of(request).competitions.logo(actor, competition_of(request, id), width=width, key=secret_key)
    if found is None:
        raise NotFound("this competition has no logo")
    return Response(found, media_type="image/png", headers={"cache-control": "private, max-age=300"})


@router.post(
    "/",
    status_code=201,
    openapi_extra=decides(Action.COMPETITION_CREATE, **takes(bodies.Competition)),
    response_model_exclude_unset=True,
)
def create(
    request: Request, actor: Somebody, given: Annotated[bodies.Competition, body(bodies.Competition)]
) -> CompetitionDetail:
    """Make a competition of tasks and data that are on the site. A bundle is uploaded as a data set instead."""
    site = site_of(request)
    id = site.competitions.describe(actor, given.in_words())
    if given.published:
        site.competitions.publish(actor, id, True)
    return _detail(request, actor, id)


@router.put(
    "/{id}/",
    openapi_extra=decides(Action.COMPETITION_EDIT, **takes(bodies.Competition)),
    response_model_exclude_unset=True,
)
@router.patch(
    "/{id}/",
    openapi_extra=decides(Action.COMPETITION_EDIT, **takes(bodies.Competition)),
    response_model_exclude_unset=True,
)
def edit(
    request: Request, actor: Somebody, id: Number, given: Annotated[bodies.Competition, body(bodies.Competition)]
) -> CompetitionDetail:
    """Change a competition; what is not named, or named as it is, stays."""
    site, known = site_of(request), competition_of(request, id)
    before = _detail(request, actor, known)
    # Older bundles say things that cannot be said any more: they stay as long as nobody says otherwise.
    same = bodies.Competition.model_validate(before.model_dump()).in_words()
    said = given.in_words()
    site.competitions.edit(actor, known, {name: said[name] for name in said if said[name] != same.get(name, ...)})
    if given.published is not None and given.published != before.published:
        site.competitions.publish(actor, known, given.published)
    return _detail(request, actor, known)


@router.delete("/{id}/", status_code=204, openapi_extra=decides(Action.COMPETITION_DELETE), response_class=Response)
def delete(request: Request, actor: Somebody, id: Number) -> Response:
    """Delete a competition with all that was submitted; its creator may, and nobody brings it back."""
    site_of(request).competitions.delete(actor, competition_of(request, id))
    return Response(status_code=204)


@router.post("/{id}/toggle_publish/", openapi_extra=decides(Action.COMPETITION_PUBLISH))
def toggle_publish(request: Request, actor: Somebody, id: Number) -> Published:
    """Show a competition to everybody, or to nobody else any more."""
    site, known = site_of(request), competition_of(request, id)
    published = site.competitions.look(actor, known, Action.COMPETITION_PUBLISH).hosted.published
    return Published(published=site.competitions.publish(actor, known, not published))


@router.post("/{id}/register/", status_code=201, openapi_extra=decides(Action.COMPETITION_REGISTER, **takes(Entry)))
def register(
    request: Request, actor: Somebody, id: Number, given: Annotated[Entry, body(Entry)], secret_key: SecretKey = ""
) -> Entered:
    """Ask to take part, once for ever."""
    key = given.secret_key or secret_key
    made = site_of(request).registrations.register(actor, competition_of(request, id), key=key)
    return Entered(participant_status=made.status.value)


def _detail(request: Request, actor: Actor, id: str, key: str = "") -> CompetitionDetail:
    return detail_of(request, actor, overview(site_of(request), actor, id, key=key), key=key)
