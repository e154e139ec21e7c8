"""``codabench gc`` and ``codabench usage``: what a workspace keeps in storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from codabench.cli.output import FAILED, handled, print_json, say

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace

WORKSPACE = typer.Option(..., "--workspace", "-w", help="Its directory, or its URL together with --db.")
DB = typer.Option(None, "--db", help="Its database, an SQLAlchemy URL (default: the file in its directory).")


@contextmanager
def opened(workspace: str, db: str | None) -> Iterator[Workspace]:
    """A workspace that is there.

    Raises
    ------
    UsageError
        ``CB357``: there is none.
    """
    from pathlib import Path

    from codabench.core.errors import UsageError
    from codabench.workspace.workspace import Workspace

    if db is None and not (Path(workspace.removeprefix("file://")) / "codabench.db").is_file():
        hint = "name the directory that cb.Workspace was given; of one elsewhere also the database (--db)"
        raise UsageError(f"there is no workspace in {workspace}", code="CB357", hint=hint)
    with Workspace(workspace, db=db) as ws:
        yield ws


@handled
def gc(
    workspace: str = WORKSPACE,
    db: str | None = DB,
    older_than: str = typer.Option("24h", "--older-than", help="Since it was written or used: 7d, 12h."),
    verify: bool = typer.Option(False, "--verify", help="Also read every byte and compare it with its digest."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be removed."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Remove what no competition, submission or run of a workspace needs, from its storage and from the cache.

    Exit code 0: done. 1: something stored was changed (--verify). 2: usage. 3: the storage fails.
    """
    with opened(workspace, db) as ws:
        found = ws.gc(dry_run=dry_run, verify=verify, older_than=older_than)
    if as_json:
        print_json({"ok": not found.damaged, "size": found.size, **found.model_dump(mode="json")})
    else:
        say(str(found))
    if found.damaged:
        raise typer.Exit(FAILED)


@handled
def usage(
    workspace: str = WORKSPACE,
    db: str | None = DB,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Show who uses how much storage of a workspace: by competition, user and kind."""
    with opened(workspace, db) as ws:
        found = ws.usage()
    if as_json:
        print_json({"ok": True, **found.model_dump(mode="json")})
    else:
        say(str(found))
