"""What callers type about a run, as typed values: policy, limits, durations."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from codabench.core.errors import UsageError
from codabench.core.policy import Network, Policy, policy_named
from codabench.core.text import did_you_mean, parse_duration, parse_size
from codabench.storage.cache import CAP

_DEVICE = r"[a-z0-9.-]+/[A-Za-z0-9_.-]+=[A-Za-z0-9_.:-]+"
_HOST = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_DEVICES = re.compile(rf"{_DEVICE}(,{_DEVICE})*")
"""Names of the Container Device Interface: ``vendor.com/class=name``."""

_PULLS = ("missing", "always", "never")


def tailored(
    policy: str | Policy,
    *,
    network: str | None = None,
    memory: int | str | None = None,
    cpus: float | None = None,
    gpus: int | str | None = None,
    local_data: Iterable[str] | None = None,
    allow: Iterable[str] | None = None,
) -> Policy:
    """A policy with single settings changed.

    Raises
    ------
    UsageError
        If a setting cannot be meant.
    """
    base = policy if isinstance(policy, Policy) else policy_named(policy)
    changes: dict[str, Any] = {}
    if network is not None:
        changes["network"] = _network(network)
    if allow := tuple(allow or ()):
        if network not in (None, Network.PROXY.value):
            raise UsageError(f"hosts are allowed by network proxy, not by network {network}", code="CB353")
        changes |= {"network": Network.PROXY, "hosts": tuple(sorted({*map(_host, allow)}))}
    if gpus is not None:
        changes["gpus"] = None if str(gpus) == "0" else _gpus(gpus)
    if local_data:
        changes["local_data"] = tuple(sorted({*(base.local_data or ()), *local_data}))
    limits: dict[str, Any] = {}
    if memory is not None:
        limits["memory"] = _memory(memory)
    if cpus is not None:
        if not 0 < cpus < math.inf:
            raise UsageError(f"cpus must be more than 0, not {cpus:g}", code="CB353")
        limits["cpus"] = cpus
    if limits:
        changes["limits"] = base.limits.model_copy(update=limits)
    return base.model_copy(update=changes)


def seconds(timeout: float | str | None) -> int | None:
    """A time limit in whole seconds, at least one; None: what the phase says.

    Raises
    ------
    UsageError
        If it is no duration.
    """
    if timeout is None:
        return None
    try:
        found = parse_duration(timeout)
    except ValueError as error:
        raise UsageError(str(error), code="CB353") from None
    if not 0 < found < math.inf:
        raise UsageError(f"a time limit must be more than 0 seconds, not {found:g}", code="CB353")
    return max(1, round(found))


def cache_cap(value: int | str | None) -> int:
    """Bytes that the cache of this host may have.

    Raises
    ------
    UsageError
        If it is no size.
    """
    try:
        return CAP if value is None else parse_size(value)
    except ValueError as error:
        raise UsageError(str(error), code="CB353") from None


def pull_policy(word: str) -> str:
    """When images are pulled: ``missing``, ``always``, ``never``.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    if word not in _PULLS:
        guess = did_you_mean(str(word), _PULLS)
        hint = f"did you mean {guess!r}?" if guess else None
        raise UsageError(f"no pull {word!r}; there are {', '.join(_PULLS)}", code="CB353", hint=hint)
    return word


def _network(name: str) -> Network:
    offered = [each.value for each in Network]
    if name not in offered:
        guess = did_you_mean(name, offered)
        hint = f"did you mean {guess!r}?" if guess else None
        raise UsageError(f"no network {name!r}; there are {', '.join(offered)}", code="CB353", hint=hint)
    return Network(name)


def _host(name: str) -> str:
    if not _HOST.fullmatch(name):
        hint = "pypi.org, .pythonhosted.org for all below it, mirror.lab:8080"
        raise UsageError(f"{name!r} is no name of a host", code="CB353", hint=hint)
    return name.lower()


def _memory(value: int | str) -> int:
    try:
        size = parse_size(value)
    except ValueError as error:
        raise UsageError(str(error), code="CB353") from None
    if size < 6 * 1024 * 1024:
        raise UsageError(
            f"memory of {value} is too little to start a program", code="CB353", hint="write 512m or 4 GiB"
        )
    return size


def _gpus(value: int | str) -> str:
    text = str(value)
    number = text.isascii() and text.isdigit() and int(text) > 0
    if text != "all" and not number and not _DEVICES.fullmatch(text):
        hint = "2, all, or nvidia.com/gpu=0,nvidia.com/gpu=1"
        raise UsageError(f"gpus is a number, all, or names of devices, not {text!r}", code="CB353", hint=hint)
    return text
