"""`create_app`: one site as an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI

from codabench._version import __version__
from codabench.web import api, events, failures, health, pages, transfer
from codabench.web.api.common import Spelling
from codabench.web.closing import Door
from codabench.web.config import ServerSettings
from codabench.web.rendering import STATIC, Assets
from codabench.web.routing import refuse_undecided
from codabench.web.security import Guard
from codabench.web.streaming import Hub

if TYPE_CHECKING:
    from codabench.site.site import Site

BODY = 16 * 1024**2
"""Bytes of a request, unless its route says ``max_body_size``."""

ROUTERS: tuple[APIRouter, ...] = (health.router, transfer.router, events.router, *api.ROUTERS, *pages.ROUTERS)
"""The routes, by subject. A route that two of them have is that of the first."""

_HERE = ("127.0.0.1", "localhost", "::1")


def create_app(site: Site, settings: ServerSettings | None = None) -> FastAPI:
    """The application that shows a site; mount it, add routers, or serve it with any ASGI server.

    Parameters
    ----------
    site
        Stays its maker's: the application neither closes it nor does its scheduled work (`Site.attend`).
    settings
        None: answers to the name in ``url`` of the site, and to those of this machine.

    Raises
    ------
    RuntimeError
        There is a route of which nothing says who may use it.
    UsageError
        ``CB822``: the key of the site cannot be kept, or others can read it.
    """
    settings = settings or ServerSettings()
    app = FastAPI(
        title=site.settings.title,
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        max_body_size=BODY,
    )
    app.state.site, app.state.server, app.state.signer, app.state.live = site, settings, site.links.signer, Hub()
    app.state.door = Door(site)
    failures.install(app)
    base = urlsplit(site.settings.url)
    hosts = {base.hostname or "", *_HERE, *settings.hosts}
    app.add_middleware(Guard, hosts=hosts, https=base.scheme == "https")
    app.add_middleware(Spelling)
    app.mount("/static", Assets(directory=STATIC), name="static")
    # As they are: to include a router is to make each of its routes once more, a tenth of a second for all of them.
    app.router.routes.extend(route for router in ROUTERS for route in router.routes)
    refuse_undecided(app)
    return app
