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
from codabench.core.records import StepName, StepResult
from codabench.core.trees import TreeRef
from codabench.runner.contract import CONTRACT_VERSION, ENVIRONMENT, command_line
from codabench.runner.layout import mounts_of
from codabench.runner.plan import RunPlan

_TREES_OF = {"submission", "ingestion_program", "scoring_program", "input_data", "reference_data"}


def step_digest(plan: RunPlan, step: StepName, image: Image, engine: str, predictions: TreeRef | None = None) -> str:
    """Digest of everything that decides what a step comes to (architecture.md section 2). Limits are not part of it.

    Parameters
    ----------
    predictions
        What the prediction step came to: the input of scoring.
    """
    identity = image.digest or f"{engine}:{image.id}"
    programs = [
        {
            "role": program.role,
            "commands": [command_line(c, step, program.role) for c in program.commands],
            "places": [[place.target, place.host, writable] for place, writable in mounts_of(plan, step, program.role)],
        }
        for program in plan.step(step).programs
    ]
    used = {place["host"] for place in _places(programs)} & _TREES_OF | {"submission"}
    record = {
        "contract": CONTRACT_VERSION,
        "kind": step,
        "image": identity,
        "platform": image.platform,
        "programs": programs,
        "copies_submission": plan.step(step).copy_submission,
        "trees": {name: plan.trees[name].digest for name in sorted(used) if name in plan.trees},
        "predictions": predictions.digest if predictions and step == "scoring" else None,
        "environment": ENVIRONMENT,
        "network": plan.policy.network.value,
        "user": plan.policy.user.value,
        "gpus": plan.policy.gpus,
        # Their names only: nobody has a digest of what is in them, so such a step is never reused unasked.
        "local_data": sorted(plan.policy.local_data or ()),
    }
    return "sha256:" + hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _places(programs: Iterable[dict[str, Any]]) -> Iterable[dict[str, str]]:
    return ({"host": place[1]} for program in programs for place in program["places"])


def provenance(
    plan: RunPlan, image: Image, engine: EngineInfo, steps: Iterable[StepResult], machine: str
) -> dict[str, Any]:
    """The record that says how to come to the same score again."""
    return {
        "contract": CONTRACT_VERSION,
        "image": image.model_dump(exclude_none=True),
        "trees": {name: ref.digest for name, ref in sorted(plan.trees.items())},
        "steps": {s.name: s.digest for s in steps if s.digest},
        "policy": plan.policy.model_dump(mode="json"),
        "time_limit": plan.time_limit,
        "engine": {
            "name": engine.name,
            "version": engine.version,
            "isolation": engine.isolation,
            "rootless": engine.rootless,
            "not_enforced": sorted(name for name, holds in engine.enforced.items() if not holds),
        },
        "host": {"system": sys.platform, "machine": machine, "cpus": os.cpu_count()},
        "versions": {"codabench": __version__, "python": platform.python_version()},
    }
