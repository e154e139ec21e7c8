"""Programs and submissions as CodaLab unpacked them (contract.md 2.5)."""

from __future__ import annotations

from typing import BinaryIO

from codabench.bundle.fields import shorten
from codabench.bundle.metadata import LITTER, METADATA
from codabench.core.errors import ArchiveError
from codabench.core.problems import Problem, Severity
from codabench.storage.sources import ArchiveLimits, RandomAccess, SourceEntry, TreeSource, ZipSource, zip_in


def without_wrapping(tree: TreeSource) -> TreeSource:
    """The one folder that everything lies in, if it holds the metadata file; else the tree itself."""
    folder = _wrapping(tree)
    return tree if folder is None else tree.subtree(folder)


def unpack_program(tree: TreeSource, limits: ArchiveLimits) -> TreeSource:
    """A program without the folder around it, each zip at its top unpacked beside it into a folder of its name.

    Returns
    -------
    TreeSource
        `tree` itself if there is nothing to do; else one whose ``problems`` say what was done.
    """
    problems: list[Problem] = []
    folder = _wrapping(tree)
    if folder is not None:
        message = f"the folder {shorten(folder + '/')} around the program is taken off, as CodaLab did"
        problems.append(_note(message, "pack what is in the folder: codabench.org would not find the metadata"))
    base = tree if folder is None else tree.subtree(folder)
    inner: dict[str, ZipSource] = {}
    for name in _archives(base):
        try:
            inner[name[: -len(".zip")]] = found = zip_in(base, name, limits=limits)
        except ArchiveError as error:
            what = f"{shorten(name)} in the program stays as it is: {error.message}"
            problems.append(Problem(code="CB308", severity=Severity.WARNING, message=what, hint=error.hint))
            continue
        limits = limits.model_copy(update={"inflated_bytes": max(0, limits.inflated_bytes - found.total_size)})
        message = f"{shorten(name)} in the program is unpacked into {shorten(name[:-4] + '/')}, as CodaLab did"
        problems.append(_note(message, "put the folder there: codabench.org leaves archives packed"))
    return _Unpacked(base, inner, problems) if problems else tree


def _note(message: str, hint: str) -> Problem:
    return Problem(code="CB312", severity=Severity.NOTE, message=message, hint=hint)


def _wrapping(tree: TreeSource) -> str | None:
    """The only thing at the top, if it is a folder with the metadata file."""
    tops = {e.path.split("/")[0] for e in tree.entries()} - set(LITTER)
    only = tops.pop() if len(tops) == 1 else None
    return only if only and any(tree.is_file(f"{only}/{name}") for name in METADATA) else None


def _archives(tree: TreeSource) -> list[str]:
    """The zips at the top whose folder is not there already."""
    tops = [e.path for e in tree.entries() if e.kind == "file" and "/" not in e.path]
    return [name for name in tops if name.endswith(".zip") and name != ".zip" and not tree.exists(name[:-4])]


class _Unpacked(TreeSource):
    """A tree with further trees in folders that it does not have itself. Only those are closed with it."""

    def __init__(self, base: TreeSource, inner: dict[str, ZipSource], problems: list[Problem]) -> None:
        self._base, self._inner = base, inner
        entries: list[SourceEntry] = [*base.entries()]
        for folder, tree in inner.items():
            moved = [e._replace(path=f"{folder}/{e.path}") for e in tree.entries()]
            entries += moved or [SourceEntry(path=folder, kind="dir")]
        super().__init__(base.name, entries, problems=problems)

    def _at(self, path: str) -> tuple[TreeSource, str]:
        top, _, rest = path.partition("/")
        return (self._inner[top], rest) if top in self._inner else (self._base, path)

    def open(self, path: str) -> BinaryIO:
        tree, inside = self._at(path)
        return tree.open(inside)

    @property
    def far(self) -> bool:
        return self._base.far

    def random_access(self, path: str) -> RandomAccess | None:
        tree, inside = self._at(path)
        return tree.random_access(inside)

    def close(self) -> None:
        for tree in self._inner.values():
            tree.close()
