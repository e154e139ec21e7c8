"""``codabench gc`` and ``codabench usage``: what a workspace keeps in storage."""

from __future__ import annotations

import typer

from codabench.cli.output import FAILED, handled, print_json, say
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened


@handled
def gc(
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    older_than: str = typer.Option("24h", "--older-than", help="Since it was written or used: 7d, 12h."),
    verify: bool = typer.Option(False, "--verify", help="Also read every byte and compare it with its digest."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be removed."),
    as_json: bool = JSON,
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
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Show who uses how much storage of a workspace: by competition, user and kind."""
    with opened(workspace, db) as ws:
        found = ws.usage()
    if as_json:
        print_json({"ok": True, **found.model_dump(mode="json")})
    else:
        say(str(found))
