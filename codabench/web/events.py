"""What happens while one looks: the log of a submission, a leaderboard (platform.md P15, V11)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from codabench.core.errors import Banned, NotFound, NotSignedIn, Refused
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.api.common import Number
from codabench.web.identity import Who, site_of, who
from codabench.web.routing import decides
from codabench.web.streaming import Hub

router = APIRouter(tags=["live events"])

Last = Annotated[str | None, Header(alias="last-event-id", max_length=200)]
"""The event that a browser had last, which it says when it comes again."""

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events, as they come", "content": {"text/event-stream": {}}}
}


@router.get(
    "/api/leaderboards/{number}/events",
    openapi_extra=decides(Action.BOARD_READ, responses=_STREAM),
    response_model=None,
)
async def board_events(
    request: Request,
    number: Number,
    actor: Who,
    phase: Annotated[int | None, Query(ge=0, description="Its place; the one that is open, if none is named.")] = None,
    secret_key: str = "",
    last: Last = None,
) -> Response:
    """An event ``board`` whenever a leaderboard is another than before; its id is the state of the board."""
    boards, numbers = site_of(request).boards, site_of(request).numbers
    competition, place = await run_in_threadpool(numbers.parts, Kind.BOARD, number)
    look = partial(boards.state, competition=competition, board=int(place), phase=phase, key=secret_key)
    await run_in_threadpool(look, actor)
    return _hub(request).stream(
        ("board", competition, place, phase),
        lambda after: boards.changes(actor, competition, int(place), after, phase=phase, key=secret_key),
        last,
        may_go_on=_still(request, look),
        says_over=False,
    )


@router.get("/api/submissions/{number}/events", openapi_extra=decides(Action.SUBMISSION_LIVE), responses=_STREAM)
async def submission_events(request: Request, number: Number, actor: Who, last: Last = None) -> Response:
    """What a submission reports until it is over: see `Submissions.live` for the kinds; the last event is ``over``."""
    submissions = site_of(request).submissions
    look = partial(submissions.live, number=number)
    await run_in_threadpool(look, actor)
    return _hub(request).stream(
        ("submission", number),  # who may look at all is told the same
        lambda after: submissions.live(actor, number, after),
        last,
        may_go_on=_still(request, look),
        says_over=True,
    )


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.live
    return hub


def _still(request: Request, look: Callable[..., object]) -> Callable[[], Awaitable[bool]]:
    """Whether who reads may still do that; asked of the credential that was shown at first."""

    def may() -> bool:
        try:
            look(who(request, ""))
        except (NotFound, Refused, NotSignedIn, Banned):
            return False
        return True

    return lambda: run_in_threadpool(may)
