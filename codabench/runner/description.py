"""A plan in words, for people who look before they run."""

from __future__ import annotations

from typing import Any

from codabench.runner.contract import LOCAL_DATA
from codabench.runner.layout import mounts_of
from codabench.runner.plan import ProgramPlan, RunPlan, StepPlan


def describe(plan: RunPlan) -> dict[str, Any]:
    """The plan for people (``run --dry-run``): what runs, with which directories and limits."""

    def program(step: StepPlan, p: ProgramPlan) -> dict[str, Any]:
        return {
            "role": p.role,
            "commands": list(p.commands),
            "mounts": [
                {"target": place.target, "from": place.host, "writable": writable}
                for place, writable in mounts_of(plan, step.name, p.role)
            ]
            + [
                {"target": f"{LOCAL_DATA}/{name}", "from": f"local data {name}", "writable": False}
                for name in plan.policy.local_data or ()
            ],
        }

    return {
        "image": plan.image,
        "network": plan.policy.network.value,
        "policy": plan.policy.name,
        "time_limit": plan.time_limit,
        "steps": [
            {
                "name": step.name,
                "copies_submission": step.copy_submission,
                "programs": [program(step, p) for p in step.programs],
            }
            for step in plan.steps
        ],
    }
