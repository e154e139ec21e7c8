"""``codabench status``: who carries out what where, and what waits."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.output import INTERRUPTED, handled, print_json, say, utf8
from codabench.cli.workspaces import DB, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.workspace.status import WorkspaceStatus
    from codabench.workspace.workspace import Workspace

_OTHER_LINES = 18
"""Of a terminal: counts, processes, some workers, heads."""


@handled
def status(
    watch: bool = typer.Option(False, "--watch", help="Look again and again, until Ctrl-C."),
    every: float = typer.Option(2.0, "--every", min=0.2, metavar="SECONDS", help="Between two looks of --watch."),
    limit: int = typer.Option(20, "--limit", "-n", min=0, help="Runs that are listed of those under way and waiting."),
    backend: str = typer.Option(
        "auto", "--backend", "-b", help="Also look at this cluster: dask://host:8786. Else dispatchers tell of theirs."
    ),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document; with --watch one on each line."),
) -> None:
    """Tell who carries out runs and where, what waits since when and why, and how much was done in the last hour.

    It is asked from the database: whichever processes take part, and whether any does.
    """
    with opened(workspace, db, backend=backend, dispatch=False) as ws:
        if watch:
            _watch(ws, every, limit, as_json=as_json)
        elif as_json:
            print_json({"ok": True, **ws.status(limit=limit).to_dict()})
        else:
            _say(ws.status(limit=limit))


def _say(found: WorkspaceStatus) -> None:
    from codabench.cli.tables import room

    say(found.text(room()))


def _watch(ws: Workspace, every: float, limit: int, *, as_json: bool) -> None:
    try:
        with _shown(as_json=as_json) as show:
            while True:
                show(ws.status(limit=limit if as_json else min(limit, _most_listed())))
                time.sleep(every)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _most_listed() -> int:
    """How many runs of each list a terminal has lines for."""
    import shutil

    return max(1, (shutil.get_terminal_size().lines - _OTHER_LINES) // 2) if sys.stdout.isatty() else 1 << 30


@contextmanager
def _shown(*, as_json: bool) -> Iterator[Any]:
    """In a terminal one look takes the place of the other; elsewhere they follow each other."""
    if as_json:
        yield lambda found: say(json.dumps({"ok": True, **found.to_dict()}))
    elif not sys.stdout.isatty() or not utf8(sys.stdout):
        yield lambda found: say(f"{found.text()}\n")
    else:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        from codabench.cli.tables import room

        with Live(console=Console(), auto_refresh=False, vertical_overflow="crop") as live:
            yield lambda found: live.update(Text(found.text(room())), refresh=True)
