"""The workspace that a command works on: which one is meant, and that it is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace

HERE = ".codabench"
"""The workspace of a directory, where nobody names another one."""
PLACE, DATABASE = "CODABENCH_WORKSPACE", "CODABENCH_DB"

WORKSPACE = typer.Option(
    None, "--workspace", "-w", metavar="DIR|URL", help=f"Which workspace; default: {PLACE}, else {HERE} here."
)
DB = typer.Option(
    None, "--db", metavar="URL", help=f"Its database, an SQLAlchemy URL; default: {DATABASE}, else the file in it."
)
JSON = typer.Option(False, "--json", help="Print one JSON document.")


def meant(workspace: str | None, db: str | None, *, new: bool = False) -> tuple[str, str]:
    """The place and the database of the workspace that is meant; it need not be there.

    A database that the environment names belongs to the workspace that the environment names, and to no other.

    Parameters
    ----------
    new
        It may be one that is about to be made: where nobody names one, that of the current directory.

    Raises
    ------
    UsageError
        ``CB357``: none is named, and there is none in the current directory. ``CB356``: nobody says where its database
        is.
    """
    from codabench.core.errors import UsageError
    from codabench.workspace.addresses import usual_database

    if workspace is None and os.environ.get(PLACE):
        workspace, db = os.environ[PLACE], db or os.environ.get(DATABASE)
    if workspace == "":  # a variable that is not set, not the current directory
        raise UsageError("--workspace is empty", code="CB357", hint="name a directory or a URL; . is this directory")
    if workspace is None:
        if not new and not (Path(HERE) if db else Path(HERE) / "codabench.db").exists():
            hint = f"name one: --workspace DIR, or {PLACE}=DIR; `codabench add BUNDLE` makes {HERE} here"
            raise UsageError(f"no workspace is named, and there is no {HERE} here", code="CB357", hint=hint)
        workspace = HERE
    place = workspace.removeprefix("file://")
    if db is None and "://" in place:
        hint = f"--db postgresql+psycopg://server/name, or sqlite:///path; or {DATABASE} together with {PLACE}"
        raise UsageError(f"where is the database of {place}? It cannot lie there", code="CB356", hint=hint)
    return place, db or usual_database(place)


@contextmanager
def opened(workspace: str | None, db: str | None, *, new: bool = False, **options: Any) -> Iterator[Workspace]:
    """The workspace that is meant. It has to be there, unless it may be `new`: to look at something makes nothing.

    Parameters
    ----------
    options
        As for `Workspace`.

    Raises
    ------
    UsageError
        ``CB357``: there is none. See `meant`.
    """
    from codabench.core.errors import UsageError
    from codabench.db.schema import look
    from codabench.workspace.workspace import Workspace

    place, database = meant(workspace, db, new=new)
    if not new and look(database) is None:
        hint = "name the directory or URL that it was made with, and its database (--db) if that lies elsewhere"
        raise UsageError(f"there is no workspace in {place}", code="CB357", hint=hint)
    with Workspace(place, db=database, **options) as ws:
        yield ws
