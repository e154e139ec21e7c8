"""The settings of a site that a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from codabench.web.config import Loaded

CONFIG = typer.Option(
    None, "--config", "-c", metavar="FILE", help="Its settings; default: codabench.toml, if it is here."
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
        ``CB820``, ``CB821``: they cannot be read, or cannot be. ``CB356``: the line names a place, and the database is
        that of another.
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
