"""The policy that holds for an attempt: what was asked for, met with what the worker grants and the engine enforces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from codabench.backends.backend import WorkHost
from codabench.backends.engine import EngineInfo, Mount
from codabench.backends.naming import is_permitted
from codabench.core.errors import PolicyError
from codabench.core.granting import meet, tightened
from codabench.core.policy import Network, Policy
from codabench.core.problems import Fault, Problem, Severity
from codabench.runner.contract import LOCAL_DATA

MEMORY_RESERVE = 1024**3
"""Bytes of the host that programs never get."""


def effective_policy(asked: Policy, host: WorkHost, info: EngineInfo) -> tuple[Policy, list[Problem]]:
    """What holds here, and what of it is less than was asked for.

    Raises
    ------
    PolicyError
        The engine ignores a part of a strict policy, or a program needs a directory that this worker does not have.
        Nothing was started.
    """
    granted = meet(asked, host.ceiling)
    refuse_missing_data(asked, granted, host.local_data)
    refuse_open_proxy(granted, info)
    refuse_unenforced(granted, info)
    notes = [
        Problem(
            code="CB662",
            severity=Severity.WARNING,
            message=f"the worker grants less than was asked for: {what}",
            hint="whoever runs the worker decides that; see the ceiling in docs/policy.md",
            fault=Fault.OPERATOR,
        )
        for what in tightened(asked, granted)
    ]
    return bounded(granted, info), notes


def refuse_open_proxy(policy: Policy, info: EngineInfo) -> None:
    """An allow-list that lists nothing, or that nobody enforces, is none.

    Raises
    ------
    PolicyError
        ``CB364``.
    """
    if policy.network is not Network.PROXY:
        return
    if not policy.hosts:
        raise PolicyError(
            "the network is proxy, and no host is allowed",
            code="CB364",
            hint="name some: hosts=('pypi.org', '.pythonhosted.org') of the policy, --allow pypi.org of run",
        )
    if not info.enforced.get("network_none", True):
        raise PolicyError(
            f"{info.name} cannot hold a program to an allow-list: it leaves it the network of this machine",
            code="CB364",
            hint="use another engine",
        )


def refuse_missing_data(asked: Policy, granted: Policy, offered: Mapping[str, Path]) -> None:
    """A program that needs a data set fails in some way of its own without it: better not to start.

    Raises
    ------
    PolicyError
        ``CB663``, naming what is missing and what is there.
    """
    wanted = asked.local_data or ()
    missing = [name for name in wanted if name not in offered or name not in (granted.local_data or ())]
    if missing:
        there = ", ".join(sorted(offered)) or "none"
        raise PolicyError(
            f"this worker does not offer the local data {', '.join(missing)}; it has {there}",
            code="CB663",
            hint="local_data={'NAME': '/path'} of the workspace or backend offers one, --local-data NAME=/path of run",
        )


def local_data_mounts(policy: Policy, offered: Mapping[str, Path]) -> tuple[Mount, ...]:
    """Directories of this worker, read-only below ``/app/data`` (contract.md 4.6)."""
    return tuple(
        Mount(source=str(offered[name]), target=f"{LOCAL_DATA}/{name}", read_only=True)
        for name in policy.local_data or ()
    )


def refuse_unenforced(policy: Policy, info: EngineInfo) -> None:
    """The policy ``strict`` takes no engine that is known to ignore a part of it.

    Raises
    ------
    PolicyError
        Naming what does not hold, and why; nothing was started.
    """
    lost = [name.replace("_", " ") for name, holds in info.enforced.items() if not holds]
    if policy.name == "strict" and lost:
        why = "; ".join(dict.fromkeys(info.reasons.values()))
        raise PolicyError(
            f"the policy strict cannot be kept by {info.name}, which does not enforce {', '.join(lost)}: {why}",
            hint="use another engine, or --policy standard, which runs and says so",
        )


def refuse_registry(image: str, policy: Policy) -> None:
    """An allow-list of registries holds for images that are here, too: it is their name that is judged.

    Raises
    ------
    PolicyError
        ``CB362``, naming what is allowed; nothing was pulled or started.
    """
    if policy.registries is not None and not is_permitted(image, policy.registries):
        raise PolicyError(
            f"images come from {', '.join(policy.registries) or 'nowhere'} here, and {image} does not",
            code="CB362",
            hint="name another image with `--image`, or ask who runs this to allow its registry",
        )


def bounded(policy: Policy, info: EngineInfo) -> Policy:
    """A policy that says nothing of memory gets all that the engine's host has but a reserve, so that a program that
    takes everything is ended before the host suffers. Where the engine ignores such a limit none is asked for."""
    if policy.limits.memory is not None or info.memory is None or not info.enforced.get("memory", True):
        return policy
    memory = max(info.memory // 2, info.memory - MEMORY_RESERVE)
    return policy.model_copy(update={"limits": policy.limits.model_copy(update={"memory": memory})})


def not_enforced(info: EngineInfo) -> list[Problem]:
    """What does not hold on this engine: one note for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name in (name for name, holds in info.enforced.items() if not holds):
        by_reason.setdefault(info.reasons.get(name, ""), []).append(name.replace("_", " "))
    return [
        Problem(
            code="CB660",
            severity=Severity.NOTE,
            message=f"{info.name} does not enforce {', '.join(names)} here" + (f": {why}" if why else ""),
            fault=Fault.OPERATOR,
        )
        for why, names in by_reason.items()
    ]
