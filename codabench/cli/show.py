"""``codabench show`` and ``codabench logs``: one submission, or one run of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from codabench.cli.completing import complete_run
from codabench.cli.output import INTERRUPTED, handled, print_json, say, tell
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.core.records import HandScore
    from codabench.workspace.handles import RunHandle, SubmissionHandle
    from codabench.workspace.logs import Logs
    from codabench.workspace.workspace import Workspace

SUBMISSION = "Its id (4 characters or more), its name, or participant#number."
WHAT = "Id of a run or a submission (4 characters or more), name of a submission, or participant#number."


@handled
def show(
    what: str = typer.Argument(metavar="RUN|SUBMISSION", help=WHAT, autocompletion=complete_run),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Tell everything of a run, or of a submission and its runs: where it stands and why, scores, problem, logs."""
    from codabench.cli.documents import run_details, run_document, submission_document

    with opened(workspace, db) as ws:
        handle, runs = runs_meant(ws, what)
        if as_json:
            documents = [{**run_document(run), **run_details(run)} for run in runs]
            print_json({"ok": True, "submission": submission_document(handle), "runs": documents})
        else:
            say("\n\n".join([_head(handle), *(_run(handle, run) for run in runs)]))


def _head(handle: SubmissionHandle) -> str:
    from codabench.cli.documents import moment
    from codabench.core.text import printable
    from codabench.workspace.finding import short

    record = handle.record
    who = f"{printable(record.participant)}#{record.number}"
    gone = f"  deleted ({record.deletion})" if record.deletion else ""
    lines = [
        f"Submission {printable(handle.name)!r}  {short(handle.id)}  {who}  {handle.status.value}{gone}",
        f"  to         {printable(handle.competition.title)} ({short(record.competition)}),"
        f" phase {record.phase} {printable(handle.phase.name)}",
        f"  submitted  {moment(record.created_at)} UTC",
    ]
    if record.origin:
        kind = "rerun, for no board," if record.origin_kind == "aside" else record.origin_kind
        lines.append(f"  {kind} of {short(record.origin)}")
    lines += [f"  {printable(key)}  {printable(str(value))}" for key, value in (record.fact_sheet or {}).items()]
    return "\n".join(lines)


def _run(handle: SubmissionHandle, run: RunHandle) -> str:
    from textwrap import indent

    from codabench.cli.documents import moment
    from codabench.core.report import render_problem
    from codabench.core.text import human_size, printable
    from codabench.workspace.finding import short

    record = run.record
    task = next((t.name for t in handle.tasks if t.index == record.task), str(record.task))
    revision = f", revision {record.revision}" if record.revision > 1 else ""
    lines = [f"Run {short(run.id)}  task {printable(str(record.task))} {printable(task)}{revision}", str(run.explain())]
    if run.scores:
        lines.append("scores  " + "   ".join(f"{printable(k)} {v:g}" for k, v in run.scores.items()))
    for each in run.by_hand:
        written = run.outcome.scores.get(each.key) if run.outcome else None
        lines.append(f"by hand  {moment(each.at)}  {_change(each, written)}")
    lines += [render_problem(warning) for warning in run.warnings]
    logs = [(name, run.logs.record(name).total) for name in run.logs] if run.outcome else []
    if kept := [f"{name} {human_size(size)}" for name, size in logs if size]:
        lines.append(f"logs  {', '.join(kept)}: codabench logs {short(run.id)}")
    if run.provenance:
        made = run.provenance
        where = f" on the worker {printable(run.worker)}" if run.worker else ""
        lines.append(f"ran in {made['image']['name']} ({made['engine']['name']}){where}, {run.seconds:.1f} s")
    return lines[0] + "\n" + indent("\n".join(lines[1:]), "  ")


def _change(score: HandScore, written: float | None) -> str:
    from codabench.core.text import printable

    before = "n/a" if written is None else f"{written:g}"
    what = "as it was scored" if score.value is None else f"{before} → {score.value:g}"
    return f"{printable(score.key)} {what}  by {printable(score.by)}: {printable(score.note)}"


def runs_meant(ws: Workspace, what: str) -> tuple[SubmissionHandle, list[RunHandle]]:
    """The submission and its runs, or one of them."""
    from codabench.core.records import Submission
    from codabench.workspace.finding import run_or_submission

    found = run_or_submission(ws.db, what)
    if isinstance(found, Submission):
        handle = ws.submission(found.id)
        return handle, handle.runs
    return ws.submission(found.submission), [ws.run(found.id)]


@handled
def logs(
    what: str = typer.Argument(metavar="RUN|SUBMISSION", help=WHAT, autocompletion=complete_run),
    name: str = typer.Argument(None, metavar="[NAME]", help="Only this one, as it is: scoring_stdout, ..."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until the run is over, printing what comes."),
    out: Path = typer.Option(None, "--out", "-o", help="Write them there instead, a file for each."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Print what the programs of a run printed.

    Of a run that goes on in another process, --follow prints what comes, a second later. In a terminal, control
    characters are shown as escapes.
    """
    with opened(workspace, db) as ws:
        run = only_run(ws, what)
        if follow:
            _follow(run, name, tell if as_json else say)
            if out is None and not as_json:
                return
        found = run.logs
        if name is not None:
            _check(found, name)
        names = [name] if name else list(found)
        if out is not None:
            from codabench.workspace.export import export_logs

            export_logs(out, run, names)
            tell(f"{', '.join(names) or 'no log'} in {out}")
        if as_json:
            print_json({"ok": True, "run": run.id, "logs": {each: found[each] for each in names}})
        elif out is None:
            _print(found, name)


def _print(found: Logs, name: str | None) -> None:
    """All logs under their names, or one as it is."""
    from codabench.core.text import printable

    if name is None:
        say(repr(found))
    elif sys.stdout.isatty():
        say(printable(found[name]).rstrip("\n"))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(found.raw(name))
        sys.stdout.flush()


def only_run(ws: Workspace, what: str) -> RunHandle:
    """The run that is meant, also by its submission if that has no other."""
    from codabench.core.errors import NotFound
    from codabench.core.text import plural
    from codabench.workspace.finding import short

    handle, runs = runs_meant(ws, what)
    if len(runs) == 1:
        return runs[0]
    listed = [f"run {short(run.id)}  {task.name!r}" for task, run in zip(handle.tasks, runs, strict=True)]
    message = "\n  ".join([f"{what!r} has {plural(len(runs), 'run')}:", *listed])
    raise NotFound(message, code="CB343", hint="name one of them")


def _check(found: Logs, name: str) -> None:
    from codabench.core.errors import NotFound

    if name not in found:
        raise NotFound(f"there is no log {name!r}", hint=f"there are: {', '.join(found) or 'none yet'}")


def _follow(run: RunHandle, name: str | None, out: Callable[[str], None]) -> None:
    from codabench.workspace.progress import FollowProgress

    try:
        run.watch(FollowProgress(out, only=name))
    except KeyboardInterrupt:
        tell("the run goes on")
        raise typer.Exit(INTERRUPTED) from None
