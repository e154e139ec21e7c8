"""`verify`: run what a receipt describes once more, and compare the scores."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from codabench.backends.backend import Backend, Work
from codabench.backends.engine import Emit
from codabench.core.competition import PhaseSpec, TaskSpec
from codabench.core.errors import CodabenchError, ImageNotFound, NotFound, PolicyError, StorageError, UsageError
from codabench.core.granting import meet, tightened
from codabench.core.policy import Policy
from codabench.core.records import Outcome
from codabench.core.text import printable
from codabench.core.trees import TreeRef
from codabench.runner.plan import RunPlan, StepPlan, SubmissionFacts, plan_steps
from codabench.workspace.dispatcher import EXECUTE
from codabench.workspace.places import BackendLike, on_cluster
from codabench.workspace.planning import Submitted, opened_submission, stored_parts, submission_facts
from codabench.workspace.receipts import ImageOf, Provenance, Receipt, read_receipt
from codabench.workspace.revisions import task_of
from codabench.workspace.settings import pull_policy
from codabench.workspace.verdicts import TOLERANCE, Tolerance, Verification, compared, differences, tolerances
from codabench.workspace.workspace import Workspace

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition

_IMAGELESS = ("process", "sandbox")
"""Engines that run programs without an image of a registry."""


def verify(
    receipt: Receipt | Mapping[str, Any] | str | os.PathLike[str],
    *,
    workspace: Workspace | None = None,
    bundle: Competition | str | os.PathLike[str] | None = None,
    submission: Submitted | None = None,
    backend: BackendLike = None,
    image: str | None = None,
    pull: str = "missing",
    tolerance: Tolerance = TOLERANCE,
    trust: bool = False,
    local_data: Mapping[str, str | os.PathLike[str]] | None = None,
    on_event: Emit | None = None,
) -> Verification:
    """Run once more what a receipt describes, and say whether the scores come out again.

    Everything is executed, also what the run of the receipt had reused. Nothing gets a row or a place on a board.

    Parameters
    ----------
    receipt
        From `RunHandle.receipt`: a `Receipt`, its content, or a file.
    workspace
        Where the run was carried out: the files come from its storage.
    bundle, submission
        Or the files themselves. Before anything starts they are compared with the digests of the receipt.
    backend
        Where to run; None: what the workspace says, else ``"auto"``.
    image
        Instead of the image of the receipt, which is asked for by its digest.
    pull
        ``missing``, ``always`` or ``never``.
    tolerance
        The largest absolute difference that is none; a mapping says it for single columns, ``"*"`` for all others.
    trust
        Grant also what the receipt's policy has beyond the standard one: network, user, devices, local data.
    local_data
        Directories of this host that the run of the receipt had asked for by name.
    on_event
        Called with what the run reports while it goes on, from a thread of the backend.

    Raises
    ------
    UsageError
        ``CB380``: this is no receipt. ``CB382``: files or commands are not those of the receipt; all of them are named.
        ``CB383``: a tolerance cannot be meant.
    PolicyError
        ``CB384``: the policy of the receipt needs `trust`.
    ImageNotFound
        The image of the receipt is not to be had; `image` names another one.
    EngineError, StorageError
        The machine failed.
    """
    found = read_receipt(receipt)
    pull = pull_policy(pull)
    allowed = tolerances(found, tolerance)
    policy = _policy(found.provenance, trust=trust)
    with contextlib.ExitStack() as stack:
        if workspace is not None:
            space, material = workspace, _from_workspace(workspace, found)
        elif bundle is not None and submission is not None:
            space = stack.enter_context(Workspace())
            material = _from_files(space, found, bundle, submission)
        else:
            hint = "name a workspace, or a bundle and a submission"
            raise UsageError("nobody says where the files of the receipt are", code="CB382", hint=hint)
        space.local_data.offer(local_data or {})
        place = space.places.get(backend, image=image or found.provenance.image.name)
        asked = _image(found.provenance, place) if image is None else {"image": image}
        plan = _plan(space, found.provenance, material, policy, {"pull": pull, **asked})
        outcome = _carried_out(place, plan, found.provenance.image.name, on_event)
    return Verification(
        receipt=found,
        columns=compared(found.scores, outcome.scores, allowed),
        status=outcome.status,
        problem=outcome.problem,
        notes=differences(found.provenance, outcome.provenance),
        provenance=outcome.provenance,
        seconds=outcome.seconds,
    )


# ---------------------------------------------------------------------- the files, and what runs of them
class _Material(NamedTuple):
    steps: tuple[StepPlan, StepPlan]
    facts: SubmissionFacts
    trees: dict[str, TreeRef]


def _from_workspace(workspace: Workspace, receipt: Receipt) -> _Material:
    try:
        run = workspace.db.run(receipt.run)
    except NotFound as error:
        raise UsageError(
            f"the workspace {workspace.url} does not have the run {receipt.run} of the receipt",
            code="CB382",
            hint="name the workspace of that run, or give the files: a bundle and a submission",
        ) from error
    submission = workspace.db.submission(run.submission)
    spec = workspace.db.competition(submission.competition)
    task, stored = task_of(workspace.db, submission.competition, run)
    trees = {"submission": submission.tree, **stored_parts(task, stored)}
    _refuse_other_files(receipt, trees)
    return _material(receipt, spec.phases[submission.phase], task, workspace.plans.facts(submission), trees)


def _from_files(
    space: Workspace, receipt: Receipt, bundle: Competition | str | os.PathLike[str], submission: Submitted
) -> _Material:
    from codabench.workspace.competition import Competition
    from codabench.workspace.loading import load

    with contextlib.ExitStack() as stack:
        given = bundle if isinstance(bundle, Competition) else stack.enter_context(load(bundle))
        task = next((t for t in given.spec.tasks if t.index == receipt.task.index), None)
        phase = next((p for p in given.spec.phases if p.index == receipt.phase.index), None)
        if task is None or phase is None:
            what = f"task {receipt.task.index!r} ({printable(receipt.task.name)}) in phase {receipt.phase.index!r}"
            hint = "give the bundle of the competition that the receipt is of"
            raise UsageError(f"{printable(given.title)!r} has no {what}", code="CB382", hint=hint)
        with opened_submission(given, submission) as source:
            facts = submission_facts(source)
            trees = {"submission": space.storage.put_tree(source)}
        trees |= {role: space.storage.put_tree(given.tree(part)) for role, part in task.parts.items()}
        _refuse_other_files(receipt, trees)
        return _material(receipt, phase, task, facts, trees)


def _refuse_other_files(receipt: Receipt, trees: Mapping[str, TreeRef]) -> None:
    there, here = receipt.provenance.trees, {role: tree.digest for role, tree in trees.items()}
    other = [role for role in sorted({*there, *here}) if there.get(role) != here.get(role)]
    if other:
        lines = [
            f"  {role.replace('_', ' '):<18} {there.get(role, 'none')} in the receipt, {here.get(role, 'none')} here"
            for role in other
        ]
        raise UsageError(
            "\n".join(["these files are not those of the receipt:", *lines]),
            code="CB382",
            hint="nothing was started; find the files as they were, or verify with the workspace of the run",
        )


def _material(
    receipt: Receipt, phase: PhaseSpec, task: TaskSpec, facts: SubmissionFacts, trees: dict[str, TreeRef]
) -> _Material:
    """What runs follows from the files, as in every run: a receipt, which may be anybody's, is only compared."""
    steps, _ = plan_steps(task, facts, results_only=phase.accepts_only_result_submissions)
    for step in steps:
        here = {program.role: list(program.commands) for program in step.programs}
        recorded = receipt.provenance.programs.get(step.name)
        if recorded is None or (recorded.commands, recorded.copies_submission) != (here, step.copy_submission):
            raise UsageError(
                f"what runs in the {step.name} step is not what ran for the receipt: "
                f"{here or 'nothing'} here, {(recorded and recorded.commands) or 'nothing'} there",
                code="CB382",
                hint="nothing was started; the competition was changed since, or the receipt was",
            )
    return _Material(steps, facts, trees)


