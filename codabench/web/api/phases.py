"""Phases as objects of their own (platform.md 3.10): a phase is a part of its competition, and changes with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from codabench.core.errors import NotFound
from codabench.site.actors import Actor
from codabench.site.numbers import Kind
from codabench.site.overview import overview
from codabench.site.policy import Action
from codabench.site.site import Site
from codabench.web.api import competition_bodies as bodies
from codabench.web.api import numbered
from codabench.web.api.common import Id, Number, body, takes
from codabench.web.api.competition_shapes import Phase, phase_of
from codabench.web.api.competitions import SecretKey
from codabench.web.identity import Somebody, Who, site_of
from codabench.web.routing import decides, open_to_all

router = APIRouter(prefix="/api/phases", tags=["phases"])


class New(bodies.Phase):
    """A phase of a competition."""

    competition: Id


class PhaseItem(Phase):
    """A phase, and the competition that it is of."""

    competition: int


class Migrated(BaseModel):
    """How many submissions run in the next phase now."""

    count: int


@router.get("/", openapi_extra=open_to_all("it is empty"))
def phases(actor: Who) -> list[PhaseItem]:
    """Nothing: phases are found in their competitions."""
    return []


@router.get("/{id}/", openapi_extra=decides(Action.COMPETITION_READ))
def phase(request: Request, actor: Who, id: Number, secret_key: SecretKey = "") -> PhaseItem:
    """A phase."""
    return _shown(site_of(request), actor, *numbered.phase_of(site_of(request), id), key=secret_key)


@router.post("/", status_code=201, openapi_extra=decides(Action.COMPETITION_EDIT, **takes(New)))
def create(request: Request, actor: Somebody, given: Annotated[New, body(New)]) -> PhaseItem:
    """Add a phase, at its index or behind the others."""
    site = site_of(request)
    competition = numbered.related(site, Kind.COMPETITION, "competition", given.competition)
    places: list[int] = []

    def added(phases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        place = len(phases) if given.index is None else min(given.index, len(phases))
        places.append(place)
        said = given.in_words()
        said.pop("competition", None)
        return [*phases[:place], said, *phases[place:]]

    _change(site, actor, competition, added)
    return _shown(site, actor, competition, places[-1])


@router.put("/{id}/", openapi_extra=decides(Action.COMPETITION_EDIT, **takes(bodies.Phase)))
@router.patch("/{id}/", openapi_extra=decides(Action.COMPETITION_EDIT, **takes(bodies.Phase)))
def edit(
    request: Request, actor: Somebody, id: Number, given: Annotated[bodies.Phase, body(bodies.Phase)]
) -> PhaseItem:
    """Change a phase; what is not named stays."""
    site = site_of(request)
    competition, place = numbered.phase_of(site, id)
    said = given.in_words()
    _change(
        site, actor, competition, lambda phases: [*phases[:place], phases[place] | said, *phases[place + 1 :]], place
    )
    return _shown(site, actor, competition, place)


@router.delete("/{id}/", status_code=204, openapi_extra=decides(Action.COMPETITION_EDIT), response_class=Response)
def delete(request: Request, actor: Somebody, id: Number) -> Response:
    """Take a phase away that has no submissions."""
    site = site_of(request)
    competition, place = numbered.phase_of(site, id)
    _change(site, actor, competition, lambda phases: [*phases[:place], *phases[place + 1 :]], place)
    return Response(status_code=204)


@router.post("/{id}/manually_migrate/", openapi_extra=decides(Action.PHASE_MIGRATE))
def manually_migrate(request: Request, actor: Somebody, id: Number) -> Migrated:
    """Take what stands on the board of a phase to the next one."""
    site = site_of(request)
    made = site.competitions.migrate(actor, *numbered.phase_of(site, id))
    return Migrated(count=len(made.submissions))


def _change(
    site: Site,
    actor: Actor,
    competition: str,
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    place: int | None = None,
) -> None:
    """Have the phases of a competition be others."""
    phases = site.competitions.document(actor, competition)["phases"]
    if place is not None and place >= len(phases):
        raise NotFound("there is no such phase, or not for you")
    site.competitions.edit(actor, competition, {"phases": change(phases)})


def _shown(site: Site, actor: Actor, competition: str, place: int, *, key: str = "") -> PhaseItem:
    shown = overview(site, actor, competition, key=key)
    if place >= len(shown.phases):
        raise NotFound("there is no such phase, or not for you")
    return PhaseItem(competition=shown.number, **phase_of(site, shown.phases[place], shown).model_dump())
