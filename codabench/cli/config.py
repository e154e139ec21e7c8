"""``codabench config``: the settings of a site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from codabench.cli.output import handled, print_json, say
from codabench.cli.sites import CONFIG, loaded
from codabench.cli.workspaces import DB, JSON, WORKSPACE

config = typer.Typer(name="config", help="The settings of a site.", no_args_is_help=True)


@config.command()
@handled
def show(
    config: Path | None = CONFIG, workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON
) -> None:
    """Show every setting: its value, and where that is from. Passwords and keys are never shown.

    Exit code 0: `codabench serve` would take them. 2: something cannot be read, or cannot be.
    """
    from codabench.cli.tables import table
    from codabench.web.config import shown

    found = loaded(config, workspace, db)
    rows = [(name, value, found.origin(name)) for name, value in shown(found.settings)]
    if as_json:
        settings = [{"name": name, "value": value, "origin": origin} for name, value, origin in rows]
        print_json({"ok": True, "settings": settings})
    else:
        say(table(("name", "value", "from"), [(name, _text(value), origin or "-") for name, value, origin in rows]))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
