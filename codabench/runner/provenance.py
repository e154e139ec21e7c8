"""Where a score comes from: one portable JSON record, and the digest of a step."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from typing import Any

from codabench._version import __version__
from codabench.backends.engine import EngineInfo, Image
from codabench.core.policy import Policy
from codabench.core.records import StepName, StepResult
from codabench.core.trees import TreeRef
from codabench.runner.contract import CONTRACT_VERSION, ENVIRONMENT, command_line
from codabench.runner.layout import mounts_of
from codabench.runner.plan import RunPlan, StepsPlan

_TREES_OF = {"ingestion_program", "scoring_program", "input_data", "reference_data"}
_GAPS = ("\0submission", "\0predictions")
"""No command, name or digest holds a zero character."""
_WRITTEN = tuple(map(json.dumps, _GAPS))


def step_digest(plan: RunPlan, step: StepName, image: Image, engine: str, predictions: TreeRef | None = None) -> str:
    """Digest of everything that decides what a step comes to (architecture.md section 2). Limits are not part of it.

    Parameters
    ----------
    predictions
        What the prediction step came to: the input of scoring.
    """
    text = step_text(plan, step, image, engine)
    return digest_of(text, plan.trees["submission"].digest, predictions.digest if predictions else None)


def step_text(plan: StepsPlan, step: StepName, image: Image, engine: str) -> str:
    """What decides what a step comes to, with gaps for the submission and the predictions: the same for many runs."""
    programs = [
        {
            "role": program.role,
            "commands": [command_line(c, step, program.role) for c in program.commands],
            "places": [[place.target, place.host, writable] for place, writable in mounts_of(plan, step, program.role)],
        }
        for program in plan.step(step).programs
    ]
    used = {place["host"] for place in _places(programs)} & _TREES_OF
    record = {
        "contract": CONTRACT_VERSION,
        "kind": step,
        "image": image.digest or f"{engine}:{image.id}",
        "platform": image.platform,
        "programs": programs,
        "copies_submission": plan.step(step).copy_submission,
        "trees": {"submission": _GAPS[0]} | {name: plan.trees[name].digest for name in used if name in plan.trees},
        "predictions": _GAPS[1] if step == "scoring" else None,
        "environment": ENVIRONMENT,
        "network": plan.policy.network.value,
        "user": plan.policy.user.value,
        "gpus": plan.policy.gpus,
        # Their names only: nobody has a digest of what is in them, so such a step is never reused unasked.
        "local_data": sorted(plan.policy.local_data or ()),
    }
    return json.dumps(record, sort_keys=True)


def digest_of(text: str, submission: str, predictions: str | None) -> str:
    """The digest of a step: a `step_text`, and the digests of the submission and of what scoring starts from."""
    for gap, value in zip(_WRITTEN, (submission, predictions), strict=True):
        text = text.replace(gap, "null" if value is None else f'"{value}"')
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _places(programs: Iterable[dict[str, Any]]) -> Iterable[dict[str, str]]:
    return ({"host": place[1]} for program in programs for place in program["places"])


def provenance(
    plan: RunPlan, image: Image, engine: EngineInfo, steps: Iterable[StepResult], machine: str, *, asked: Policy
) -> dict[str, Any]:
    """The record that says how to come to the same score again. Nothing in it is a path of this host, or secret.

    Parameters
    ----------
    plan
        With the policy that held.
    asked
        The policy that was asked for; where it is another one, its fields are kept.
    """
    steps = tuple(steps)
    held = plan.policy.model_dump(mode="json")
    wanted = asked.model_dump(mode="json")
    return {
        "contract": CONTRACT_VERSION,
        "image": image.model_dump(exclude_none=True),
        "trees": {name: ref.digest for name, ref in sorted(plan.trees.items())},
        "steps": {s.name: s.digest for s in steps if s.digest},
        "outputs": {s.name: s.output.digest for s in steps if s.output},
        "reused": {s.name: s.reused_from for s in steps if s.reused_from},
        "submission": plan.facts.model_dump(mode="json"),
        "programs": {
            step.name: {
                "copies_submission": step.copy_submission,
                "commands": {program.role: list(program.commands) for program in step.programs},
            }
            for step in plan.steps
        },
        "columns": list(plan.columns),
        "policy": held,
        "asked": {field: value for field, value in wanted.items() if held[field] != value},
        "time_limit": plan.time_limit,
        "environment": ENVIRONMENT,
        "engine": {
            "name": engine.name,
            "version": engine.version,
            "isolation": engine.isolation,
            "rootless": engine.rootless,
            "not_enforced": sorted(name for name, holds in engine.enforced.items() if not holds),
        },
        "host": {"system": sys.platform, "machine": machine, "cpus": os.cpu_count(), "gpus": list(engine.gpus)},
        "versions": {"codabench": __version__, "python": platform.python_version()},
    }