# ---------------------------------------------------------------------- how it runs
def _policy(recorded: Provenance, *, trust: bool) -> Policy:
    """What the run had asked for, as far as this version knows policies; where images come from is our affair."""
    asked = {**recorded.policy, **recorded.asked, "registries": None}
    try:
        policy = Policy.model_validate({k: v for k, v in asked.items() if k in Policy.model_fields})
    except ValidationError as error:
        raise UsageError(f"the policy of the receipt cannot be understood: {error}", code="CB380") from error
    beyond = [] if trust else tightened(policy, meet(policy, Policy(limits=policy.limits)))
    if beyond:
        raise PolicyError(
            "the run of the receipt was allowed more than the standard policy allows: "
            + "; ".join(words.partition(", granted")[0].partition(", not granted")[0] for words in beyond),
            code="CB384",
            hint="trust=True, or --trust, grants it again: only where you trust the programs",
        )
    return policy


def _image(recorded: Provenance, place: Backend) -> dict[str, str]:
    """How to ask for the very image of the receipt."""
    image = recorded.image
    if recorded.engine.name in _IMAGELESS or place.info().engine in _IMAGELESS:
        return {"image": image.name}
    if image.digest is None:
        # It was built on some machine: nobody can pull it, and its name may be anything's here.
        return {"image": image.id, "pull": "never"}
    return {"image": f"{_repository(image)}@{image.digest}", **({"platform": image.platform} if image.platform else {})}


def _repository(image: ImageOf) -> str:
    name = image.name.partition("@")[0]
    head, _, last = name.rpartition("/")
    return f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]


def _plan(
    space: Workspace, recorded: Provenance, material: _Material, policy: Policy, image: dict[str, str]
) -> RunPlan:
    id = uuid.uuid4().hex
    return RunPlan(
        run=id,
        attempt=id,
        token="",
        storage=space.storage.url,
        cache=str(space.storage.cache),
        policy=policy,
        time_limit=recorded.time_limit,
        trees=material.trees,
        steps=material.steps,
        columns=tuple(recorded.columns),
        facts=material.facts,
        **image,
    )


def _carried_out(place: Backend, plan: RunPlan, name: str, on_event: Emit | None) -> Outcome:
    work = Work(function=EXECUTE, payload=plan.model_dump(mode="json"))
    handle = place.submit(work, key=plan.attempt, on_event=on_event)
    try:
        return Outcome.model_validate(handle.result())
    except ImageNotFound as error:
        hint = f"`--image {name}` (image=...) takes what has that name here; the answer says so"
        raise ImageNotFound(f"the image of the receipt is not to be had: {error.message}", hint=hint) from error
    except StorageError as error:
        if "://" in plan.storage or not on_cluster(place):
            raise
        message = f"the files are in a directory of this machine, and a worker did not find them: {error.message}"
        hint = "verify on this machine (--backend docker), or with a workspace whose storage every worker reaches"
        raise StorageError(message, code=error.code, hint=hint) from error
    except KeyboardInterrupt:
        handle.cancel("interrupted")
        with contextlib.suppress(CodabenchError):  # whatever it comes to: it has to be gone before this returns
            handle.result()
        raise
