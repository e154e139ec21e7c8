"""What a route says of itself: which action it asks the policy for. One that says nothing stops the start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Mount

from codabench.site.policy import Action

DECIDED, OPEN = "x-action", "x-open"


def decides(*actions: Action, **more: Any) -> dict[str, Any]:
    """For ``openapi_extra`` of a route: the actions that the parts it calls ask for.

    Examples
    --------
    ``@router.get("/api/tasks/", openapi_extra=decides(Action.TASK_LIST))``
    """
    if not actions:
        raise ValueError("name an action, or say why none is needed: open_to_all")
    return {DECIDED: [action.value for action in actions], **more}


def open_to_all(why: str, **more: Any) -> dict[str, Any]:
    """For ``openapi_extra`` of a route that everybody may use, whoever they are."""
    if not why:
        raise ValueError("say why everybody may")
    return {OPEN: why, **more}


def routes_of(app: FastAPI) -> Iterator[RouteContext]:
    """Every route that a request can reach, but for the files of this package."""
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, Mount):
            yield route


def undecided(app: FastAPI) -> list[str]:
    """Routes of which nothing says who may use them, or of which both is said, as ``GET /path``."""
    wrong = []
    for route in routes_of(app):
        extra = getattr(route.original_route, "openapi_extra", None) or {}
        if bool(extra.get(DECIDED)) == bool(extra.get(OPEN)):
            wrong += [f"{verb} {route.path}" for verb in sorted(route.methods or {"ANY"})]
    return wrong


def refuse_undecided(app: FastAPI) -> None:
    """Start nothing that nobody decides about.

    Raises
    ------
    RuntimeError
        There are such routes.
    """
    if wrong := undecided(app):
        raise RuntimeError(f"nothing decides who may use these routes: {', '.join(wrong)}")
