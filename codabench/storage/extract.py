"""Trees written into directories, and such directories removed again (security.md Z01, Z05, Z14)."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from codabench.core.errors import ArchiveError, StorageError
from codabench.core.text import human_size
from codabench.storage.directory import allow_owner
from codabench.storage.names import shown
from codabench.storage.tree import CHUNK, ArchiveLimits, SourceEntry, TreeSource

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def extract(
    source: TreeSource,
    dest: Path,
    *,
    owner: tuple[int, int] | None = None,
    read_only: bool = False,
    limits: ArchiveLimits = ArchiveLimits.OWN,
) -> None:
    """Write a tree into an existing, empty, private directory.

    Files get mode 0644 or 0755 and directories 0755, without the write bits if `read_only`; nothing else of the modes,
    owners and times in an archive is kept. On failure nothing of it is left.

    Parameters
    ----------
    owner
        User and group id of everything written; that of the caller if None.

    Raises
    ------
    ArchiveError
        The content is damaged or larger than allowed.
    StorageError
        ``CB707``: the disk has not enough room, known before a byte is written.
    """
    _check_room(dest, source, limits)
    root = os.open(dest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    writer = _Writer(root, owner, 0o555 if read_only else 0o777)
    try:
        writer.write(source, limits.inflated_bytes)
    except BaseException:
        writer.abandon()
        with contextlib.suppress(OSError):
            empty_folder(root)
        raise
    finally:
        os.close(root)


@contextlib.contextmanager
def full_disk(where: object) -> Iterator[None]:
    """A disk that fills up while something is written to `where` is the machine's failure, and is said in words."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_IS_FULL or isinstance(error, StorageError):
            raise
        raise StorageError(
            f"the disk has no more room for {where}",
            code="CB707",
            hint="make room, or choose another directory (TMPDIR)",
        ) from error


def _check_room(dest: Path, source: TreeSource, limits: ArchiveLimits) -> None:
    needed = source.total_size
    limits.check_total(needed, source.name)
    limits.check_entries(len(source.entries()), source.name)
    disk = os.statvfs(dest)
    free = disk.f_bavail * disk.f_frsize
    if needed > free:
        raise StorageError(
            f"{shown(source.name)} needs {human_size(needed)}, and {dest} has {human_size(free)} left",
            code="CB707",
            hint="make room, or choose another directory (TMPDIR)",
        )


class _Writer:
    """Writes a tree depth first: only the folders above the current file are open, and names are relative to them."""

    def __init__(self, root: int, owner: tuple[int, int] | None, mask: int) -> None:
        self._owner, self._mask = owner, mask
        self._names: list[str] = []
        self._open = [root]

    def write(self, source: TreeSource, room: int) -> None:
        for entry in sorted(source.entries(), key=lambda e: e.path.split("/")):
            parts = entry.path.split("/")
            if entry.kind == "dir":
                self._enter(parts)
            else:
                self._enter(parts[:-1])
                room -= self._file(source, entry, parts[-1], room)
        self._enter([])

    def _enter(self, parts: list[str]) -> None:
        same = 0
        while same < min(len(parts), len(self._names)) and parts[same] == self._names[same]:
            same += 1
        while len(self._names) > same:
            self._finish(self._open[-1], 0o755)
            self._names.pop()
            os.close(self._open.pop())
        for name in parts[same:]:
            os.mkdir(name, 0o700, dir_fd=self._open[-1])
            self._open.append(os.open(name, _DIR, dir_fd=self._open[-1]))
            self._names.append(name)

    def _file(self, source: TreeSource, entry: SourceEntry, name: str, room: int) -> int:
        fd = os.open(name, _NEW, 0o600, dir_fd=self._open[-1])
        try:
            size = _copy(source, entry, fd, room)
            self._finish(fd, 0o755 if entry.executable else 0o644)
        finally:
            os.close(fd)
        return size

    def _finish(self, fd: int, mode: int) -> None:
        if self._owner:
            os.fchown(fd, *self._owner)
        os.fchmod(fd, mode & self._mask)

    def abandon(self) -> None:
        while len(self._open) > 1:
            os.close(self._open.pop())


def _copy(source: TreeSource, entry: SourceEntry, target: int, room: int) -> int:
    if entry.size <= CHUNK:
        chunks: Iterator[bytes] = iter((source.read_bytes(entry.path, CHUNK + 1),))
    else:
        chunks = _chunks(source, entry.path)
    size = 0
    for chunk in chunks:
        size += len(chunk)
        # A file of a directory may have grown since it was listed; what was counted is what counts.
        if size > room or size > entry.size:
            raise ArchiveError(f"{shown(entry.path)} in {shown(source.name)} is larger than it was", code="CB029")
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
    return size


def _chunks(source: TreeSource, path: str) -> Iterator[bytes]:
    with source.open(path) as content:
        while chunk := content.read(CHUNK):
            yield chunk


def empty_folder(fd: int) -> None:
    """Remove everything in an open directory, whatever its mode, following nothing."""
    with os.scandir(fd) as listed:
        found = list(listed)
    for item in found:
        if item.is_dir(follow_symlinks=False):
            try:
                inner = os.open(item.name, _DIR, dir_fd=fd)
            except PermissionError:
                allow_owner(item.name, fd)
                inner = os.open(item.name, _DIR, dir_fd=fd)
            try:
                with contextlib.suppress(PermissionError):
                    os.fchmod(inner, 0o700)
                empty_folder(inner)
            finally:
                os.close(inner)
            os.rmdir(item.name, dir_fd=fd)
        else:
            os.unlink(item.name, dir_fd=fd)


def remove_tree(path: Path) -> None:
    """Remove a directory that untrusted code wrote into: modes are overcome where it is ours, nothing is followed."""
    with contextlib.suppress(FileNotFoundError):
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(PermissionError):
                allow_owner(path.name, parent)
            fd = os.open(path.name, _DIR, dir_fd=parent)
            try:
                empty_folder(fd)
            finally:
                os.close(fd)
            os.rmdir(path.name, dir_fd=parent)
        finally:
            os.close(parent)
