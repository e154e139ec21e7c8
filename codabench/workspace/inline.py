"""Which functions a run of ``backend="inline"`` calls, and what such a run cannot do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from codabench.core.competition import PhaseSpec, ProgramSpec, TaskSpec
from codabench.core.errors import UsageError
from codabench.runner.calling import Calls
from codabench.runner.plan import SubmissionFacts
from codabench.workspace.planning import is_object

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


def inline_calls(
    competition: Competition, task: TaskSpec, submission: Any, facts: SubmissionFacts, phase: PhaseSpec
) -> Calls:
    """The functions of a task.

    Raises
    ------
    UsageError
        ``CB691``: there is something that cannot be called.
    """
    if facts.commands:
        raise _refused("the submission is a program with a command of its own")
    if task.ingestion_only_during_scoring and task.ingestion_program:
        raise _refused(f"in task {task.name!r} two programs run at the same time")
    scoring = _function(competition, task.scoring_program, task)
    ingestion = _function(competition, task.ingestion_program, task)
    if scoring is None:
        raise _refused(f"task {task.name!r} has no scoring program")
    if is_object(submission) and (ingestion is None or phase.accepts_only_result_submissions):
        hint = 'submit its predictions: {"pred.csv": frame}, or a folder'
        message = f"task {task.name!r} has no ingestion program that could use a {type(submission).__name__}"
        raise UsageError(message, code="CB691", hint=hint)
    return Calls(scoring, ingestion, (submission,) if is_object(submission) else None)


def _function(competition: Competition, program: ProgramSpec | None, task: TaskSpec) -> Callable[..., Any] | None:
    if program is None:
        return None
    function = competition.function(program)
    if function is None:
        raise _refused(f"the program {program.path!r} of task {task.name!r} is a directory, no function")
    return function.function


def _refused(why: str) -> UsageError:
    hint = "backend='process' runs programs without isolation, 'docker' and 'podman' with it"
    return UsageError(f"backend='inline' calls functions, and {why}", code="CB691", hint=hint)


def all_functions(competition: Competition) -> bool:
    """Whether every program of a competition can be called."""
    programs = [p for task in competition.spec.tasks for p in (task.scoring_program, task.ingestion_program) if p]
    together = any(task.ingestion_only_during_scoring for task in competition.spec.tasks)
    return not together and all(competition.function(program) for program in programs)
