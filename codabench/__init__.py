"""Define, run, rank and host machine-learning competitions and benchmarks.

>>> import codabench as cb
>>> comp = cb.load("iris.zip")              # a directory, a zip, a URL
>>> comp.check()                            # every problem at once
>>> sub = comp.run("solution/")             # in a container, with live progress
>>> comp.leaderboard().to_frame()

Importing this package imports nothing heavy: every name below is loaded when it is first used (PEP 562).
"""

from typing import TYPE_CHECKING, Any

from codabench._version import __version__

if TYPE_CHECKING:
    from codabench.backends.backend import Backend
    from codabench.backends.dask import DaskBackend
    from codabench.backends.docker import DockerEngine
    from codabench.backends.engine import ContainerEngine
    from codabench.backends.local import LocalBackend
    from codabench.backends.podman import PodmanEngine
    from codabench.backends.process import ProcessEngine
    from codabench.backends.sandbox import SandboxEngine
    from codabench.bundle.defined.models import Column, Phase, Solution, Task
    from codabench.bundle.defined.program_io import IngestionIO, ScoringIO
    from codabench.bundle.defined.programs import Program, ingestion, scoring
    from codabench.bundle.fix import Fixed, fix
    from codabench.bundle.schema import schema
    from codabench.core import errors
    from codabench.core.competition import CompetitionSpec
    from codabench.core.policy import Limits, Policy
    from codabench.core.problems import Fault, Problem, Severity
    from codabench.core.records import Status
    from codabench.core.report import Report
    from codabench.workspace.competition import Competition
    from codabench.workspace.handles import RunHandle, SubmissionHandle
    from codabench.workspace.leaderboard import Leaderboard
    from codabench.workspace.loading import check, load
    from codabench.workspace.receipts import Receipt
    from codabench.workspace.reevaluation.handle import BatchHandle
    from codabench.workspace.reevaluation.plan import ReevaluationPlan
    from codabench.workspace.verdicts import Verification
    from codabench.workspace.verifying import verify
    from codabench.workspace.workspace import Workspace

_HOMES = {
    "Backend": "codabench.backends.backend",
    "BatchHandle": "codabench.workspace.reevaluation.handle",
    "Column": "codabench.bundle.defined.models",
    "Competition": "codabench.workspace.competition",
    "CompetitionSpec": "codabench.core.competition",
    "ContainerEngine": "codabench.backends.engine",
    "DockerEngine": "codabench.backends.docker",
    "Fault": "codabench.core.problems",
    "Fixed": "codabench.bundle.fix",
    "IngestionIO": "codabench.bundle.defined.program_io",
    "Leaderboard": "codabench.workspace.leaderboard",
    "Limits": "codabench.core.policy",
    "LocalBackend": "codabench.backends.local",
    "Phase": "codabench.bundle.defined.models",
    "DaskBackend": "codabench.backends.dask",
    "PodmanEngine": "codabench.backends.podman",
    "Policy": "codabench.core.policy",
    "Problem": "codabench.core.problems",
    "ProcessEngine": "codabench.backends.process",
    "Program": "codabench.bundle.defined.programs",
    "Receipt": "codabench.workspace.receipts",
    "ReevaluationPlan": "codabench.workspace.reevaluation.plan",
    "Report": "codabench.core.report",
    "RunHandle": "codabench.workspace.handles",
    "SandboxEngine": "codabench.backends.sandbox",
    "ScoringIO": "codabench.bundle.defined.program_io",
    "Severity": "codabench.core.problems",
    "Solution": "codabench.bundle.defined.models",
    "Status": "codabench.core.records",
    "SubmissionHandle": "codabench.workspace.handles",
    "Task": "codabench.bundle.defined.models",
    "Verification": "codabench.workspace.verdicts",
    "Workspace": "codabench.workspace.workspace",
    "check": "codabench.workspace.loading",
    "fix": "codabench.bundle.fix",
    "ingestion": "codabench.bundle.defined.programs",
    "load": "codabench.workspace.loading",
    "schema": "codabench.bundle.schema",
    "scoring": "codabench.bundle.defined.programs",
    "verify": "codabench.workspace.verifying",
}

__all__ = [
    "Backend",
    "BatchHandle",
    "Column",
    "Competition",
    "CompetitionSpec",
    "ContainerEngine",
    "DaskBackend",
    "DockerEngine",
    "Fault",
    "Fixed",
    "IngestionIO",
    "Leaderboard",
    "Limits",
    "LocalBackend",
    "Phase",
    "PodmanEngine",
    "Policy",
    "Problem",
    "ProcessEngine",
    "Program",
    "Receipt",
    "ReevaluationPlan",
    "Report",
    "RunHandle",
    "SandboxEngine",
    "ScoringIO",
    "Severity",
    "Solution",
    "Status",
    "SubmissionHandle",
    "Task",
    "Verification",
    "Workspace",
    "__version__",
    "check",
    "errors",
    "fix",
    "ingestion",
    "load",
    "schema",
    "scoring",
    "verify",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "errors":
        return import_module("codabench.core.errors")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'codabench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
