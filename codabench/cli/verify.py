"""``codabench receipt`` and ``codabench verify``: what decided a score, and whether it comes out again."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.completing import complete_run
from codabench.cli.options import LOCAL_DATA, PULL, given_local_data
from codabench.cli.output import DATASET, FAILED, given_datasets, handled, print_json, say, tell
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.workspace.handles import RunHandle
    from codabench.workspace.workspace import Workspace


@handled
def receipt(
    run: str = typer.Argument(
        ..., help="A run, or a submission with one run: an id, its beginning, or a name.", autocompletion=complete_run
    ),
    out: Path = typer.Option(None, "--out", "-o", metavar="FILE", help="Write it there instead of printing it."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
) -> None:
    """Print the receipt of a finished run: a JSON document with all that decided its scores.

    Exit code 0: done. 2: no such run, or it has no receipt. 3: the database fails, or the file cannot be written.
    """
    with opened(workspace, db) as ws:
        found = _meant(ws, run).receipt()
    if out is None:
        say(found.to_json().rstrip("\n"))
    else:
        tell(f"the receipt is in {found.save(out)}")


@handled
def verify(
    receipt: Path = typer.Argument(..., help="What `codabench receipt` wrote."),
    bundle: str = typer.Option(None, "--bundle", metavar="BUNDLE", help="The competition, if there is no workspace."),
    submission: str = typer.Option(None, "--submission", "-s", metavar="PATH", help="The submission, with --bundle."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    backend: str = typer.Option("auto", "--backend", "-b", help="auto, docker, podman, sandbox or process."),
    image: str = typer.Option(None, "--image", help="Instead of the image of the receipt."),
    pull: str = PULL,
    tolerance: list[str] = typer.Option(
        None, "--tolerance", metavar="N|KEY=N", help="The largest difference that is none (1e-9); repeatable."
    ),
    trust: bool = typer.Option(False, "--trust", help="Grant what the receipt has beyond the standard policy."),
    local_data: list[str] = LOCAL_DATA,
    dataset: list[str] = DATASET,
    as_json: bool = JSON,
) -> None:
    """Run what a receipt describes once more, and compare the scores column by column.

    Exit code 0: it reproduces. 1: it does not. 2: usage, or files that are not those of the receipt. 3: machine failed.
    """
    from codabench.core.errors import UsageError
    from codabench.workspace.loading import load
    from codabench.workspace.receipts import read_receipt
    from codabench.workspace.verifying import verify as verified

    if (bundle is None) != (submission is None):
        raise UsageError("--bundle and --submission go together", code="CB382", hint="or name a --workspace")
    found, allowed = read_receipt(receipt), _tolerances(tolerance or [])
    with contextlib.ExitStack() as stack:
        competition = ws = None
        if bundle is None:
            ws = stack.enter_context(opened(workspace, db))
        else:
            competition = stack.enter_context(load(bundle, datasets=given_datasets(dataset)))
        result = verified(
            found,
            workspace=ws,
            bundle=competition,
            submission=submission,
            backend=backend,
            image=image,
            pull=pull,
            tolerance=allowed,
            trust=trust,
            local_data=given_local_data(local_data),
            on_event=_told,
        )
    if as_json:
        print_json(result.to_dict())
    else:
        say(repr(result))
    if not result.reproduces:
        raise typer.Exit(FAILED)


def _told(event: dict[str, Any]) -> None:
    """A line for each step that begins: a run may take hours."""
    if said := {"PredictionStarted": "prediction ...", "ScoringStarted": "scoring ..."}.get(event.get("event", "")):
        tell(said)


def _meant(workspace: Workspace, wanted: str) -> RunHandle:
    """The run that is meant, also by its submission if that has one only."""
    from codabench.core.errors import UsageError
    from codabench.core.records import Submission
    from codabench.workspace.finding import run_or_submission, short

    found = run_or_submission(workspace.db, wanted)
    if not isinstance(found, Submission):
        return workspace.run(found.id)
    runs = [run for run in workspace.db.runs_of(found.id) if run.shown]
    if len(runs) != 1:
        listed = ", ".join(f"{short(run.id)} (task {run.task})" for run in runs)
        raise UsageError(f"{wanted!r} has {len(runs)} runs: {listed}", code="CB381", hint="name one of them")
    return workspace.run(runs[0].id)


def _tolerances(words: list[str]) -> dict[str, float]:
    """``0.01`` and ``accuracy=0.01`` as a mapping."""
    from codabench.core.errors import UsageError
    from codabench.workspace.verdicts import OTHERS

    found: dict[str, float] = {}
    for word in words:
        key, _, number = word.rpartition("=")
        try:
            found[key or OTHERS] = float(number)
        except ValueError:
            message = f"--tolerance {word} is neither a number nor KEY=NUMBER"
            raise UsageError(message, code="CB383", hint="--tolerance 0.001, --tolerance accuracy=0.01") from None
    return found
