"""The site that a command works on, and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from codabench.site.site import Site
    from codabench.web.config import Loaded

CONFIG = typer.Option(
    None, "--config", "-c", metavar="FILE", help="Settings of a site; default: codabench.toml, if it is here."
)


def loaded(config: Path | None, workspace: str | None = None, db: str | None = None, **more: Any) -> Loaded:
    """Settings from a file, the environment, and the line.

    Parameters
    ----------
    more
        Other settings that the line names: ``server__port=80``.

    Raises
    ------
    UsageError
        ``CB820``, ``CB821``: they cannot be read, or cannot be. ``CB356``: the line names a place, and the settings
        the database of another.
    """
    from codabench.core.errors import UsageError
    from codabench.web.config import load

    given = {name.replace("__", "."): value for name, value in more.items()}
    found = load(config, given={**given, "storage.url": workspace, "db.url": db})
    origin = found.origins.get("db.url")
    if workspace is not None and db is None and origin is not None:
        hint = "name its database, too: --db"
        raise UsageError(f"--workspace names a place, and {origin} the database of another", code="CB356", hint=hint)
    return found


@contextmanager
def site_at(
    workspace: str | None, db: str | None, *, config: Path | None = None, new: bool = False, **more: Any
) -> Iterator[Site]:
    """The site that is meant. It has to be there, unless it may be `new`.

    Raises
    ------
    UsageError
        ``CB357``: there is none. See `loaded`.
    """
    from codabench.core.errors import UsageError
    from codabench.db.schema import look
    from codabench.web.opening import database_of, opened

    settings = loaded(config, workspace, db, **more).settings
    if not new and look(database_of(settings)) is None:
        hint = "name the directory or URL that it was made with, and its database (--db) if that lies elsewhere"
        raise UsageError(f"there is no workspace in {settings.storage.url}", code="CB357", hint=hint)
    with opened(settings) as site:
        yield site
