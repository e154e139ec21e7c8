"""``codabench maintenance``: close a site for a while."""

from __future__ import annotations

from pathlib import Path

import typer

from codabench.cli.output import handled, print_json, say
from codabench.cli.sites import CONFIG, site_at
from codabench.cli.workspaces import DB, JSON, WORKSPACE


@handled
def maintenance(
    text: str = typer.Argument(None, metavar="TEXT", help="What is shown instead of every page. None: the state."),
    off: bool = typer.Option(False, "--off", help="Open the site again."),
    config: Path | None = CONFIG,
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Show a text instead of every page of a site, to all but administrators, with status 503. Runs go on."""
    from codabench.core.errors import UsageError
    from codabench.core.text import printable
    from codabench.site.actors import ANONYMOUS, OPERATOR

    if off and text is not None:
        raise UsageError("a text, or --off: not both", code="CB353")
    with site_at(workspace, db, config=config) as site:
        if off:
            site.status.open_again(OPERATOR)
        elif text is not None:
            site.status.close_for_maintenance(OPERATOR, text)
        shown = site.status.maintenance(ANONYMOUS)
    if as_json:
        print_json({"ok": True, "text": shown})
    else:
        say("the site is open" if shown is None else f"the site is closed: {printable(shown)}")
