"""What the containers of a run are told: directories, environment, isolation, a way out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from codabench.backends.engine import ContainerSpec, Image, Mount
from codabench.core.policy import Network
from codabench.core.records import Role, StepName
from codabench.runner import proxy
from codabench.runner.contract import ENVIRONMENT, PROGRAM
from codabench.runner.effective import local_data_mounts
from codabench.runner.layout import RunDirectory
from codabench.runner.plan import RunPlan


def container_spec(
    plan: RunPlan,
    directory: RunDirectory,
    image: Image,
    step: StepName,
    role: Role,
    argv: tuple[str, ...],
    local_data: Mapping[str, Path],
) -> ContainerSpec:
    """The container of a program of a step: the contract's directories and environment, the policy's isolation."""
    policy = plan.policy
    return ContainerSpec(
        image=image,
        argv=argv,
        mounts=(*directory.mounts(step, role), *local_data_mounts(policy, local_data)),
        workdir=PROGRAM,
        env=ENVIRONMENT,
        network=policy.network,
        user=policy.user,
        read_only_root=policy.read_only_root,
        no_new_privileges=policy.no_new_privileges,
        limits=policy.limits,
        gpus=policy.gpus,
        labels={
            "codabench.run": plan.run,
            "codabench.attempt": plan.attempt,
            "codabench.step": step,
            # Without what stands before an @: labels are seen by everybody who may ask the engine.
            "codabench.workspace": re.sub(r"//[^/@]*@", "//", plan.storage),
        },
    )


def with_proxy(spec: ContainerSpec, directory: Path) -> ContainerSpec:
    """The same program without any network, and with the proxy whose socket lies in that directory."""
    way_out = Mount(source=str(directory), target=proxy.TARGET, read_only=True, live=True)
    return spec.model_copy(
        update={
            "network": Network.NONE,
            "mounts": (*spec.mounts, way_out),
            "argv": proxy.command(spec.argv),
            "env": {**spec.env, **proxy.ENVIRONMENT},
        }
    )
