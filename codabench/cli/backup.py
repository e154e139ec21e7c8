"""``codabench backup``, ``codabench restore`` and ``codabench db``: keeping a workspace safe."""

from __future__ import annotations

import typer

from codabench.cli.output import FAILED, handled, print_json, say
from codabench.cli.workspaces import DB, JSON, WORKSPACE, meant, opened


@handled
def backup(
    dest: str = typer.Argument(..., help="An empty directory, or a URL (s3://bucket/prefix)."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Copy a workspace, rows and files, while work goes on in it.

    Exit code 0: all of it. 1: something that the rows name is not stored. 2: usage. 3: the storage fails.
    """
    with opened(workspace, db) as ws:
        made = ws.backup(dest)
    if as_json:
        print_json({"ok": not made.missing, **made.model_dump(mode="json")})
    else:
        say(str(made))
    if made.missing:
        raise typer.Exit(FAILED)


@handled
def restore(
    source: str = typer.Argument(..., help="What `codabench backup` wrote."),
    workspace: str = typer.Option(..., "--workspace", "-w", help="An empty directory, or a URL together with --db."),
    db: str | None = typer.Option(None, "--db", help="An empty database (default: a file in that directory)."),
    as_json: bool = JSON,
) -> None:
    """Make a workspace of a backup; every byte is compared with its digest.

    Exit code 0: done. 2: usage. 3: the backup is not whole, or the place is not empty.
    """
    from codabench.core.text import plural
    from codabench.workspace.workspace import Workspace

    with Workspace.restore(source, workspace, db=db) as ws:
        competitions = ws.competitions()
    if as_json:
        print_json({"ok": True, "competitions": competitions})
    else:
        say(f"restored {plural(len(competitions), 'competition')} to {workspace}")


database = typer.Typer(name="db", help="Look at the database of a workspace, and bring it up to date.")


@database.command()
@handled
def current(workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON) -> None:
    """Show which revision its tables have, and the newest; changes nothing.

    Exit code 0: they are the same. 1: it is older; opening it brings it up to date. 3: it cannot be opened.
    """
    from codabench.db.schema import look
    from codabench.db.tables import HEAD

    found = look(meant(workspace, db)[1])
    if as_json:
        print_json({"ok": found == HEAD, "revision": found, "newest": HEAD})
    else:
        say(f"{found or 'no tables'}; the newest is {HEAD}")
    if found != HEAD:
        raise typer.Exit(FAILED)


@database.command()
@handled
def upgrade(workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON) -> None:
    """Bring its tables up to date, after a copy was made. Every command that opens it does so, too."""
    from codabench.db.tables import HEAD

    with opened(workspace, db):
        if as_json:
            print_json({"ok": True, "revision": HEAD})
        else:
            say(f"the tables have revision {HEAD}")


@database.command()
@handled
def check(workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON) -> None:
    """Compare what the rows say with the history that it follows from.

    Exit code 0: they agree. 1: they do not; restore a backup.
    """
    with opened(workspace, db) as ws:
        wrong = ws.db.check()
    if as_json:
        print_json({"ok": not wrong, "wrong": wrong})
    else:
        say("\n".join(wrong) or "everything agrees")
    if wrong:
        raise typer.Exit(FAILED)
