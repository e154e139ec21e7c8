"""Values that YAML 1.1, and with it codabench.org, reads otherwise than they are written: ``12:30`` is 750."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from codabench.bundle.checks.subject import Subject
from codabench.bundle.edits import mending, replaced
from codabench.bundle.fields import shorten, whole_number
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, Source
from codabench.core.problems import Edit, Problem, Severity

_TEXTS = frozenset(("title", "name", "key", "description", "reward"))
_NUMBERS = frozenset(
    ("index", "primary_index", "precision", "max_submissions", "max_submissions_per_day", "execution_time_limit")
)
_LISTS = ("pages", "tasks", "phases", "leaderboards", "columns", "solutions")


def check_scalars(subject: Subject) -> Iterator[Problem]:
    """Texts and numbers that would be others there; here they mean what is written."""
    if subject.spec.format != "v2":
        return  # such a bundle gets there by way of a converter, which writes quotes
    wrong = [(key, node, other) for key, node in _values(subject.root) if (other := _otherwise(key, node))]
    if not wrong:
        return
    key, node, other = wrong[0]
    more = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
    number = whole_number(node) if key in _NUMBERS else None
    source = subject.source
    yield Problem(
        code="CB510",
        severity=Severity.NOTE,
        message=f"{key} {shorten(node.text)}: codabench.org reads it as {other}{more}",
        where=source.of(node),
        also=tuple(source.of(place) for _, place, _ in wrong[1:4]),
        hint=f"write {key}: {number}" if number is not None else f'put it in quotes: {key}: "{node.text}"',
        fix=mending("write it so that it is read alike everywhere", *(_written(source, k, n) for k, n, _ in wrong)),
    )


def _values(root: Mapping) -> Iterator[tuple[str, Scalar]]:
    """The texts and numbers of the description, in the order in which they stand."""
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Sequence):
            waiting += reversed(node.items)
        elif isinstance(node, Mapping):
            for key, (_, inner) in node.entries.items():
                if isinstance(inner, Scalar) and inner.plain and key in _TEXTS | _NUMBERS:
                    yield key, inner
            waiting += [inner for key, (_, inner) in reversed(node.entries.items()) if key in _LISTS]


def _written(source: Source, key: str, node: Scalar) -> Edit | None:
    """The same value, as every reader of YAML takes it."""
    if key in _NUMBERS:
        return replaced(source, node, str(whole_number(node)))
    return replaced(source, node, node.text, quoted=True)


def _otherwise(key: str, node: Scalar) -> str | None:
    """What YAML 1.1 makes of a value, if that is something else."""
    import yaml

    resolver: Any = yaml.resolver.Resolver()
    tag = resolver.resolve(yaml.ScalarNode, node.text, (True, False))
    if tag.rpartition(":")[2] not in ("int", "float", "bool", "timestamp"):
        return None
    try:
        value = yaml.safe_load(node.text)
    except ValueError:
        return None  # a day that does not exist
    if isinstance(value, date):
        return "a date" if key in _TEXTS else None
    if key in _NUMBERS:
        return None if value == whole_number(node) else str(value)
    return None if not isinstance(value, bool) and str(value) == node.text else str(value)
