"""Plans of runs for tests, made from little."""

from __future__ import annotations

from typing import Any

from codabench.backends.engine import Image
from codabench.core.competition import DataSpec, ProgramSpec, TaskSpec
from codabench.core.policy import Policy
from codabench.core.records import Exit, ExitReason
from codabench.core.trees import TreeRef
from codabench.runner.logs import ProgramLog
from codabench.runner.plan import RunPlan, SubmissionFacts, plan_steps

IMAGE = Image(name="python:3", id="sha256:aa", digest="sha256:bb", platform="linux/amd64")


def tree(name: str) -> TreeRef:
    return TreeRef(digest=f"sha256:{name}", archive=name, size=1, files=1)


def program(*commands: str) -> ProgramSpec:
    return ProgramSpec(path="p", commands=commands, metadata="metadata" if commands else None)


def task(*, ingestion: ProgramSpec | None = None, during: bool = False, **more: Any) -> TaskSpec:
    return TaskSpec(
        index=0,
        name="T",
        scoring_program=more.pop("scoring", program("python3 score.py")),
        ingestion_program=ingestion,
        ingestion_only_during_scoring=during,
        input_data=DataSpec(path="i"),
        reference_data=DataSpec(path="r"),
        **more,
    )


def plan(
    of: TaskSpec | None = None,
    facts: SubmissionFacts | None = None,
    *,
    results_only: bool = False,
    **more: Any,
) -> RunPlan:
    of, facts = of or task(), facts or SubmissionFacts()
    steps, warnings = plan_steps(of, facts, results_only=results_only)
    names = ["submission", "scoring_program", "input_data", "reference_data"]
    trees = {n: tree(n) for n in [*names, *(["ingestion_program"] if of.ingestion_program else [])]}
    given = {
        "run": "r",
        "attempt": "a",
        "token": "t",
        "storage": "memory://x",
        "image": "python:3",
        "policy": Policy(),
        "time_limit": 5,
        "trees": trees,
        "steps": steps,
        "warnings": warnings,
        "facts": facts,
        "columns": ("score",),
    }
    return RunPlan.model_validate({**given, **more})


def exited(code: int) -> Exit:
    return Exit(reason=ExitReason.EXITED, code=code, seconds=1.25)


def log(stderr: str = "", step: Any = "prediction", role: Any = "program") -> ProgramLog:
    made = ProgramLog(step, role, 1 << 20, lambda event: None)
    made.write("stderr", stderr.encode())
    return made
