"""`DataSet`: one program, data set, kit or solution of a competition, with its files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from codabench.core.competition import CompetitionSpec, DataRole, DataSpec
from codabench.core.text import human_size, plural, printable
from codabench.core.trees import tree_digest
from codabench.storage.sources import TreeSource, manifest

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


class DataSet:
    """Files in one role (contract.md 3.2).

    Attributes
    ----------
    role
        What it is for.
    spec
        What the bundle says of it: its path, its key.
    used_by
        The tasks or phases that use it, by name; for a solution, the tasks it solves.
    """

    def __init__(self, competition: Competition, role: DataRole, spec: DataSpec, used_by: tuple[str, ...]) -> None:
        self._competition = competition
        self.role, self.spec, self.used_by = role, spec, used_by

    @property
    def name(self) -> str:
        """The last part of its path."""
        return posixpath.basename(self.spec.path or "") or str(self.spec.key)

    @property
    def path(self) -> str | None:
        """Where it lies in the bundle."""
        return self.spec.path

    @property
    def key(self) -> str | None:
        """Its UUID on a server, if the bundle names it by that."""
        return self.spec.key

    @property
    def tree(self) -> TreeSource:
        """Its files; they live as long as the competition."""
        return self._competition.tree(self.spec)

    @property
    def size(self) -> int:
        """Bytes of all its files together, unpacked."""
        return self.tree.total_size

    @cached_property
    def digest(self) -> str:
        """The digest of its files, packed or not; the first look reads all of them."""
        return tree_digest(manifest(self.tree))

    def __repr__(self) -> str:
        files = plural(sum(e.kind == "file" for e in self.tree.entries()), "file")
        users = ", ".join(printable(name) for name in self.used_by) or "nothing"
        place = printable(str(self.path))
        return f"<{self.role.words} {place}: {files}, {human_size(self.size)}; used by {users}>"


def datasets_of(competition: Competition) -> list[DataSet]:
    """Every program, data set, kit and solution once for each role, in the order of tasks, phases, solutions."""
    found: dict[tuple[DataRole, str | None], tuple[DataSpec, dict[str, None]]] = {}
    for role, part, user in uses_of(competition.spec):
        users = found.setdefault((role, part.tree), (part, {}))[1]
        users.update(dict.fromkeys(user))
    return [DataSet(competition, role, part, tuple(users)) for (role, _), (part, users) in found.items()]


def uses_of(spec: CompetitionSpec) -> Iterator[tuple[DataRole, DataSpec, tuple[str, ...]]]:
    """Every program, data set, kit and solution at each of its places: its role, and the names of what has it."""
    for task in spec.tasks:
        yield from ((DataRole(role), part, (task.name,)) for role, part in task.parts.items())
    for phase in spec.phases:
        yield from ((DataRole(role), part, (phase.name,)) for role, part in phase.parts.items())
    for solution in spec.solutions:
        yield DataRole.SOLUTION, solution, tuple(spec.task(index).name for index in solution.tasks)
