"""``codabench run``: submissions through a competition's programs, ranked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

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
from codabench.cli.output import (
    DATASET,
    FAILED,
    error_text,
    exit_code,
    given_datasets,
    handled,
    print_json,
    say,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codabench.core.competition import PhaseSpec, SolutionSpec, TaskSpec
    from codabench.core.errors import CodabenchError
    from codabench.workspace.competition import Competition
    from codabench.workspace.handles import RunHandle, SubmissionHandle
    from codabench.workspace.planning import Submitted


@handled
def run(
    bundle: str = typer.Argument(
        metavar="BUNDLE", help="A competition bundle or task archive: directory, zip, or URL."
    ),
    submissions: list[str] = typer.Argument(None, metavar="[SUBMISSION]...", help="Zips or directories."),
    solution: list[str] = typer.Option(
        None,
        "--solution",
        metavar="NAME",
        help="A solution of the bundle, by name or index; all: every one. Repeatable.",
    ),
    phase: str = PHASE,
    task: list[str] = TASK,
    backend: str = typer.Option("auto", "--backend", "-b", help="auto, docker, podman, sandbox or process."),
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
    jobs: int = JOBS,
    fact_sheet: Path = FACT_SHEET,
    follow: bool = FOLLOW,
    keep: bool = typer.Option(False, "--keep", help="Leave the run directories where they are, and say where."),
    shell: bool = typer.Option(False, "--shell", help="Open a shell in the container of the first step instead."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show programs, mounts and limits; start nothing."),
    enforce: bool = typer.Option(False, "--enforce", help="Let dates, counts and fact sheet of the phase hold."),
    out: Path = typer.Option(None, "--out", "-o", help="Write logs, outputs, scores and the leaderboard there."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
    dataset: list[str] = DATASET,
) -> None:
    """Run submissions and rank them.

    Exit code 0: every run finished. 1: a run failed. 2: usage, or a bundle with errors. 3: engine or machine failed.
    """
    from codabench.core.errors import UsageError
    from codabench.workspace.loading import load

    where: dict[str, Any] = {
        "phase": phase,
        "task": task or None,
        "policy": policy,
        "network": network,
        "image": image,
        "memory": memory,
        "cpus": cpus,
        "allow": allow or None,
        "gpus": gpus,
        "local_data": given_local_data(local_data),
        "timeout": timeout,
    }
    answers = answers_in(fact_sheet)
    if out is not None:
        from codabench.workspace.export import check_free

        check_free(out)
    competition = load(bundle, datasets=given_datasets(dataset))
    try:
        given = [*(submissions or ()), *_solutions(competition, solution or ())]
        if not given:
            message = "there is nothing to run"
            raise UsageError(message, code="CB354", hint="name submissions, or solutions of the bundle: --solution all")
        for problem in competition.check().warnings:
            tell(f"warning[{problem.code}]: {problem.message}")
        if dry_run:
            _show_plans(competition, given, where, as_json=as_json)
        elif shell:
            from codabench.cli.shell import open_shell

            raise typer.Exit(open_shell(competition, given[0], backend, where))
        else:
            how = {"backend": backend, "jobs": jobs, "fact_sheet": answers, "keep": keep, "enforce": enforce}
            how |= {"pull": pull, "progress": "follow" if follow else "auto"}
            _run_all(competition, given, {**where, **how}, out=out, as_json=as_json)
    finally:
        competition.close()


def _solutions(competition: Competition, wanted: Sequence[str]) -> list[SolutionSpec]:
    """The solutions of these names or indexes, or every one."""
    from codabench.workspace.admission import pick
    from codabench.workspace.planning import name_of

    there = competition.solutions
    found: list[SolutionSpec] = []
    for word in wanted:
        found += there if word == "all" else [pick(there, word, "solution", lambda s: s.index, name_of)]
    return found


def _run_all(
    competition: Competition, submissions: list[Submitted], options: dict[str, Any], *, out: Path | None, as_json: bool
) -> None:
    from codabench.workspace.admission import aim
    from codabench.workspace.dispatcher import utc_now

    named = options["phase"] is not None
    phase, tasks = aim(competition.spec, submissions[0], options["phase"], options["task"], utc_now())
    if competition.spec.format != "task":
        tell(f"phase {phase.index} {phase.name!r}" + ("" if named else " (chosen: --phase names another)"))
    good, refused = _readable(competition, submissions)
    rejected: dict[int, CodabenchError] = {}
    options = {**options, "phase": phase.index, "on_rejected": rejected.__setitem__}
    handles = competition.run_many([path for _, path in good], **options) if good else []
    if rejected and not handles:
        raise rejected[min(rejected)]
    refused |= {good[n][0]: (good[n][1], error) for n, error in rejected.items()}
    admitted = [place for n, (place, _) in enumerate(good) if n not in rejected]
    by_place = dict(zip(admitted, handles, strict=True))
    _finish(competition, phase, tasks, by_place, refused, out=out, as_json=as_json)
    if options["keep"]:
        tell(f"run directories are in {competition.workspace.scratch / 'runs'}")
    found = (competition.workspace.error_of(run.id) for handle in handles for run in handle.runs)
    if errors := [error for error in found if error is not None]:
        raise typer.Exit(max(map(exit_code, errors)))
    if refused or any(run.status.value != "Finished" for handle in handles for run in handle.runs):
        raise typer.Exit(FAILED)


def _readable(
    competition: Competition, submissions: list[Submitted]
) -> tuple[list[tuple[int, Submitted]], dict[int, tuple[Submitted, CodabenchError]]]:
    """Submissions that can be unpacked, and those that cannot, each with its reason and its place in the line.

    Raises
    ------
    BundleError
        If one is not there: that is a slip of the caller's, not a bad submission.
    """
    from codabench.core.errors import ArchiveError
    from codabench.workspace.planning import opened_submission

    good: list[tuple[int, Submitted]] = []
    refused: dict[int, tuple[Submitted, CodabenchError]] = {}
    for place, path in enumerate(submissions):
        try:
            with opened_submission(competition, path):
                good.append((place, path))
        except ArchiveError as error:
            refused[place] = (path, error)
    return good, refused


def _finish(
    competition: Competition,
    phase: PhaseSpec,
    tasks: Sequence[TaskSpec],
    handles: dict[int, SubmissionHandle],
    refused: dict[int, tuple[Submitted, CodabenchError]],
    *,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write, print: what was submitted in the order in which it was named, and the leaderboards, if there are any."""
    from codabench.workspace.leaderboard import distinct_names

    boards = [competition.leaderboard(n, phase=phase.index) for n in range(len(competition.spec.ranking))]
    places = range(len(handles) + len(refused))
    called = distinct_names(list(handles.values()))
    names = {n: called[handle.id] for n, handle in handles.items()}
    document = {
        "ok": not refused and all(run.status.value == "Finished" for h in handles.values() for run in h.runs),
        "competition": competition.title,
        "phase": {"index": phase.index, "name": phase.name},
        "submissions": [
            submission_document(handles[n], names[n]) if n in handles else _refused(refused[n], tasks) for n in places
        ],
        "leaderboard": boards[0].to_dict() if boards else None,
        **({"other_leaderboards": [other.to_dict() for other in boards[1:]]} if boards[1:] else {}),
    }
    if out is not None:
        from codabench.workspace.export import export_results

        export_results(out, list(handles.values()), boards, document)
    if as_json:
        print_json(document)
        return
    for n in places:
        # Where no leaderboard follows, the submissions with their scores are the result.
        show = say if n in handles and not boards else tell
        show(repr(handles[n]) if n in handles else error_text(refused[n][1]))
    if boards:
        say("\n\n".join(map(repr, boards)))
    if out is not None:
        tell(f"everything is in {out}")


