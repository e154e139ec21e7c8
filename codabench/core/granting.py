"""What a worker grants of what a competition asks for: the meet of two policies (security.md section 4).

Policies form a lattice. The meet of two is the loosest policy that is at least as tight as both, so the order in which
ceilings are applied does not matter, and applying one twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codabench.core.policy import Limits, Network, Policy, User

_NAMES = ("strict", "standard", "trusted")
_NETWORKS = (Network.NONE, Network.PROXY, Network.OPEN)
_USERS = (User.NOBODY, User.IMAGE)


def meet(one: Policy, other: Policy) -> Policy:
    """The loosest policy that allows nothing which one of them forbids."""
    return Policy(**{field: rule(getattr(one, field), getattr(other, field)) for field, rule in _RULES.items()})


def tightened(asked: Policy, granted: Policy) -> list[str]:
    """What was asked for and not granted, in words: ``network open, granted none``.

    A limit that nobody set to a value of their own was not asked for.
    """
    found = [
        f"{field.replace('_', ' ')} {_shown(getattr(asked, field))}, granted {_shown(getattr(granted, field))}"
        for field in ("name", "network", "user", "gpus", "hosts", "local_data")
        if getattr(asked, field) != getattr(granted, field)
    ]
    found += [
        f"{field.replace('_', ' ')}, not granted"
        for field in ("writable_program", "writable_inputs")
        if getattr(asked, field) and not getattr(granted, field)
    ]
    found += [
        f"no {field.replace('_', ' ')}, granted with it"
        for field in ("read_only_root", "no_new_privileges")
        if getattr(granted, field) and not getattr(asked, field)
    ]
    return found + [
        f"{field} {_shown(wanted)}, granted {_shown(given)}"
        for field, default in Limits().model_dump().items()
        if (wanted := getattr(asked.limits, field)) != (given := getattr(granted.limits, field)) and wanted != default
    ]


# ---------------------------------------------------------------------- one rule for each kind of field
def _first_of(order: Sequence[Any]) -> Callable[[Any, Any], Any]:
    return lambda one, other: order[min(order.index(one), order.index(other))]


def _fewer(one: Any, other: Any) -> Any:
    """The smaller number; None is no bound."""
    return min((n for n in (one, other) if n is not None), default=None)


def _common(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """What is in both lists; None is everything."""
    if one is None or other is None:
        return other if one is None else one
    return tuple(sorted(set(one) & set(other)))


def _hosts(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The names that both lists cover: ``.example.org`` covers ``www.example.org``."""
    if one is None or other is None:
        return _common(one, other)
    both = {a for a in one if any(covers(b, a) for b in other)} | {b for b in other if any(covers(a, b) for a in one)}
    return tuple(sorted(both))


def covers(rule: str, host: str) -> bool:
    """Whether a name of an allow-list covers a host, or another name of such a list."""
    rule, host = rule.lower().rstrip("."), host.lower().rstrip(".")
    return rule == host or (rule.startswith(".") and (host.endswith(rule) or host == rule[1:]))


def _registries(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The parts of registries that both lists cover: ``ghcr.io`` covers ``ghcr.io/lab``."""
    if one is None or other is None:
        return _common(one, other)
    both = {a for a in one if any(holds(b, a) for b in other)} | {b for b in other if any(holds(a, b) for a in one)}
    return tuple(sorted(both))


def holds(registry: str, image: str) -> bool:
    """Whether an image, or another part of a registry, lies in a part of one; compared by whole words."""
    return f"{image.rstrip('/')}/".startswith(f"{registry.rstrip('/')}/")


def _devices(one: str | None, other: str | None) -> str | None:
    """The fewer of two requests for devices: None, a number, names, or ``all``.

    A number of named devices is the first of them; only there it matters which of three policies meet first.
    """
    if one is None or other is None:
        return None
    if "all" in (one, other):
        return other if one == "all" else one
    if one.isdigit() and other.isdigit():
        return str(min(int(one), int(other)))
    if one.isdigit() or other.isdigit():
        count, names = (one, other) if one.isdigit() else (other, one)
        return ",".join(sorted(names.split(","))[: int(count)]) or None
    return ",".join(sorted(set(one.split(",")) & set(other.split(",")))) or None


def _limits(one: Limits, other: Limits) -> Limits:
    return Limits(**{field: _fewer(getattr(one, field), getattr(other, field)) for field in Limits.model_fields})


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "name": _first_of(_NAMES),
    "network": _first_of(_NETWORKS),
    "user": _first_of(_USERS),
    "writable_program": lambda one, other: one and other,
    "writable_inputs": lambda one, other: one and other,
    "read_only_root": lambda one, other: one or other,
    "no_new_privileges": lambda one, other: one or other,
    "gpus": _devices,
    "hosts": _hosts,
    "local_data": _common,
    "registries": _registries,
    "limits": _limits,
    "log_keep": _fewer,
}
