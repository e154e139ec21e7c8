"""The metadata file of a program, a submission, or of data that merely has a file of that name (contract.md 4.5)."""

from __future__ import annotations

from typing import NamedTuple

from codabench.bundle.nodes import Mapping, Scalar, Sequence, Source
from codabench.bundle.yaml import MAX_BYTES, read_yaml
from codabench.core.problems import Problem, Severity
from codabench.storage.sources import TreeSource

METADATA = ("metadata.yaml", "metadata")
LITTER = ("__MACOSX", ".DS_Store")
"""What a Mac adds to an archive."""


class Metadata(NamedTuple):
    """`file` is None if there is none; no `commands`: nothing to run."""

    file: str | None = None
    commands: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_metadata(tree: TreeSource, label: str = "") -> Metadata:
    """The commands that a tree says it is run with.

    ``metadata.yaml``, else ``metadata``, at the top only, is YAML: a mapping with ``command``, a text or a list
    of texts. Anything else is no command.

    Parameters
    ----------
    label
        Where the tree lies in the bundle, for the places of problems.

    Raises
    ------
    ArchiveError
        The file is damaged.
    """
    name = next((name for name in METADATA if tree.is_file(name)), None)
    if name is None:
        return Metadata()
    root, source = read_yaml(tree.read_bytes(name, MAX_BYTES + 1), f"{label}/{name}" if label else name)
    commands = _commands(root.get("command") if isinstance(root, Mapping) else None, source)
    problems = [_unreadable(p) if p.severity is Severity.ERROR else _as_it_is(p) for p in source.problems]
    return Metadata(name, commands, tuple(problems))


def _commands(node: object, source: Source) -> tuple[str, ...]:
    if isinstance(node, Scalar) and not node.is_null and node.text.strip():
        return (node.text.strip(),)
    if not isinstance(node, Sequence):
        return ()
    commands = tuple(item.text.strip() for item in node.items if isinstance(item, Scalar) and item.text.strip())
    if len(commands) < len(node.items):
        message = "each command in a list is a text; this list holds something else"
        source.add("CB403", Severity.WARNING, message, node)
        return ()
    message = "a list of commands: they run in order and stop at the first that fails; codabench.org takes one only"
    source.add("CB404", Severity.NOTE, message, node)
    return commands


def _as_it_is(problem: Problem) -> Problem:
    """Without a fix: only descriptions are mended."""
    return problem.model_copy(update={"fix": None})


def _unreadable(problem: Problem) -> Problem:
    message = f"{problem.message}; the file is taken as one without a command"
    return problem.model_copy(update={"code": "CB403", "severity": Severity.WARNING, "message": message})
