"""Who sent a request: a session by its cookie, a token by its header, else nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request
from starlette.responses import Response

from codabench.core.errors import NotSignedIn, Refused
from codabench.core.people import CredentialKind
from codabench.site.actors import ANONYMOUS, Actor
from codabench.web.security import SAFE, from_here, origin_of

if TYPE_CHECKING:
    from codabench.site.site import Site

FIELD, HEADER = "csrf", "x-csrf-token"
"""Where a page's requests show that a page of this site sent them."""
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def site_of(request: Request) -> Site:
    """The site that this application shows."""
    return cast("Site", request.app.state.site)


def cookie_name(site: Site) -> str:
    """With ``__Host-`` a browser takes it from this host alone, and over TLS alone."""
    return "__Host-codabench" if site.settings.url.startswith("https:") else "codabench"


def address_of(request: Request) -> str:
    """Of the machine that asks; behind a proxy that is believed, what the proxy says (uvicorn sees to that)."""
    return request.client.host if request.client else ""


def session_of(request: Request) -> str | None:
    """The secret of the session a browser shows, whatever it is worth."""
    return request.cookies.get(cookie_name(site_of(request)))


def csrf_of(request: Request) -> str:
    """What a form of the page that is being shown has to send back; without a session, nothing."""
    secret = session_of(request)
    return cast("str", request.app.state.signer.mark("csrf", secret)) if secret else ""


async def shown(request: Request) -> str:
    """What a request shows to have come from a page of this site: in a header, or in a field of its form."""
    if request.method in SAFE or session_of(request) is None:
        return ""
    if HEADER in request.headers:
        return request.headers[HEADER]
    if request.headers.get("content-type", "").startswith(FORMS):
        return str((await request.form()).get(FIELD, ""))
    return ""


def who(request: Request, shown: Annotated[str, Depends(shown)]) -> Actor:
    """Who asks. A token that is wrong is refused; a session that is over is nobody.

    Raises
    ------
    NotSignedIn, Banned
        What was shown is worth nothing; whoever it is may not come in.
    Refused
        ``CB810``: a browser sent this for another site.
    HTTPException
        503: the site is closed for maintenance.
    """
    request.state.actor = actor = _who(request, shown)
    request.app.state.door.enter(actor, request.url.path)
    return actor


def _who(request: Request, shown: str) -> Actor:
    site = site_of(request)
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() in ("token", "bearer"):
        return site.credentials.actor(secret.strip(), [CredentialKind.TOKEN])
    session = session_of(request)
    if request.method not in SAFE:
        _refuse_foreign(request, session, shown)
    if session is None:
        return ANONYMOUS
    try:
        return site.credentials.actor(session, [CredentialKind.SESSION])
    except NotSignedIn:
        return ANONYMOUS


def _refuse_foreign(request: Request, session: str | None, shown: str) -> None:
    """A form of somebody else's page must neither act for who is signed in here, nor sign anybody in (W04)."""
    origins = {origin_of(str(request.base_url)), origin_of(site_of(request).settings.url)}
    if not from_here(request.headers, origins) or (
        session is not None and not request.app.state.signer.holds(shown, "csrf", session)
    ):
        raise Refused("this request did not come from a page of this site", code="CB810", hint="load the page again")


def shown_by(request: Request) -> Actor:
    """Who looks at a page, where nothing is asked for."""
    if (known := getattr(request.state, "actor", None)) is not None:
        return cast("Actor", known)
    session = session_of(request)
    return site_of(request).credentials.actor(session, [CredentialKind.SESSION]) if session else ANONYMOUS


Who = Annotated[Actor, Depends(who)]


def signed_in(actor: Who) -> Actor:
    """Who asks, if it is somebody.

    Raises
    ------
    NotSignedIn
        It is nobody.
    """
    if actor.account is None:
        raise NotSignedIn("Authentication credentials were not provided.")
    return actor


Somebody = Annotated[Actor, Depends(signed_in)]


def set_session(request: Request, response: Response, secret: str) -> None:
    """Have the browser show that from now on."""
    site = site_of(request)
    response.set_cookie(
        cookie_name(site),
        secret,
        max_age=int(site.settings.session_days * 86400),
        path="/",
        secure=site.settings.url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )


def drop_session(request: Request, response: Response) -> None:
    """Have the browser forget it."""
    secure = site_of(request).settings.url.startswith("https:")
    response.delete_cookie(cookie_name(site_of(request)), path="/", secure=secure, httponly=True, samesite="lax")
