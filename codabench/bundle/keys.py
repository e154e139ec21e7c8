"""Which parts of a competition are written by key instead of with their files (contract.md 1.13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from codabench.bundle.datasets import plain_key
from codabench.bundle.fields import is_uuid, shorten
from codabench.bundle.load import Bundle
from codabench.core.competition import CompetitionSpec, DataSpec, PhaseSpec, ProgramSpec, TaskSpec
from codabench.core.errors import UsageError
from codabench.core.problems import Problem, Severity
from codabench.core.text import did_you_mean, plural
from codabench.storage.sources import TreeSource

D = TypeVar("D", bound=DataSpec)
Keys = Mapping[str, str]
"""Path of a program or data set in the bundle -> UUID of it on a server."""


def with_keys(spec: CompetitionSpec, keys: Keys | None) -> tuple[CompetitionSpec, list[Problem]]:
    """The competition with a key on every part that is to be written by key, and on no other.

    Parameters
    ----------
    keys
        None: everything is written with its files. Otherwise what it names, and what was read by key.

    Raises
    ------
    UsageError
        ``CB170``: a path that the competition does not have, or a key that is no UUID.
    """
    wanted = _checked(spec, keys or {})

    def named(part: D) -> D:
        key = None if keys is None else wanted.get(part.path or "") or part.key
        return part.model_copy(update={"key": key})

    def task(task: TaskSpec) -> TaskSpec:
        parts = {role: named(part) for role, part in task.parts.items()}
        return task.model_copy(update={**parts, "key": None if keys is None else task.key})

    def phase(phase: PhaseSpec) -> PhaseSpec:
        return phase.model_copy(update={role: named(part) for role, part in phase.parts.items()})

    update = {
        "tasks": tuple(map(task, spec.tasks)),
        "phases": tuple(map(phase, spec.phases)),
        "solutions": tuple(map(named, spec.solutions)),
    }
    lost = {part.key for part in parts_of(spec) if part.key} | {task.key for task in spec.tasks if task.key}
    if keys is not None or not lost:
        return spec.model_copy(update=update), []
    message = f"the files of data sets and tasks are written instead of their keys ({plural(len(lost), 'key')})"
    hint = "save with keys={}, or convert --keys FILE, to write keys instead of files"
    return spec.model_copy(update=update), [Problem(code="CB168", severity=Severity.NOTE, message=message, hint=hint)]


def parts_of(spec: CompetitionSpec) -> Iterator[DataSpec]:
    """Every program, data set, kit and solution that a competition names."""
    for task in spec.tasks:
        yield from task.parts.values()
    for phase in spec.phases:
        yield from phase.parts.values()
    yield from spec.solutions


def _checked(spec: CompetitionSpec, keys: Keys) -> dict[str, str]:
    there = sorted({part.path for part in parts_of(spec) if part.path})
    found = {str(path).rstrip("/"): str(key).strip() for path, key in keys.items()}
    for path, key in found.items():
        if path not in there:
            guess = did_you_mean(path, there)
            hint = f"did you mean {guess}?" if guess else f"there are {', '.join(there)}"
            raise UsageError(f"{shorten(path)} is no program and no data of the bundle", code="CB170", hint=hint)
        if not is_uuid(key):
            hint = "a key is a UUID such as 5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01"
            raise UsageError(
                f"{shorten(key)}, for {shorten(path)}, is not the key of a data set", code="CB170", hint=hint
            )
    return {path: plain_key(key) for path, key in found.items()}


def known_again(bundle: Bundle, spec: CompetitionSpec) -> Callable[[str], TreeSource | None]:
    """What stands for the keys of a competition when it is read back."""
    trees = {part.key: part for part in parts_of(spec) if part.key}

    def find(key: str) -> TreeSource | None:
        given = bundle.given(key)
        if given is None and key in trees:
            # As the bundle holds it: the key does not say how a format unpacks programs.
            return bundle.tree(trees[key])
        return given

    return find


def without_places(value: Any) -> Any:
    """A competition for comparing: where the files of what is named by key lie does not count."""
    if isinstance(value, (tuple, list)):
        return [without_places(item) for item in value]
    if not isinstance(value, (DataSpec, TaskSpec, PhaseSpec)):
        return value
    fields = {name: without_places(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, DataSpec) and value.key:
        fields["path"] = None
        if isinstance(value, ProgramSpec):
            fields["unpacked"] = False
    return fields
