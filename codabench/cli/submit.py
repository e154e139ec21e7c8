"""``codabench submit``, and what is said of everything that was queued."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.completing import complete_competition
from codabench.cli.options import (
    ALLOW,
    CPUS,
    FACT_SHEET,
    FOLLOW,
    GPUS,
    IMAGE,
    JOBS,
    LOCAL_DATA,
    MEMORY,
    NETWORK,
    PHASE,
    POLICY,
    PULL,
    TASK,
    TIMEOUT,
    answers_in,
    given_local_data,
)
from codabench.cli.output import FAILED, error_text, exit_code, handled, print_json, say, tell
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.core.errors import CodabenchError
    from codabench.workspace.handles import SubmissionHandle
    from codabench.workspace.workspace import Workspace

BACKEND = typer.Option(None, "--backend", "-b", help="auto, docker, podman, sandbox or process.")
WAIT = typer.Option(False, "--wait", help="Carry it out here, and return when it is over; Ctrl-C cancels it.")


@handled
def submit(
    competition: str = typer.Argument(
        metavar="COMPETITION", help="Its id, the beginning of it, or its title.", autocompletion=complete_competition
    ),
    files: list[str] = typer.Argument(metavar="FILE...", help="Zips, directories or URLs; each is a submission."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    phase: str = PHASE,
    task: list[str] = TASK,
    participant: str = typer.Option(None, "--participant", help="Whose they are; default: you."),
    name: str = typer.Option(None, "--name", "-n", help="What they are called; default: as their files."),
    fact_sheet: Path = FACT_SHEET,
    param: list[str] = typer.Option(
        None,
        "--param",
        metavar="KEY=VALUE",
        help="What tells it from others; a column of the board's frame. Repeatable.",
    ),
    wait: bool = WAIT,
    follow: bool = FOLLOW,
    ignore_limits: bool = typer.Option(
        False, "--ignore-limits", help="Let neither dates nor counts of the phase hold."
    ),
    backend: str = BACKEND,
    jobs: int = JOBS,
    image: str = IMAGE,
    pull: str = PULL,
    policy: str = POLICY,
    network: str = NETWORK,
    allow: list[str] = ALLOW,
    gpus: str = GPUS,
    local_data: list[str] = LOCAL_DATA,
    memory: str = MEMORY,
    cpus: float = CPUS,
    timeout: str = TIMEOUT,
    as_json: bool = JSON,
) -> None:
    """Submit to a competition of a workspace. Without --wait it is queued, and whoever dispatches carries it out.

    Exit code 0: admitted; with --wait: every run finished. 1: a run failed, or one of several was refused. 2: usage,
    or refused. 3: machine. 130: interrupted; what was submitted is cancelled.
    """
    here = wait or follow
    how: dict[str, Any] = {
        "phase": phase,
        "task": task or None,
        "participant": participant,
        "name": name,
        "fact_sheet": answers_in(fact_sheet),
        "params": _params(param),
        "backend": backend,
        "jobs": jobs,
        "image": image,
        "pull": pull,
        "policy": policy,
        "network": network,
        "memory": memory,
        "cpus": cpus,
        "allow": allow or None,
        "gpus": gpus,
        "local_data": given_local_data(local_data) if here else _names(local_data),
        "timeout": timeout,
        "enforce": not ignore_limits,
        "wait": here,
        "progress": "follow" if follow else "auto",
    }
    with opened(workspace, db, dispatch=here) as ws:
        rejected: dict[int, CodabenchError] = {}
        handles = ws.competition(competition).run_many(files, **how, on_rejected=rejected.__setitem__)
        if rejected and not handles:
            raise rejected[min(rejected)]
        refused = {files[n]: error for n, error in rejected.items()}
        finish(ws, handles, refused, waited=here, as_json=as_json)


def _names(words: list[str] | None) -> list[str] | None:
    """Names of directories that whoever carries it out has to know.

    Raises
    ------
    UsageError
        A directory of this host is named.
    """
    from codabench.core.errors import UsageError

    for word in words or ():
        if "=" in word:
            hint = f"--local-data {word.partition('=')[0]}, which `codabench dispatch` has to offer; or --wait"
            raise UsageError(f"--local-data {word}: it may run on another host", code="CB353", hint=hint)
    return words or None


def _params(words: list[str] | None) -> dict[str, Any] | None:
    """``C=10`` as a mapping; numbers and true or false are what they look like.

    Raises
    ------
    UsageError
        A word without ``=``.
    """
    import json

    from codabench.core.errors import UsageError

    found: dict[str, Any] = {}
    for word in words or ():
        key, equals, text = word.partition("=")
        if not key or not equals:
            raise UsageError(f"--param {word!r} is no KEY=VALUE", code="CB353", hint="--param C=10")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        found[key] = value if isinstance(value, (str, int, float, bool)) else text
    return found or None


def finish(
    ws: Workspace,
    handles: Sequence[SubmissionHandle],
    refused: dict[str, CodabenchError] | None = None,
    *,
    waited: bool,
    as_json: bool,
) -> None:
    """Say what became of submissions, or who will carry them out, and end with the exit code for that."""
    from codabench.cli.documents import run_document, submission_document

    runs = [run for handle in handles for run in handle.runs]
    failed = bool(refused) or (waited and any(run.status.value != "Finished" for run in runs))
    if as_json:
        print_json(
            {
                "ok": not failed,
                "submissions": [submission_document(handle) for handle in handles],
                "runs": [run_document(run) for run in runs],
                "refused": [
                    {"file": file, "code": e.code, "message": e.message} for file, e in (refused or {}).items()
                ],
            }
        )
    else:
        for handle in handles:
            shown = repr(handle)
            say(f"{address(handle)}  {shown if waited else shown.splitlines()[0]}")
        for file, error in (refused or {}).items():
            tell(f"{file}: {error_text(error)}")
        if not waited and runs:
            tell(str(runs[0].explain()))
    if machine := [each for run in runs if (each := ws.error_of(run.id)) is not None]:
        raise typer.Exit(max(map(exit_code, machine)))
    if failed:
        raise typer.Exit(FAILED)


def address(handle: SubmissionHandle) -> str:
    """How a submission can be named from now on."""
    from codabench.core.text import printable
    from codabench.workspace.finding import short

    return f"{short(handle.id)}  {printable(handle.record.participant)}#{handle.record.number}"
