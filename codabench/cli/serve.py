"""``codabench serve``: a site for people and robots, in one process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from codabench.cli.output import handled, say, tell
from codabench.cli.sites import CONFIG, loaded
from codabench.cli.workspaces import DB, WORKSPACE

if TYPE_CHECKING:
    from codabench.site.site import Site
    from codabench.web.config import Loaded, Settings


@handled
def serve(
    config: Path | None = CONFIG,
    host: str = typer.Option(
        None, "--host", help="Where to listen; default: 127.0.0.1, which only this machine reaches."
    ),
    port: int = typer.Option(None, "--port", "-p", min=0, max=65535, help="Default: 8000. 0: any that is free."),
    migrate: bool = typer.Option(
        False, "--migrate", help="Bring the tables of an older version up to date; copies them first."
    ),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
) -> None:
    """Serve a site: pages, the REST API, and the runs of what is submitted, until stopped.

    Nothing has to be set up: files and database are kept in .codabench, only this machine reaches it, and a link that
    works once is printed for the first administrator. docs/serve.md tells how to serve others.

    The first Ctrl-C or SIGTERM lets requests end, and gives back to the queue what runs. Exit code 0: ended as asked.
    2: usage. 3: the database or the storage fails.
    """
    found = loaded(config, workspace, db, server__host=host, server__port=port)
    _needs_extra()
    from codabench.web.logs import written_down
    from codabench.web.opening import database_of, opened, refuse_exposed, refuse_old
    from codabench.web.serve import listen, told_to_stop
    from codabench.web.serve import serve as serve_site

    refuse_exposed(found)
    revision = refuse_old(database_of(found.settings), migrate=migrate)
    with told_to_stop() as told, listen(found.settings.server) as listening:
        settings = _reached(found, listening.getsockname()[1])
        with written_down(settings.server.log_level, as_json=settings.server.json_logs), opened(settings) as site:
            _tell_what_is_there(site, found, revision)
            say(f"open {settings.site.url}")
            if (link := site.accounts.first_link()) is not None:
                say(f"the first administrator: {link}  (works once, for {settings.site.link_hours:g} hours)")
            serve_site(site, settings, listening, told)
        tell("stopped; what ran is queued again")


def _needs_extra() -> None:
    from codabench.core.errors import MissingExtra

    try:
        import argon2  # noqa: F401
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"{error.name}, which serves a site, is not installed", hint="pip install 'codabench[web]'"
        ) from None


def _reached(found: Loaded, port: int) -> Settings:
    """The settings with the address under which this machine reaches the site, where no other is said."""
    settings = found.settings
    if "site.url" in found.origins:
        return settings
    name = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    site = settings.site.model_copy(update={"url": f"http://{name}:{port}"})
    return settings.model_copy(update={"site": site})


def _tell_what_is_there(site: Site, found: Loaded, revision: str | None) -> None:
    """A line for each thing that a site needs."""
    from codabench._version import __version__
    from codabench.core.errors import EngineError
    from codabench.core.text import plural
    from codabench.db.tables import HEAD

    site.links.signer  # noqa: B018 - a key that cannot be kept is said before anybody comes
    tell(f"codabench {__version__}")
    origins = sorted(set(found.origins.values()))
    tell(f"✓ settings  {', '.join(origins) or 'none, and none are needed'}")
    was = {None: ", new", HEAD: ""}.get(revision, f", brought from revision {revision}")
    tell(f"✓ database  {site.db.url}, revision {HEAD}{was}")
    tell(f"✓ storage   {site.workspace.url}")
    tell(f"✓ mail      {'sent' if found.settings.site.mail_url else 'shown here: site.mail_url is not set'}")
    if found.settings.runs.jobs == 0:
        tell("✓ runs      none here: another process carries them out")
        return
    try:
        place = site.workspace.places.get().info()
    except EngineError as error:
        tell(f"✗ runs      {error.message} [{error.code}]: submissions wait until something can carry them out")
    else:
        tell(f"✓ runs      {place.engine}, {plural(place.slots, 'run')} at the same time")
