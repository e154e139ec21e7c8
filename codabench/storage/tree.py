"""The interface of a tree of files that can be listed and read.

What a tree holds is decided once, when it is opened; whoever reads it later reads the same files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import BinaryIO, ClassVar, Literal, NamedTuple, Self

from codabench.core.base import Record
from codabench.core.errors import ArchiveError, NotFound
from codabench.core.problems import Problem
from codabench.core.text import human_size, plural
from codabench.storage.names import shown
from codabench.storage.ranges import RandomAccess

GIB = 1024**3
CHUNK = 1 << 18
"""Bytes that are copied at a time."""


LESS = "leave out what is not needed"
"""The next step where a tree is too large."""


class ArchiveLimits(Record):
    """How large a tree may be (security.md section 3, contract.md section 7).

    Attributes
    ----------
    archive_bytes, inflated_bytes
        Size of the archive, and of all files together once unpacked.
    entries
        Files and directories.
    component_bytes, path_bytes
        Length of one name between slashes, and of a whole path, in UTF-8.
    depth
        Folders in folders.
    """

    OWN: ClassVar[ArchiveLimits]
    UPLOAD: ClassVar[ArchiveLimits]

    archive_bytes: int = 100 * GIB
    inflated_bytes: int = 100 * GIB
    entries: int = 2_000_000
    component_bytes: int = 255
    path_bytes: int = 1024
    depth: int = 32

    def check_total(self, size: int, name: str) -> None:
        """Raise `ArchiveError` ``CB029`` if so many bytes are too many."""
        if size > self.inflated_bytes:
            raise ArchiveError(
                f"{shown(name)} holds more than {human_size(self.inflated_bytes)}, the most that is taken",
                code="CB029",
                hint=LESS,
            )

    def check_entries(self, count: int, name: str) -> None:
        """Raise `ArchiveError` ``CB029`` if so many entries are too many."""
        if count > self.entries:
            raise ArchiveError(
                f"{shown(name)} holds {count} entries or more, at most {self.entries} are taken",
                code="CB029",
                hint=LESS,
            )


ArchiveLimits.OWN = ArchiveLimits()
"""For a user's own files."""
ArchiveLimits.UPLOAD = ArchiveLimits(archive_bytes=GIB, inflated_bytes=10 * GIB, entries=20_000)
"""For what somebody sends to a site."""


class SourceEntry(NamedTuple):
    """A file, or a directory with nothing in it; other directories are implied by what they hold.

    A tuple, not a record of `core`: there may be two million of them.
    """

    path: str
    kind: Literal["file", "dir"] = "file"
    executable: bool = False
    size: int = 0


