"""What the next page says: a form that did its work sends the browser on, and tells it there what was done."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, NamedTuple

from fastapi import Request
from starlette.responses import Response

from codabench.core.errors import Refused
from codabench.web.identity import site_of

Kind = Literal["good", "bad", "busy", "info"]

_COOKIE, _VERB = "said", "SAY"
_MINUTE = timedelta(minutes=1)
_MOST = 1500
"""Characters: a browser keeps 4 KiB of a cookie."""


class Told(NamedTuple):
    """A line on a page."""

    text: str
    kind: str


def tell(request: Request, response: Response, text: str, kind: Kind = "good") -> None:
    """Have the next page that this browser shows say something. It is signed: nobody else puts words on our pages."""
    until = site_of(request).now() + _MINUTE
    ticket = request.app.state.signer.ticket(_VERB, {"text": text[:_MOST], "kind": kind}, until=until)
    secure = site_of(request).settings.url.startswith("https:")
    response.set_cookie(_COOKIE, ticket, max_age=60, path="/", secure=secure, httponly=True, samesite="lax")


def heard(request: Request) -> list[Told]:
    """What this page is to say."""
    ticket = request.cookies.get(_COOKIE)
    if ticket is None:
        return []
    try:
        said = request.app.state.signer.read(ticket, _VERB, now=site_of(request).now())
    except Refused:
        return []
    return [Told(said["text"], said["kind"])]


def forget(response: Response) -> None:
    """It was said."""
    response.delete_cookie(_COOKIE, path="/", httponly=True, samesite="lax")
