"""A `Site` from settings: what must not be served is refused, then the workspace is opened."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager

from codabench.core.errors import UsageError
from codabench.core.policy import UNBOUNDED, Network, Policy
from codabench.core.text import parse_size
from codabench.db.schema import look
from codabench.db.tables import HEAD
from codabench.site.site import Site
from codabench.web.config import Loaded, RunSettings, Settings
from codabench.workspace.addresses import plain_url, usual_database
from codabench.workspace.workspace import Workspace


def refuse_exposed(loaded: Loaded) -> None:
    """Nobody else's machine gets to a site of which nothing was said.

    Raises
    ------
    UsageError
        ``CB823``: it would listen beyond this machine, and nobody said under which address people come and what
        stands before it; or runs would not be isolated there.
    """
    host, origins = loaded.settings.server.host, loaded.origins
    if _is_here(host):
        return
    missing = [name for name in ("site.url", "server.proxies") if name not in origins]
    if missing:
        hint = "set site.url to the address that people type, and server.proxies to the addresses of your reverse proxy"
        raise UsageError(
            f"server.host is {host}, which others reach, and {' and '.join(missing)} is not set",
            code="CB823",
            hint=f"{hint} ([] if there is none)",
        )
    if loaded.settings.runs.backend == "process":
        raise UsageError(
            f"server.host is {host}, which others reach, and runs.backend is process, which isolates nothing",
            code="CB823",
            hint="runs.backend = docker or podman",
        )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def database_of(settings: Settings) -> str:
    """The URL of the database, with its password.

    Raises
    ------
    UsageError
        ``CB356``: the storage is elsewhere, and nobody says where the database is.
    """
    place, said = plain_url(settings.storage.url), settings.db.whole_url()
    if said is None and "://" in place:
        hint = "db.url in the settings: postgresql+psycopg://server/name, or sqlite:///path"
        raise UsageError(f"where is the database of {place}? It cannot lie there", code="CB356", hint=hint)
    return said or usual_database(place)


def refuse_old(url: str, *, migrate: bool) -> str | None:
    """The revision of a database as it is; None: it has no tables yet.

    Raises
    ------
    UsageError
        ``CB824``: its tables are those of an earlier version, and nobody said that they may be changed.
    """
    found = look(url)
    if found not in (None, HEAD) and not migrate and found < HEAD:
        raise UsageError(
            f"the tables of the database have revision {found}; this version needs {HEAD}",
            code="CB824",
            hint="stop the other processes, then codabench serve --migrate: a copy is made first",
        )
    return found


def ceiling_of(runs: RunSettings) -> Policy:
    """What programs are granted at most."""
    memory = None if runs.memory is None else parse_size(runs.memory)
    limits = UNBOUNDED.limits.model_copy(update={"memory": memory, "cpus": runs.cpus})
    network = Network.OPEN if runs.network is None else Network(runs.network)
    return UNBOUNDED.model_copy(update={"limits": limits, "network": network})


@contextmanager
def opened(settings: Settings) -> Iterator[Site]:
    """The site of these settings; made if it is not there. It only queues: `Workspace.dispatch` carries runs out."""
    storage, runs = settings.storage, settings.runs
    workspace = Workspace(
        storage.url,
        db=database_of(settings),
        backend=runs.backend,
        jobs=runs.jobs or None,
        storage_options=dict(storage.options),
        ceiling=ceiling_of(runs),
        local_data=runs.data,
        cache=storage.cache,
        cache_bytes=storage.cache_bytes,
        dispatch=False,
    )
    with workspace, Site(workspace, settings.site) as site:
        yield site
