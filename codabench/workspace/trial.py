"""A run that is prepared and not started: for a dry run, and for a shell in its container."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from codabench.backends.engine import ContainerEngine, ContainerSpec
from codabench.core.competition import PhaseSpec, TaskSpec
from codabench.core.errors import UsageError
from codabench.core.granting import meet
from codabench.core.policy import Policy
from codabench.core.records import Attempt, RunOptions, StepName
from codabench.core.trees import TreeRef
from codabench.runner.containers import container_spec
from codabench.runner.description import describe
from codabench.runner.layout import RunDirectory
from codabench.runner.plan import ProgramPlan, RunPlan, SubmissionFacts
from codabench.workspace import admission
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.planning import Submitted, make_plan, opened_submission, submission_facts
from codabench.workspace.settings import seconds, tailored

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition

_NOTHING = TreeRef(digest="", archive="", size=0, files=0)


def describe_runs(competition: Competition, submission: Submitted, **where: Any) -> list[dict[str, Any]]:
    """The plans of a submission, one for each task, described for people (``run --dry-run``)."""
    with opened_submission(competition, submission) as source:
        facts = submission_facts(source)
    described = []
    phase, tasks = admission.aim(competition.spec, submission, where.get("phase"), where.get("task"), utc_now())
    for task in tasks:
        trees = {"submission": _NOTHING, **dict.fromkeys(task.parts, _NOTHING)}
        plan = _plan(competition, phase, task, facts, trees, where)
        warnings = [w.message for w in plan.warnings]
        described.append({"task": {"index": task.index, "name": task.name}, **describe(plan), "warnings": warnings})
    return described


@contextmanager
def trial(
    competition: Competition, submission: Submitted, engine: ContainerEngine, **where: Any
) -> Iterator[tuple[StepName, ProgramPlan, ContainerSpec]]:
    """The first program that a submission would start, with its directories in place; they go at the end.

    Raises
    ------
    UsageError
        If nothing would be started.
    """
    workspace = competition.workspace
    phase, (task, *_) = admission.aim(competition.spec, submission, where.get("phase"), where.get("task"), utc_now())
    workspace.local_data.offer(where.get("local_data") or {})
    with opened_submission(competition, submission) as source:
        facts = submission_facts(source)
        trees = {"submission": workspace.storage.put_tree(source)}
    parts = {role: competition.tree(spec) for role, spec in task.parts.items()}
    trees |= {role: workspace.storage.put_tree(tree) for role, tree in parts.items()}
    plan = _plan(competition, phase, task, facts, trees, where)
    step = next((s for s in plan.steps if s.programs), None)
    if step is None:
        raise UsageError(f"nothing would be started for task {task.name!r}", code="CB352")
    program = step.programs[0]
    image = engine.resolve(plan.image)
    owner = engine.file_owner(plan.policy.user)
    enforced = engine.probe().enforced.get("read_only_mounts", True)
    place = workspace.scratch / "runs" / plan.attempt
    directory = RunDirectory(place, plan, workspace.storage, owner, enforced=enforced)
    try:
        for name in ("prediction", "scoring"):
            directory.prepare("prediction" if name == "prediction" else "scoring")
        filled = "prediction_output" if step.name == "prediction" else "scoring_input/res"
        if step.copy_submission or step.name == "scoring":
            workspace.storage.materialise(trees["submission"], directory.path(filled), owner=owner)
        yield (
            step.name,
            program,
            container_spec(plan, directory, image, step.name, program.role, ("sh",), workspace.local_data),
        )
    finally:
        directory.remove()


def _plan(
    competition: Competition,
    phase: PhaseSpec,
    task: TaskSpec,
    facts: SubmissionFacts,
    trees: dict[str, TreeRef],
    where: dict[str, Any],
) -> RunPlan:
    spec = competition.spec
    policy: str | Policy = where.get("policy") or "standard"
    changes = {name: where.get(name) for name in ("network", "memory", "cpus", "gpus", "local_data", "allow")}
    granted = meet(tailored(policy, **changes), competition.workspace.ceiling)
    id = uuid.uuid4().hex
    return make_plan(
        run=id,
        attempt=Attempt(id=id, run=id, number=1, token="", started_at=utc_now()),
        storage=competition.workspace.storage,
        image=where.get("image") or spec.docker_image,
        options=RunOptions(policy=granted, time_limit=seconds(where.get("timeout"))),
        phase=phase,
        task=task,
        facts=facts,
        trees=trees,
        columns=spec.written,
        detailed_results=spec.enable_detailed_results,
    )
