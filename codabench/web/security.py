"""What every answer and every request has to be, whatever the route: headers, host, where a form came from."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-src 'self'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of everything that does not bring one of its own."""

SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; media-src data:; font-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'none'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
"""Of HTML that a scoring program wrote: an origin of its own, no network, no forms (security.md H01, H02)."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}
_HSTS = "max-age=31536000"
STALLED = 60.0
"""Seconds after which a request is given up of whose body nothing comes (security.md W09)."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Refuses requests under other names (a page of somebody else may have a name of its own point here), and gives
    each answer its headers.

    Parameters
    ----------
    hosts
        Names it answers under, without a port.
    https
        Whether browsers shall never come without TLS again.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], https: bool) -> None:
        self._app, self._hosts, self._https = app, frozenset(host.lower() for host in hosts), https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                dress(MutableHeaders(scope=message), https=self._https)
            await send(message)

        if _name(Headers(scope=scope).get("host", "")) in self._hosts:
            await self._app(scope, _impatient(receive), dressed)
        else:
            await PlainTextResponse("this server has another name\n", 421)(scope, receive, dressed)


def _impatient(receive: Receive) -> Receive:
    """Wait for a body of which nothing comes no longer than `STALLED`; afterwards, for the client to go, for ever."""
    whole = False

    async def received() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(STALLED):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "Nothing came for a while. Send it again.") from None
        whole = not message.get("more_body", False)
        return message

    return received


def dress(headers: MutableHeaders, *, https: bool) -> None:
    """Add the headers of every answer to those that it has."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if headers["content-security-policy"] != POLICY:  # what may be framed says so itself
        del headers["x-frame-options"]
    if https:
        headers.setdefault("strict-transport-security", _HSTS)


def _name(host: str) -> str:
    """``name`` of ``name:port`` and ``[::1]:port``."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def origin_of(url: str) -> str:
    """``https://name:port`` of a URL, as browsers write it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def from_here(headers: Headers, origins: Collection[str]) -> bool:
    """Whether a browser says that a page of this site sent the request. What no browser sent says nothing, and holds.

    Parameters
    ----------
    origins
        Under which this site is reached: ``https://name``.
    """
    if (site := headers.get("sec-fetch-site")) is not None and site not in ("same-origin", "none"):
        return False
    said = headers.get("origin")
    return said is None or said.lower() in origins


def inside(target: str | None, otherwise: str = "/") -> str:
    """A path of this site to go on to after signing in; whatever else it is, `otherwise` (security.md W13)."""
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\") or not target.isprintable():
        return otherwise
    if "\\" in target or urlsplit(target).netloc or urlsplit(target).scheme:
        return otherwise
    return target
