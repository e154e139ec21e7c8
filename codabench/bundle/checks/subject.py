"""What the checks look at: the competition, the places of its keys, and its programs, read once."""

from __future__ import annotations

import posixpath
from functools import cached_property
from typing import NamedTuple

from codabench.bundle.checks.sources import Budget, ProgramText, read_program
from codabench.bundle.files import BundleFiles
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, Source
from codabench.core.competition import CompetitionSpec
from codabench.core.problems import Location


class ColumnPlace(NamedTuple):
    """A column in the text, and where it says its key and its sorting."""

    node: Mapping | None
    key: Node
    sorting: Node | None


class Subject:
    """One bundle without errors.

    Attributes
    ----------
    spec, root, source, files
        What was read, and from what.
    """

    def __init__(self, spec: CompetitionSpec, root: Mapping, source: Source, files: BundleFiles) -> None:
        self.spec, self.root, self.source, self.files = spec, root, source, files
        self._budget = Budget()
        self._programs: dict[str, ProgramText] = {}

    def place_of(self, role: str, path: str) -> Location:
        """Where the description names a file in a role; the description itself if that is not found."""
        return self.source.of(self._named.get((role, path)))

    @cached_property
    def columns(self) -> dict[str, ColumnPlace]:
        """Where each column stands; the first of several with one key."""
        found: dict[str, ColumnPlace] = {}
        for board in _mappings(self.root.get("leaderboards")):
            for column in _mappings(board.get("columns")):
                if isinstance(key := column.get("key"), Scalar):
                    found.setdefault(key.text, ColumnPlace(column, key, column.get("sorting")))
        old = self.root.get("leaderboard")  # as format v1.5 has it: one mapping with the columns of every board
        columns = old.get("columns") if isinstance(old, Mapping) else None
        for name, (place, inner) in columns.entries.items() if isinstance(columns, Mapping) else ():
            sorting = inner.get("sort") if isinstance(inner, Mapping) else None
            found.setdefault(name, ColumnPlace(None, place, sorting))
        return found

    def column(self, key: str) -> Location:
        """Where a column says its key."""
        place = self.columns.get(key)
        return self.source.of(place.key if place else None)

    @cached_property
    def scoring(self) -> tuple[ProgramText, ...]:
        """The scoring programs, each once."""
        return self._read("scoring_program")

    @cached_property
    def ingestion(self) -> tuple[ProgramText, ...]:
        """The ingestion programs, each once."""
        return self._read("ingestion_program")

    def _read(self, role: str) -> tuple[ProgramText, ...]:
        specs = [getattr(task, role) for task in self.spec.tasks]
        paths = dict.fromkeys(spec.path for spec in specs if spec is not None and spec.path is not None)
        commands = {spec.path: spec.commands for spec in specs if spec is not None}
        found = []
        for path in paths:
            if path not in self._programs:
                tree = self.files.open_program(path)
                self._programs[path] = read_program(tree, path, commands[path], self._budget)
            found.append(self._programs[path])
        return tuple(found)

    @cached_property
    def _named(self) -> dict[tuple[str, str], Node]:
        """Every scalar that stands under a key, by the key and by the path that it means."""
        found: dict[tuple[str, str], Node] = {}
        waiting: list[Node] = [self.root]
        seen: set[int] = set()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue  # an alias of what has been looked at
            seen.add(id(node))
            if isinstance(node, Sequence):
                waiting += reversed(node.items)
            elif isinstance(node, Mapping):
                for key, (_, inner) in node.entries.items():
                    if isinstance(inner, Scalar) and inner.text:
                        path = posixpath.normpath(inner.text.strip())
                        found.setdefault((key, path), inner)
                        found.setdefault((key, path.removesuffix(".zip")), inner)
                waiting += [inner for _, inner in reversed(node.entries.values()) if not isinstance(inner, Scalar)]
        return found


def _mappings(node: Node | None) -> list[Mapping]:
    return [item for item in node.items if isinstance(item, Mapping)] if isinstance(node, Sequence) else []
