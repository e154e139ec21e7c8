"""Competitions, submissions and runs as ``--json`` prints them; docs/cli.md lists the keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.handles import RunHandle, SubmissionHandle
    from codabench.workspace.workspace import Workspace


def competition_documents(ws: Workspace, competitions: Iterable[Competition]) -> list[dict[str, Any]]:
    """Competitions that are kept in a workspace."""
    submissions, runs = ws.db.submission_counts(), ws.db.run_counts()
    return [
        {
            **_competition(each),
            "submissions": submissions.get(each.id, 0),
            "unfinished": sum(many for status, many in runs.get(each.id, {}).items() if not status.is_final),
        }
        for each in competitions
    ]


def _competition(competition: Competition) -> dict[str, Any]:
    from codabench.workspace.dispatcher import utc_now

    now = utc_now()
    return {
        "id": competition.id,
        "title": competition.title,
        "phases": [
            {"index": p.index, "name": p.name, "open": p.is_open(now), "start": stamp(p.start), "end": stamp(p.end)}
            for p in competition.spec.phases
        ],
        "tasks": [{"index": task.index, "name": task.name} for task in competition.spec.tasks],
        "leaderboards": [board.key for board in competition.spec.leaderboards],
    }


def submission_document(handle: SubmissionHandle) -> dict[str, Any]:
    """A submission without its runs."""
    record = handle.record
    return {
        "id": handle.id,
        "name": handle.name,
        "participant": record.participant,
        "number": record.number,
        "competition": record.competition,
        "phase": record.phase,
        "created_at": stamp(record.created_at),
        "deleted": record.deletion,
        "origin": record.origin,
        "status": handle.status.value,
        "incomplete": handle.incomplete,
        "runs": [run.id for run in handle.runs],
    }


def run_document(run: RunHandle) -> dict[str, Any]:
    """Where a run stands and what it came to; why and what next only while it is not over."""
    record = run.record
    said = None if record.status.is_final else run.explain()  # it asks several questions, and lists are long
    return {
        "id": run.id,
        "submission": record.submission,
        "task": record.task,
        "revision": record.revision,
        "status": record.status.value,
        "since": stamp(said.since if said else record.finished_at),
        "why": said.why if said else None,
        "next": said.next if said else None,
        "scores": run.scores,
        "problem": None if run.problem is None else problem_document(run.problem),
        "seconds": round(run.seconds, 3),
    }


def run_details(run: RunHandle) -> dict[str, Any]:
    """What `codabench show` adds to that."""
    return {
        "warnings": [problem_document(warning) for warning in run.warnings],
        "by_hand": [{**each.model_dump(exclude={"run"}), "at": stamp(each.at)} for each in run.by_hand],
        "worker": run.worker or None,
        "exit_codes": exit_codes(run),
        "steps": steps(run),
        "logs": {name: run.logs.record(name).total for name in run.logs} if run.outcome else {},
        "history": [{"at": stamp(event.at), "event": event.kind.value} for event in run.history()],
        "provenance": run.provenance,
    }


def problem_document(problem: Any) -> dict[str, Any]:
    """Why something failed, and whose fault it was."""
    return {
        "code": problem.code,
        "fault": problem.fault.value if problem.fault else None,
        "message": problem.message,
        "hint": problem.hint,
    }


def exit_codes(run: RunHandle) -> dict[str, dict[str, int | None]]:
    """The exit code of each program that may have run, by step."""
    return {
        step: {role: run.exit_code(step, role) for role in ("program", "ingestion")}
        for step in ("prediction", "scoring")
    }


def steps(run: RunHandle) -> dict[str, dict[str, Any]]:
    """How long each step took, by name; of a reused one how long it took the attempt that carried it out."""
    found = run.outcome.steps if run.outcome else ()
    return {step.name: {"seconds": round(step.seconds, 3), "reused_from": step.reused_from} for step in found}


def stamp(at: datetime | None) -> str | None:
    """A point in time for programs, in UTC."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def moment(at: datetime) -> str:
    """A point in time as tables show it; all are in UTC."""
    return f"{at:%Y-%m-%d %H:%M}"
