"""``codabench reevaluate``: bring stored scores up to date with the newest revisions, and compare boards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.completing import complete_competition
from codabench.cli.options import JOBS, PHASE
from codabench.cli.output import FAILED, error_document, error_text, handled, print_json, say, tell
from codabench.cli.submit import BACKEND
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.reevaluation.handle import BatchHandle
    from codabench.workspace.workspace import Workspace


@handled
def reevaluate(
    competition: str = typer.Argument(
        metavar="COMPETITION", help="Its id, the beginning of it, or its title.", autocompletion=complete_competition
    ),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    plan: bool = typer.Option(False, "--plan", help="Say what has to be done and why; nothing is started (default)."),
    execute: bool = typer.Option(False, "--execute", help="Carry it out; the same line again continues."),
    diff: bool = typer.Option(False, "--diff", help="The board before and after; nothing is published."),
    promote: bool = typer.Option(False, "--promote", help="Have boards show it, all at once."),
    batch: str = typer.Option(None, "--batch", metavar="ID", help="Which one; default: the newest that is not over."),
    phase: str = PHASE,
    task: str = typer.Option(None, "--task", "-t", help="Index or name; default: all."),
    where: list[str] = typer.Option(
        None,
        "--where",
        metavar="WHAT",
        help="finished (default), failed, all; participant=NAME, submission=NAME. Repeatable.",
    ),
    reuse: str = typer.Option(
        "same-submission", "--reuse", help="Predictions to start from: same-submission, any, always or never."
    ),
    note: str = typer.Option("", "--note", help="Why, for readers of the board."),
    retries: int = typer.Option(0, "--retries", min=0, help="How often a run is tried again whose machine failed."),
    max_failures: float = typer.Option(
        None, "--max-failures", min=0, help="Give up when more have failed: a number, or a share below 1."
    ),
    backend: str = BACKEND,
    jobs: int = JOBS,
    as_json: bool = JSON,
) -> None:
    """Bring stored scores up to date after a program, data or an image changed; only what changed is computed.

    The first Ctrl-C lets what runs come to its end, the second cancels it. Exit code 0: done. 1: runs failed. 2: usage.
    3: engine, storage or database. 130: interrupted.
    """
    from codabench.core.errors import BatchAborted
    from codabench.core.text import plural

    action = _action(plan=plan, execute=execute, diff=diff, promote=promote)
    with opened(workspace, db, dispatch=execute) as ws:
        comp = ws.competition(competition)
        if action == "diff":
            found = _meant(ws, comp, batch).diff(phase=phase)
            _show(found, found.to_dict(), as_json=as_json)
        elif action == "promote":
            chosen = _meant(ws, comp, batch)
            count = chosen.promote(note)
            said = f"{plural(count, 'run')} of batch {chosen.id} on the board"
            _show(said, {"promoted": count, "batch": chosen.to_dict()}, as_json=as_json)
        elif action == "plan":
            made = _plan(ws, comp, phase, task, where, reuse, note)
            _show(made, made.to_dict(), as_json=as_json)
        else:
            how: dict[str, Any] = {"retries": retries, "max_failures": max_failures}
            try:
                if batch is not None:
                    ran = _meant(ws, comp, batch).resume(backend, jobs, **how)
                else:
                    made = _plan(ws, comp, phase, task, where, reuse, note)
                    tell(repr(made))
                    ran = made.execute(backend, jobs, **how)
            except BatchAborted as error:
                if as_json:
                    print_json({**error_document(error), "failures": error.failures.to_dict()})
                else:
                    tell(f"{error_text(error)}\n{error.failures!r}")
                raise typer.Exit(FAILED) from None
            _show(ran, {"batch": ran.to_dict()}, as_json=as_json)
            if ran.progress().failed:
                raise typer.Exit(FAILED)


def _action(**asked: bool) -> str:
    """The only one of the actions that was asked for; the plan if none was.

    Raises
    ------
    UsageError
        ``CB651``: several were.
    """
    from codabench.core.errors import UsageError

    chosen = [name for name, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        raise UsageError("choose one of " + ", ".join(f"--{name}" for name in chosen), code="CB651")
    return chosen[0] if chosen else "plan"


def _plan(
    ws: Workspace,
    comp: Competition,
    phase: str | None,
    task: str | None,
    where: list[str] | None,
    reuse: Any,
    note: str,
) -> Any:
    from codabench.workspace.reevaluation.choosing import chosen

    return ws.reevaluate(comp, phase=phase, task=task, where=chosen(where or ()), reuse=reuse, note=note)


def _meant(ws: Workspace, comp: Competition, id: str | None) -> BatchHandle:
    """The batch of that id; without one the newest that is neither promoted nor abandoned, else the newest.

    Raises
    ------
    NotFound
        There is none.
    """
    from codabench.core.errors import NotFound
    from codabench.core.evaluations import BatchState

    if id is not None:
        return ws.batch(id)
    known = ws.batches(comp)
    over = (BatchState.PROMOTED, BatchState.ABANDONED)
    found = [batch for batch in known if batch.state not in over] or known
    if not found:
        raise NotFound(f"{comp.title!r} has no re-evaluation", hint="begin one: --execute")
    return found[-1]


def _show(what: object, document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, **document})
    else:
        say(str(what))
