"""``codabench add``: what a workspace holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from codabench.cli.output import DATASET, given_datasets, handled, print_json, say, tell
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


@handled
def add(
    bundle: str = typer.Argument(
        metavar="BUNDLE", help="A competition bundle or task archive: directory, zip, or URL."
    ),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
    dataset: list[str] = DATASET,
) -> None:
    """Keep a competition in a workspace: what it says, its programs, its data. The workspace is made if need be.

    Exit code 0: it is there. 2: usage, or a bundle with errors. 3: storage or database fails.
    """
    from codabench.cli.documents import competition_documents
    from codabench.workspace.loading import load

    competition = load(bundle, datasets=given_datasets(dataset))
    try:
        for problem in competition.check().warnings:
            tell(f"warning[{problem.code}]: {problem.message}")
        with opened(workspace, db, new=True) as ws:
            known = competition.id in ws.competitions()
            ws.add(competition)
            if as_json:
                (document,) = competition_documents(ws, [competition])
                print_json({"ok": True, "new": not known, "workspace": ws.url, "competition": document})
            else:
                say(_line(competition))
                tell(f"{'was kept in' if known else 'kept in'} {ws.url}")
    finally:
        competition.close()


def _line(competition: Competition) -> str:
    from codabench.core.text import printable
    from codabench.workspace.finding import short

    return f"{short(competition.id)}  {printable(competition.title)}"


@handled
def competitions(workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON) -> None:
    """List the competitions of a workspace."""
    from codabench.cli.documents import competition_documents
    from codabench.cli.tables import table
    from codabench.workspace.finding import short

    with opened(workspace, db) as ws:
        found = competition_documents(ws, [ws.competition(id) for id in ws.competitions()])
    if as_json:
        print_json({"ok": True, "competitions": found})
        return
    if not found:
        tell("there is none yet: codabench add BUNDLE")
        return
    rows = [[short(c["id"]), c["title"], _open(c["phases"]), c["submissions"], c["unfinished"] or ""] for c in found]
    heads = ("ID", "Competition", "Open", "Submissions", "Unfinished runs")
    say(table(heads, rows, right="Submissions,Unfinished runs", elastic="Competition,Open"))


def _open(phases: list[dict[str, object]]) -> str:
    return ", ".join(f"{phase['index']} {phase['name']}" for phase in phases if phase["open"])
