"""``codabench migrate`` and ``codabench tick``: from one phase to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.completing import complete_competition, complete_phase
from codabench.cli.output import handled, print_json, say, tell
from codabench.cli.sites import CONFIG, site_at
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.workspace.migration import Migration


@handled
def migrate(
    competition: str = typer.Argument(metavar="COMPETITION", autocompletion=complete_competition),
    phase: str = typer.Argument(metavar="PHASE", help="The later one: index or name.", autocompletion=complete_phase),
    leave_unfinished: bool = typer.Option(False, "--leave-unfinished", help="Do not wait for what is not over."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Take what stands on the board of the phase before to a phase, as new submissions. Done once for each phase."""
    with opened(workspace, db, dispatch=False) as ws:
        made = ws.migrate(ws.competition(competition), phase, leave_unfinished=leave_unfinished)
        if as_json:
            print_json({"ok": True, **_document(made)})
        else:
            say(str(made))


@handled
def tick(
    config: Path | None = CONFIG, workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON
) -> None:
    """Do what is due by the clock: phases that have begun get the submissions of those before, where they say so.

    For a site also: mails are sent, what nobody came back to is removed. To be called about once a minute, by cron or
    a timer, where neither `codabench dispatch` nor `codabench serve` runs; they do it, too.
    """
    with site_at(workspace, db, config=config) as site:
        made = site.workspace.tick()
        site.tick()
        if as_json:
            print_json({"ok": True, "migrations": [_document(each) for each in made]})
        else:
            for each in made:
                say(str(each))
            if not made:
                tell("nothing is due")


def _document(made: Migration) -> dict[str, Any]:
    return made.model_dump(mode="json")