class TreeSource(ABC):
    """A tree of files that can be listed and read.

    Attributes
    ----------
    name
        For messages: what the caller named.
    problems
        What was odd but is no reason to refuse: entries that stand twice, left-out links.
    """

    def __init__(
        self,
        name: str,
        entries: Iterable[SourceEntry],
        *,
        problems: Iterable[Problem] = (),
    ) -> None:
        self.name = name
        self.problems = tuple(problems)
        self._entries = sorted(entries, key=lambda e: e.path)
        self._files = {e.path: e for e in self._entries if e.kind == "file"}
        self._dirs = directories(self._entries)

    def entries(self) -> Sequence[SourceEntry]:
        """Files and empty directories, sorted by path."""
        return self._entries

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """The content of one file; what an archive promises of it (size, checksum) is verified on the way."""

    def read_bytes(self, path: str, limit: int | None = None) -> bytes:
        """The content of one file; at most `limit` bytes of it."""
        with self.open(path) as file:
            return file.read() if limit is None else file.read(limit)

    @property
    def archive(self) -> RandomAccess | None:
        """The bytes of the archive that holds exactly this tree, if one does, so that it can be stored as it is.

        They come from the very descriptor that the tree is read from (security.md Z16), and end with the tree.
        """
        return None

    @property
    def far(self) -> bool:
        """Whether reading costs requests to somewhere else, so that a check should read little."""
        return False

    def random_access(self, path: str) -> RandomAccess | None:
        """The bytes of a file, read by position where they lie; None if they are packed."""
        return None

    def subtree(self, path: str) -> TreeSource:
        """A directory inside, as a tree of its own; it lives as long as this one."""
        path = path.strip("/")
        if not path:
            return self
        if not self.is_dir(path):
            raise NotFound(f"there is no folder {shown(path)} in {shown(self.name)}", code="CB301")
        return _Subtree(self, path)

    def lone(self, path: str) -> TreeSource:
        """A file inside, as a tree that holds nothing else; it lives as long as this one."""
        return _Lone(self, self.entry(path))

    def exists(self, path: str) -> bool:
        return self.is_file(path) or self.is_dir(path)

    def is_file(self, path: str) -> bool:
        return path in self._files

    def is_dir(self, path: str) -> bool:
        """Whether it is a directory; the root is ``""``."""
        return not path or path in self._dirs

    def entry(self, path: str) -> SourceEntry:
        """The file of that path; `NotFound` if there is none."""
        try:
            return self._files[path]
        except KeyError:
            raise NotFound(f"there is no file {shown(path)} in {shown(self.name)}", code="CB301") from None

    @property
    def total_size(self) -> int:
        """Bytes of all files together."""
        return sum(e.size for e in self._entries)

    def close(self) -> None:  # noqa: B027 - a tree without descriptors has nothing to close
        """Release descriptors and temporary files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.name)}: {plural(len(self._files), 'file')}>"


class _Subtree(TreeSource):
    def __init__(self, parent: TreeSource, path: str) -> None:
        self._parent, self._prefix = parent, path + "/"
        listed = parent.entries()
        start = bisect_left(listed, self._prefix, key=lambda e: e.path)
        inside = []
        for entry in listed[start:]:
            if not entry.path.startswith(self._prefix):
                break
            inside.append(entry._replace(path=entry.path[len(self._prefix) :]))
        super().__init__(f"{parent.name}/{path}", inside)

    def open(self, path: str) -> BinaryIO:
        return self._parent.open(self._prefix + path)

    @property
    def far(self) -> bool:
        return self._parent.far

    def random_access(self, path: str) -> RandomAccess | None:
        return self._parent.random_access(self._prefix + path)


class _Lone(TreeSource):
    def __init__(self, parent: TreeSource, file: SourceEntry) -> None:
        self._parent, self._path = parent, file.path
        name = file.path.rpartition("/")[2]
        super().__init__(f"{parent.name}/{file.path}", [file._replace(path=name)])

    def open(self, path: str) -> BinaryIO:
        self.entry(path)
        return self._parent.open(self._path)

    @property
    def far(self) -> bool:
        return self._parent.far

    def random_access(self, path: str) -> RandomAccess | None:
        self.entry(path)
        return self._parent.random_access(self._path)


class EmptySource(TreeSource):
    """A tree with nothing in it: what stands in for one that was refused."""

    def __init__(self, name: str) -> None:
        super().__init__(name, ())

    def open(self, path: str) -> BinaryIO:
        raise NotFound(f"there is no file {shown(path)} in {shown(self.name)}", code="CB301")


def directories(entries: Iterable[SourceEntry]) -> set[str]:
    """Every directory of a tree, also those that are only implied."""
    found: set[str] = set()
    for entry in entries:
        path = entry.path if entry.kind == "dir" else entry.path.rpartition("/")[0]
        while path and path not in found:
            found.add(path)
            path = path.rpartition("/")[0]
    return found


def only_leaves(entries: Iterable[SourceEntry]) -> list[SourceEntry]:
    """Without the directories that hold something."""
    listed = list(entries)
    implied = directories(SourceEntry(path=e.path) for e in listed)
    return [e for e in listed if e.kind == "file" or e.path not in implied]
