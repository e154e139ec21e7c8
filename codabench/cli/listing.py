"""``codabench submissions`` and ``codabench runs``: what there is, and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.completing import complete_competition, complete_phase, complete_submission
from codabench.cli.output import handled, print_json, say, tell
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.core.competition import CompetitionSpec
    from codabench.core.records import Status, Submission
    from codabench.workspace.handles import SubmissionHandle

PHASE = typer.Option(None, "--phase", "-p", help="Index or name; default: all.", autocompletion=complete_phase)
STATUS = typer.Option(
    None, "--status", "-s", metavar="STATUS", help="finished, failed, submitted ..., or unfinished. Repeatable."
)
LAST = typer.Option(None, "--last", "-n", min=1, metavar="N", help="Only the newest ones.")


def wanted_statuses(words: list[str] | None) -> set[Status] | None:
    """The statuses that are named, also by ``unfinished``; None: all.

    Raises
    ------
    UsageError
        A word that is none.
    """
    from codabench.core.errors import UsageError
    from codabench.core.records import Status
    from codabench.core.text import did_you_mean

    known = {status.value.lower(): {status} for status in Status}
    known["unfinished"] = {status for status in Status if not status.is_final}
    found: set[Status] = set()
    for word in words or ():
        if word.lower() not in known:
            guess = did_you_mean(word, known)
            hint = f"did you mean {guess!r}?" if guess else None
            raise UsageError(f"no status {word!r}; there are {', '.join(known)}", code="CB353", hint=hint)
        found |= known[word.lower()]
    return found or None


@handled
def submissions(
    competition: str = typer.Argument(metavar="COMPETITION", autocompletion=complete_competition),
    phase: str = PHASE,
    participant: str = typer.Option(None, "--participant", help="Only theirs."),
    status: list[str] = STATUS,
    last: int = LAST,
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """List the submissions to a competition, oldest first."""
    from codabench.cli.documents import submission_document

    chosen = wanted_statuses(status)
    with opened(workspace, db) as ws:
        handles = [
            handle
            for handle in ws.competition(competition).submissions(phase)
            if participant in (None, handle.record.participant) and (chosen is None or handle.status in chosen)
        ]
        handles = handles[-last:] if last else handles
        if as_json:
            print_json({"ok": True, "submissions": [submission_document(handle) for handle in handles]})
        else:
            _print([_submission(handle) for handle in handles], "no submission")


def _submission(handle: SubmissionHandle) -> dict[str, Any]:
    from codabench.cli.documents import moment
    from codabench.workspace.finding import short

    record = handle.record
    return {
        "ID": short(handle.id),
        "Number": f"{record.participant}#{record.number}",
        "Submission": handle.name,
        "Phase": handle.phase.name,
        "Status": handle.status.value + (" (incomplete)" if handle.incomplete else ""),
        "Submitted (UTC)": moment(record.created_at),
    }


@handled
def runs(
    competition: str = typer.Argument(None, metavar="[COMPETITION]", autocompletion=complete_competition),
    submission: str = typer.Option(None, "--submission", help="Only its runs.", autocompletion=complete_submission),
    status: list[str] = STATUS,
    last: int = LAST,
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """List runs, oldest first: what those wait for that are not over, what the others came to."""
    from codabench.cli.documents import run_document
    from codabench.workspace.finding import the_competition, the_submission
    from codabench.workspace.handles import RunHandle

    chosen = wanted_statuses(status)
    with opened(workspace, db) as ws:
        within = None if competition is None else the_competition(ws.db, competition)
        of = None if submission is None else the_submission(ws.db, submission, within).id
        found = ws.db.list_runs(competition=within, submission=of, statuses=chosen, last=last)
        documents = [run_document(RunHandle(ws, run.id, run)) for run, _ in found]
        if as_json:
            print_json({"ok": True, "runs": documents})
        else:
            specs = {id: ws.db.competition(id) for id in {each.competition for _, each in found}}
            rows = [
                _run(each, specs[each.competition], document)
                for (_, each), document in zip(found, documents, strict=True)
            ]
            _print(rows, "no run")


def _run(submission: Submission, spec: CompetitionSpec, document: dict[str, Any]) -> dict[str, Any]:
    from codabench.workspace.finding import short

    scores = "  ".join(f"{key} {value:g}" for key, value in document["scores"].items())
    problem = document["problem"]["message"] if document["problem"] else ""
    return {
        "ID": short(document["id"]),
        "Submission": f"{submission.participant}#{submission.number} {submission.name}",
        "Task": next((task.name for task in spec.tasks if task.index == document["task"]), document["task"]),
        "Status": document["status"],
        "Since (UTC)": (document["since"] or "")[:16].replace("T", " "),
        "Result": document["why"] or problem or scores,
    }


def _print(rows: list[dict[str, Any]], nothing: str) -> None:
    from codabench.cli.tables import table

    if not rows:
        tell(nothing)
        return
    say(table([*rows[0]], [[*row.values()] for row in rows], elastic="Submission,Task,Phase,Result"))
