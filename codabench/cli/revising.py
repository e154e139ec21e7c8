"""``codabench revise``, ``update`` and ``revisions``: a competition that changes while it keeps its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.completing import complete_competition, complete_task
from codabench.cli.output import handled, print_json, say, tell
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.core.evaluations import Revision

COMPETITION = typer.Argument(
    metavar="COMPETITION", help="Its id or title, or the beginning of one.", autocompletion=complete_competition
)
NOTE = typer.Option("", "--note", help="Why, for those who look at it later.")


@handled
def revise(
    competition: str = COMPETITION,
    task: str = typer.Argument(metavar="TASK", help="Index or name.", autocompletion=complete_task),
    note: str = typer.Option(..., "--note", help="Why, for those who look at it later."),
    scoring_program: str = typer.Option(None, "--scoring-program", metavar="DIR", help="A directory, a zip, a URL."),
    ingestion_program: str = typer.Option(None, "--ingestion-program", metavar="DIR", help="The same."),
    input_data: str = typer.Option(None, "--input-data", metavar="DIR", help="The same, or one file."),
    reference_data: str = typer.Option(None, "--reference-data", metavar="DIR", help="The same, or one file."),
    archive: str = typer.Option(None, "--archive", metavar="TASK", help="A task archive with all of these."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Give a task other programs or data. What is submitted from now on runs on them; old scores stay.

    Exit code 0: done, or it was so already. 2: usage; what is given cannot be used. 3: storage or database fails.
    """
    given = {
        "scoring_program": scoring_program,
        "ingestion_program": ingestion_program,
        "input_data": input_data,
        "reference_data": reference_data,
    }
    with opened(workspace, db, dispatch=False) as ws:
        found = ws.competition(competition)
        known = {(r.task, r.number) for r in ws.revisions(found)}
        made = ws.revise(found, task, note=note, archive=archive, **given)
        _print([made], as_json=as_json, new=(made.task, made.number) not in known)


@handled
def update(
    competition: str = COMPETITION,
    bundle: str = typer.Argument(metavar="BUNDLE", help="The edited bundle: directory, zip, or URL."),
    note: str = NOTE,
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Have a competition be what an edited bundle says; its submissions and scores stay.

    Exit code 0: done. 2: usage, a bundle with errors, or submissions would lose their phase or task. 3: storage fails.
    """
    with opened(workspace, db, dispatch=False) as ws:
        made = ws.update(ws.competition(competition), bundle, note=note)
        _print(made, as_json=as_json, new=bool(made))


@handled
def revisions(
    competition: str = COMPETITION,
    task: str = typer.Argument(None, metavar="[TASK]", help="Index or name.", autocompletion=complete_task),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """List the revisions of tasks; 1 is how a task came."""
    with opened(workspace, db) as ws:
        found = ws.revisions(ws.competition(competition), task)
        if as_json:
            print_json({"ok": True, "revisions": [_document(each) for each in found]})
        else:
            _table(found)


def _print(made: Sequence[Revision], *, as_json: bool, new: bool) -> None:
    if as_json:
        print_json({"ok": True, "new": new, "revisions": [_document(each) for each in made]})
    elif new:
        for each in made:
            say(f"task {each.task} {each.spec.name!r} has revision {each.number}")
        tell("old scores stay; re-evaluate to bring them up to date")
    else:
        tell("programs and data are the same")


def _document(revision: Revision) -> dict[str, Any]:
    from codabench.cli.documents import stamp

    return {
        "task": revision.task,
        "name": revision.spec.name,
        "number": revision.number,
        "note": revision.note,
        "created_at": stamp(revision.created_at),
    }


def _table(found: Sequence[Revision]) -> None:
    from codabench.cli.documents import moment
    from codabench.cli.tables import table

    rows = [[each.number, f"{each.task} {each.spec.name}", moment(each.created_at), each.note] for each in found]
    say(table(["Revision", "Task", "Since (UTC)", "Note"], rows, right="Revision", elastic="Task,Note"))
