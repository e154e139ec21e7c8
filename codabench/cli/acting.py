"""``codabench cancel``, ``rerun``, ``start``, ``score``: what one does to submissions and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from codabench.cli.completing import complete_run
from codabench.cli.output import FAILED, handled, print_json, say
from codabench.cli.show import WHAT, runs_meant
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.core.problems import Fault
    from codabench.workspace.handles import RunHandle

SUBMISSION = "Its id (4 characters or more), its name, or participant#number."
_PATIENCE = 15
"""Seconds until `cancel` waits no more for whoever drives a run."""


@handled
def cancel(
    what: list[str] = typer.Argument(metavar="RUN|SUBMISSION...", help=WHAT, autocompletion=complete_run),
    reason: str = typer.Option("cancelled", "--reason", help="Why; participants read it."),
    by: str = typer.Option(
        "participant", "--by", help="Who: what organizer or operator cancel counts against no limit."
    ),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Stop runs that wait or are under way, whichever process drives them.

    Exit code 0: none of them goes on. 1: one still does, its process has not answered yet. 2: usage.
    """
    fault = _fault(by)
    with opened(workspace, db, dispatch=False) as ws:
        runs = [run for word in what for run in runs_meant(ws, word)[1]]
        over = {run.id for run in runs if run.status.is_final}
        going = [run for run in runs if run.id not in over]
        ws.cancel([run.id for run in going], reason, fault=fault)
        ended = ws.wait([run.id for run in going], _PATIENCE, work=False)
        if as_json:
            listed = [{"id": r.id, "status": r.status.value, "was_over": r.id in over} for r in runs]
            print_json({"ok": ended, "runs": listed})
        else:
            for run in runs:
                say(_ended(run, was_over=run.id in over))
    if not ended:
        raise typer.Exit(FAILED)


def _ended(run: RunHandle, *, was_over: bool) -> str:
    from codabench.workspace.finding import short

    said = f"{short(run.id)}  {run.status.value}"
    if was_over:
        return f"{said}  (it was over)"
    return said if run.status.is_final else f"{said}  (asked; {run.explain().why})"


def _fault(word: str) -> Fault:
    from codabench.core.errors import UsageError
    from codabench.core.problems import Fault

    try:
        return Fault(word)
    except ValueError:
        there = ", ".join(fault.value for fault in Fault)
        raise UsageError(f"nobody is a {word!r}", code="CB353", hint=f"--by is one of {there}") from None
