"""Files in and out by links that work by themselves: ``PUT /uploads/...`` and ``GET /files/...``.

Who has such a link needs nothing else, so neither route asks who it is; making one asked the policy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import BinaryIO, TypeVar
from urllib.parse import quote

from anyio import CapacityLimiter, from_thread, to_thread
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from codabench.web.identity import site_of
from codabench.web.routing import open_to_all
from codabench.web.security import SANDBOX

T = TypeVar("T")

AT_ONCE = 32
"""Uploads that are taken at the same time; others wait. Pages have threads of their own."""
CHUNK = 1 << 20
SHOWN = ("text/html", "image/")
"""What a browser may show, in a frame that has no rights; everything else is saved."""

_ANY = 2**62
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_SIGNED = open_to_all("the link is signed, for one file, one verb and a while")

router = APIRouter(tags=["files"])


# ---------------------------------------------------------------------- in
@router.put("/uploads/{ticket}", max_body_size=_ANY, openapi_extra=_SIGNED)
async def upload(request: Request, ticket: str) -> Response:
    """Take the bytes of a data set; it is whole or not there. The answer is 200, as clients demand it."""
    length = request.headers.get("content-length", "")
    said = int(length) if length.isdecimal() and len(length) < 19 else None
    receive = partial(site_of(request).datasets.receive, ticket)
    kind = request.headers.get("content-type")
    with suppress(ClientDisconnect):  # nobody hears the answer then
        await _beside(request, lambda: receive(_chunks(request), said, kind))
    return Response(status_code=200)


async def _beside(request: Request, work: Callable[[], T]) -> T:
    """Call something that may wait for the client, in a thread that no page waits for."""
    limiter: CapacityLimiter | None = getattr(request.app.state, "uploads", None)
    if limiter is None:
        limiter = request.app.state.uploads = CapacityLimiter(AT_ONCE)
    return await to_thread.run_sync(work, limiter=limiter)


def _chunks(request: Request) -> Iterator[bytes]:
    """What the client sends, for a thread that takes it piece by piece."""
    stream = request.stream().__aiter__()

    async def following() -> bytes:
        return await anext(stream, b"")

    while chunk := from_thread.run(following):
        yield chunk


# ---------------------------------------------------------------------- out
@router.get("/files/{ticket}/{name}", openapi_extra=_SIGNED)
@router.head("/files/{ticket}/{name}", openapi_extra=_SIGNED, include_in_schema=False)
def download(request: Request, ticket: str, name: str) -> Response:
    """Send a file, or a part of it. What people wrote is saved, or shown where it can do nothing."""
    found = site_of(request).links.download(ticket)
    headers = {
        "content-security-policy": SANDBOX,
        "content-disposition": disposition(found.name, shown=found.type.startswith(SHOWN)),
        "content-type": found.type,
        "cache-control": "private, no-cache",
        "referrer-policy": "no-referrer",
        "accept-ranges": "bytes",
    }
    wanted = _range(request.headers.get("range"), found.size)
    if wanted is not None and not wanted:
        found.stream.close()
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{found.size}"})
    part = range(found.size) if wanted is None else wanted
    if wanted:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{found.size}"
    headers["content-length"] = str(len(part))
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        found.stream.close()
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_pieces(found.stream, part), status, headers)


def _pieces(stream: BinaryIO, part: range) -> Iterator[bytes]:
    """The bytes of a part. A stored file is checked from its beginning on, so it is read from there."""
    at = 0
    with stream:
        while at < part.stop and (piece := stream.read(min(CHUNK, part.stop - at))):
            fresh = piece[max(0, part.start - at) :]
            at += len(piece)
            if fresh:
                yield fresh


def _range(said: str | None, size: int) -> range | None:
    """The part that is asked for; None: all of it, also where several parts are asked for; empty: there is none."""
    found = _RANGE.fullmatch((said or "").replace(" ", ""))
    first, last = (found[1], found[2]) if found else ("", "")
    if not first:
        return range(max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(size, int(last) + 1) if last else size)


def disposition(name: str, *, shown: bool = False) -> str:
    """How a file is offered under a name, whatever is in that (RFC 6266)."""
    clean = "".join(c for c in unicodedata.normalize("NFC", name) if c.isprintable() and c not in '/\\"') or "file"
    plain = clean.encode("ascii", "replace").decode().replace("?", "_")
    return f"{'inline' if shown else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}"
