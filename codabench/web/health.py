"""Whether the server can do its work, for whoever watches over it."""

from __future__ import annotations

from fastapi import APIRouter, Request

from codabench._version import __version__
from codabench.web.identity import site_of
from codabench.web.routing import open_to_all

router = APIRouter(tags=["site"])


@router.get("/api/health/", openapi_extra=open_to_all("it says nothing but that the site is there"))
def health(request: Request) -> dict[str, str | bool]:
    """200 if requests are answered and the database answers, else 503."""
    site_of(request).alive()
    return {"ok": True, "version": __version__}