def submission_document(handle: SubmissionHandle, name: str) -> dict[str, Any]:
    """One submission as ``run --json`` prints it."""
    return {
        "submission": name,
        "status": handle.status.value,
        "incomplete": handle.incomplete,
        "runs": [_run(run, task.index, task.name) for run, task in zip(handle.runs, handle.tasks, strict=True)],
    }


def _run(run: RunHandle, index: Any, name: str) -> dict[str, Any]:
    from codabench.cli.documents import exit_codes, problem_document, steps

    problem = run.problem
    return {
        "task": {"index": index, "name": name},
        "status": run.status.value,
        "scores": run.scores,
        "problem": None if problem is None else problem_document(problem),
        "warnings": [problem_document(w) for w in run.warnings],
        "exit_codes": exit_codes(run),
        "steps": steps(run),
        "seconds": round(run.seconds, 3),
        "provenance": run.provenance,
    }


def _refused(refused: tuple[Submitted, CodabenchError], tasks: Sequence[TaskSpec]) -> dict[str, Any]:
    """A submission that could not be unpacked: failed on every task, and the participant's to mend."""
    from codabench.workspace.planning import name_of

    path, error = refused
    problem = {"code": error.code, "fault": "participant", "message": error.message, "hint": error.hint}
    nothing = {"program": None, "ingestion": None}
    return {
        "submission": name_of(path),
        "status": "Failed",
        "incomplete": False,
        "runs": [
            {
                "task": {"index": task.index, "name": task.name},
                "status": "Failed",
                "scores": {},
                "problem": problem,
                "warnings": [],
                "exit_codes": {"prediction": nothing, "scoring": nothing},
                "steps": {},
                "seconds": 0.0,
                "provenance": {},
            }
            for task in tasks
        ],
    }


def _show_plans(
    competition: Competition, submissions: list[Submitted], where: dict[str, Any], *, as_json: bool
) -> None:
    from codabench.workspace.planning import name_of

    names = [path if isinstance(path, str) else name_of(path) for path in submissions]
    plans = {name: competition.plan(path, **where) for name, path in zip(names, submissions, strict=True)}
    if as_json:
        print_json({"ok": True, "competition": competition.title, "plans": plans})
        return
    for path, tasks in plans.items():
        for plan in tasks:
            say(f"{path} · task {plan['task']['index']} {plan['task']['name']}")
            say(f"  image     {plan['image']}   network {plan['network']}   policy {plan['policy']}")
            say(f"  limit     {plan['time_limit']} s for each step")
            for step in plan["steps"]:
                copied = "   the submission's files are the result, or are copied to /app/output first"
                say(f"  {step['name']}" + (copied if step["copies_submission"] else ""))
                for program in step["programs"]:
                    say(f"    {program['role']}   {' && '.join(program['commands'])}")
                    for mount in program["mounts"]:
                        mode = "rw" if mount["writable"] else "ro"
                        say(f"      {mount['target']:<24} {mode}   {mount['from'].replace('_', ' ')}")
            for warning in plan["warnings"]:
                say(f"  warning   {warning}")
