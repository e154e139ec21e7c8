"""``codabench leaderboard`` and ``codabench export``: what came out of a competition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.completing import complete_board, complete_competition, complete_phase
from codabench.cli.output import handled, print_json, say, tell
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.handles import SubmissionHandle
    from codabench.workspace.leaderboard import Leaderboard

PHASE = typer.Option(None, "--phase", "-p", help="Index or name.", autocompletion=complete_phase)
_WIDE = 160
"""Columns of what goes to a pipe or a file."""


@handled
def leaderboard(
    competition: str = typer.Argument(metavar="COMPETITION", autocompletion=complete_competition),
    name: str = typer.Argument(
        None, metavar="[NAME]", help="Key or place; default: the first.", autocompletion=complete_board
    ),
    phase: str = PHASE,
    everything: bool = typer.Option(False, "--all", help="Every finished submission, whatever the rule chooses."),
    csv: bool = typer.Option(False, "--csv", help="Print it as CSV, with full values."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Print a leaderboard of a competition."""
    from codabench.cli.tables import room

    with opened(workspace, db) as ws:
        board = ws.competition(competition).leaderboard(name, phase=phase, rule=False if everything else None)
        if as_json:
            print_json({"ok": True, **board.to_dict()})
        elif csv:
            say(board.to_csv().replace("\r\n", "\n").rstrip("\n"))
        else:
            say(board.text(room() or _WIDE))


@handled
def export(
    competition: str = typer.Argument(metavar="COMPETITION", autocompletion=complete_competition),
    dest: Path = typer.Argument(metavar="DEST", help="What does not exist yet; the bundle may end in .zip."),
    results: bool = typer.Option(
        False, "--results", help="Instead of the bundle: leaderboards, logs, outputs, scores."
    ),
    submissions: bool = typer.Option(False, "--submissions", help="Instead of the bundle: what was submitted."),
    phase: str = PHASE,
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Write a competition of a workspace as a bundle, or what was submitted to it and what came out, as plain files.

    Exit code 0: done. 2: usage; something is at DEST. 3: the storage or DEST fails.
    """
    with opened(workspace, db) as ws:
        found = ws.competition(competition)
        if not (results or submissions):
            report = found.save(dest)
            for problem in report:
                tell(f"{problem.severity.value}[{problem.code}]: {problem.message}")
            done: dict[str, Any] = {"submissions": None, "problems": [problem.to_dict() for problem in report]}
        else:
            handles = found.submissions(phase)
            _results(found, handles, dest, results=results, submissions=submissions)
            done = {"submissions": len(handles), "problems": []}
        if as_json:
            print_json({"ok": True, "dest": str(dest), **done})
        else:
            tell(f"everything is in {dest}")


def _results(
    competition: Competition,
    handles: list[SubmissionHandle],
    dest: Path,
    *,
    results: bool,
    submissions: bool,
) -> None:
    """A directory for each submission; with results also every leaderboard of the phases."""
    from codabench.cli.documents import run_document, submission_document
    from codabench.workspace.export import export_results

    boards = _boards(competition, handles) if results else []
    document = {
        "competition": {"id": competition.id, "title": competition.title},
        "submissions": [submission_document(handle) for handle in handles],
        "runs": [run_document(run) for handle in handles for run in handle.runs],
        "leaderboards": [{"phase": board.phase.index, "key": board.spec.key, **board.to_dict()} for board in boards],
    }
    export_results(dest, handles, boards, document, runs=results, submissions=submissions)


def _boards(competition: Competition, handles: list[SubmissionHandle]) -> list[Leaderboard]:
    """Every leaderboard of each phase that something was submitted to."""
    phases = sorted({handle.record.phase for handle in handles})
    places = range(len(competition.spec.ranking))
    return [competition.leaderboard(place, phase=index) for index in phases for place in places]
