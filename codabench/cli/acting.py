"""``codabench cancel``, ``rerun``, ``start``: whether and when something is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from codabench.cli.completing import complete_phase, complete_run, complete_submission
from codabench.cli.output import FAILED, handled, print_json, say
from codabench.cli.show import SUBMISSION, WHAT, runs_meant
from codabench.cli.submit import BACKEND, WAIT, finish
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.core.problems import Fault
    from codabench.workspace.handles import RunHandle

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


@handled
def rerun(
    what: list[str] = typer.Argument(metavar="SUBMISSION...", help=SUBMISSION, autocompletion=complete_submission),
    phase: str = typer.Option(
        None, "--phase", "-p", help="Index or name; default: the same.", autocompletion=complete_phase
    ),
    task: list[str] = typer.Option(None, "--task", "-t", help="Index or name; default: the same. Repeatable."),
    backend: str = BACKEND,
    wait: bool = WAIT,
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Run submissions again, as new submissions of the same files that count against no limit. Everything is executed.

    Exit code 0: queued; with --wait: every run finished. 1: a run failed. 2: usage. 3: machine. 130: interrupted.
    """
    from codabench.workspace.running import attend

    with opened(workspace, db, dispatch=wait) as ws:
        which = [ws.submission(word).id for word in what]
        handles = [ws.rerun(id, backend=backend, task=task or None, phase=phase) for id in which]
        if wait:
            attend(ws, handles)
        finish(ws, handles, waited=wait, as_json=as_json)


@handled
def start(
    what: list[str] = typer.Argument(metavar="SUBMISSION...", help=SUBMISSION, autocompletion=complete_submission),
    wait: bool = WAIT,
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Queue submissions that are held back, because their competition does not run them by itself.

    Exit codes as for `codabench rerun`.
    """
    from codabench.workspace.running import attend

    with opened(workspace, db, dispatch=wait) as ws:
        handles = [ws.submission(word) for word in what]
        for handle in handles:
            handle.start()
        if wait:
            attend(ws, handles)
        finish(ws, handles, waited=wait, as_json=as_json)
