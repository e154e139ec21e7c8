"""A tree with changes: files and whole trees put into it, paths left out of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from codabench.storage.ranges import LocalFile, RandomAccess, stream_of
from codabench.storage.tree import SourceEntry, TreeSource, only_leaves


class Content(NamedTuple):
    """One file from elsewhere: how large it is, how it is opened, and its bytes by position, if it has them."""

    size: int
    open: Callable[[], BinaryIO]
    access: Callable[[], RandomAccess | None] = lambda: None

    @classmethod
    def of_bytes(cls, data: bytes) -> Content:
        return cls(len(data), lambda: io.BytesIO(data))

    @classmethod
    def of_path(cls, path: Path) -> Content:
        return cls(path.stat().st_size, lambda: path.open("rb"), lambda: LocalFile(path))

    @classmethod
    def of_archive(cls, tree: TreeSource) -> Content | None:
        """The archive that a tree is, byte for byte; None if it is a folder."""
        archive = tree.archive
        return None if archive is None else cls(archive.size, lambda: stream_of(archive), lambda: archive)


class Overlay(TreeSource):
    """A tree with some files replaced or added, trees added as folders, and paths left out.

    Parameters
    ----------
    files, folders
        By path; a folder must not be in `base`. They are not closed with this tree.
    gone
        Files, and folders with all that is in them.
    """

    def __init__(
        self,
        base: TreeSource,
        *,
        files: Mapping[str, Content] | None = None,
        folders: Mapping[str, TreeSource] | None = None,
        gone: Iterable[str] = (),
    ) -> None:
        self._base, self._files_put, self._folders = base, dict(files or {}), dict(folders or {})
        left_out = tuple(f"{path}/" for path in gone)
        entries = [e for e in base.entries() if e.path not in self._files_put]
        entries = [e for e in entries if not f"{e.path}/".startswith(left_out)]
        entries += [SourceEntry(path=path, size=content.size) for path, content in self._files_put.items()]
        for folder, tree in self._folders.items():
            moved = [e._replace(path=f"{folder}/{e.path}") for e in tree.entries()]
            entries += moved or [SourceEntry(path=folder, kind="dir")]
        super().__init__(base.name, only_leaves(entries))

    def _at(self, path: str) -> tuple[TreeSource, str]:
        for folder, tree in self._folders.items():
            if path.startswith(f"{folder}/"):
                return tree, path[len(folder) + 1 :]
        return self._base, path

    def open(self, path: str) -> BinaryIO:
        if content := self._files_put.get(path):
            return content.open()
        tree, inside = self._at(path)
        return tree.open(inside)

    @property
    def far(self) -> bool:
        return self._base.far

    def random_access(self, path: str) -> RandomAccess | None:
        if content := self._files_put.get(path):
            return content.access()
        tree, inside = self._at(path)
        return tree.random_access(inside)
