"""Local directories as trees: walked by descriptors, so that no name is ever resolved twice (security.md S01, S02)."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from codabench.core.errors import ArchiveError
from codabench.core.problems import Location, Problem, Severity
from codabench.core.report import Report
from codabench.core.text import plural
from codabench.storage.names import safe_path, shown
from codabench.storage.ranges import LocalFile, RandomAccess
from codabench.storage.tree import ArchiveLimits, SourceEntry, TreeSource, only_leaves

_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TOLD = 100
"""Left-out entries that are named; of more there is only the number."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class DirectorySource(TreeSource):
    """A local directory.

    A symbolic link to something inside the directory stands for it; one that leads out, like every special file, is an
    error. With `hostile`, the directory is what untrusted code left behind: links of both kinds and special files are
    left out and listed in `problems`, and modes that keep us out are changed. `check` is called before every read of a
    file; it may raise.

    Raises
    ------
    ArchiveError
        With a report of everything that is refused.
    """

    _root = -1

    def __init__(
        self,
        root: str | Path,
        *,
        limits: ArchiveLimits = ArchiveLimits.OWN,
        hostile: bool = False,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._hostile, self._check = hostile, check
        self._root = open_hostile(root) if hostile else os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            walk = _Walk(self._root, os.fspath(root), limits, hostile)
            walk.run()
            if walk.refused:
                raise _refused(os.fspath(root), walk.refused)
        except BaseException:
            self.close()
            raise
        self._device = os.fstat(self._root).st_dev
        self._real = walk.real
        super().__init__(os.fspath(root), only_leaves(walk.entries), problems=walk.left_out)

    def open(self, path: str) -> BinaryIO:
        descriptor = self._descriptor(path)
        return os.fdopen(descriptor, "rb") if self._check is None else _Checked(descriptor, self._check)

    def random_access(self, path: str) -> RandomAccess | None:
        return LocalFile(self._descriptor(path))

    def _descriptor(self, path: str) -> int:
        self.entry(path)
        if self._root < 0:
            raise ValueError("read from a directory that is closed")
        *folders, name = self._real.get(path, path).split("/")
        with contextlib.ExitStack() as stack:
            at = self._root
            for folder in folders:
                at = _open_at(folder, at, _DIR, self._hostile)
                stack.callback(os.close, at)
            fd = _open_at(name, at, _FILE, self._hostile)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or (self._hostile and not _own_file(status, self._device)):
            os.close(fd)
            raise ArchiveError(f"{shown(path)} in {shown(self.name)} is not the file it was", code="CB028")
        return fd

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    __del__ = close


class _Checked(io.BufferedReader):
    """A file that asks before each read whether to go on."""

    def __init__(self, descriptor: int, check: Callable[[], None]) -> None:
        super().__init__(io.FileIO(descriptor))
        self._check = check

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        return super().read(size)


class _Walk:
    """One walk over a directory; what it finds."""

    def __init__(self, root: int, name: str, limits: ArchiveLimits, hostile: bool) -> None:
        self._root, self._name, self._limits, self._hostile = root, name, limits, hostile
        self._device = os.fstat(root).st_dev
        self._real_root = os.path.realpath(name)
        self._total = self._count = self._untold = 0
        self.entries: list[SourceEntry] = []
        self.real: dict[str, str] = {}
        self.left_out: list[Problem] = []
        self.refused: list[Problem] = []

    def run(self) -> None:
        status = os.fstat(self._root)
        self._folder(self._root, "", "", ((status.st_dev, status.st_ino),))
        if self._untold:
            message = f"{self._untold} more entries were left out for reasons like these"
            self.left_out.append(Problem(code="CB037", severity=Severity.WARNING, message=message))

    def _folder(self, fd: int, path: str, real: str, above: tuple[tuple[int, int], ...]) -> None:
        for name in self._names(fd):
            inside = f"{path}/{name}" if path else name
            try:
                safe_path(inside, self._limits)
                if "\\" in name:
                    raise ArchiveError(f"the name {shown(inside)} is refused: it holds a backslash", code="CB027")
            except ArchiveError as error:
                self._odd(inside, error.code, error.message, error.hint)
                continue
            self._item(fd, name, inside, f"{real}/{name}" if real else name, above)

    def _names(self, fd: int) -> list[str]:
        """What is in one folder, sorted; counted before anything else is done with it."""
        found = []
        with os.scandir(fd) as listed:
            for item in listed:
                found.append(item.name)
                self._count += 1
                self._limits.check_entries(self._count, self._name)
        return sorted(found)

    def _item(self, fd: int, name: str, path: str, real: str, above: tuple[tuple[int, int], ...]) -> None:
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self._link(path, real, above)
            elif self._hostile and status.st_dev != self._device:
                self._odd(path, "CB028", f"{shown(path)} lies on another file system")
            elif stat.S_ISDIR(status.st_mode):
                self._enter(fd, name, path, real, above)
            elif not stat.S_ISREG(status.st_mode):
                self._odd(path, "CB028", f"{shown(path)} is neither a file nor a folder")
            elif self._hostile and status.st_nlink != 1:
                self._odd(path, "CB028", f"{shown(path)} is a hard link: the same file has another name")
            elif self._kept_from_us(fd, name, status):
                raise PermissionError
            else:
                self._file(path, real, status)
        except PermissionError:
            self._odd(path, "CB038", f"{shown(path)} may not be read", "change its owner or its mode (chmod u+r)")

    def _kept_from_us(self, fd: int, name: str, status: os.stat_result) -> bool:
        """Whether a file may not be read; most are everybody's to read, which costs no look."""
        if self._hostile or status.st_mode & 0o444 == 0o444:
            return False
        return not os.access(name, os.R_OK, dir_fd=fd)

    def _file(self, path: str, real: str, status: os.stat_result) -> None:
        self._total += status.st_size
        self._limits.check_total(self._total, self._name)
        executable = bool(status.st_mode & 0o111)
        self.entries.append(SourceEntry(path=path, executable=executable, size=status.st_size))
        if path != real:
            self.real[path] = real

    def _enter(self, fd: int, name: str, path: str, real: str, above: tuple[tuple[int, int], ...]) -> None:
        inner = _open_at(name, fd, _DIR, self._hostile)
        try:
            status = os.fstat(inner)
            here = (status.st_dev, status.st_ino)
            if here in above:
                self._odd(path, "CB028", f"{shown(path)} is a link to a folder that it lies in")
                return
            self.entries.append(SourceEntry(path=path, kind="dir"))
            self._folder(inner, path, real, (*above, here))
        finally:
            os.close(inner)

    def _link(self, path: str, real: str, above: tuple[tuple[int, int], ...]) -> None:
        """What a link inside the tree stands for, reached again from the root without following anything."""
        if self._hostile:
            self._odd(path, "CB028", f"{shown(path)} is a symbolic link")
            return
        target = os.path.realpath(os.path.join(self._real_root, real))
        inside = os.path.relpath(target, self._real_root)
        if inside == ".":
            self._odd(path, "CB028", f"{shown(path)} is a link to a folder that it lies in")
        elif inside.startswith("..") or not os.path.lexists(target) or os.path.islink(target):
            why = "leads out of the folder" if inside.startswith("..") else "leads nowhere"
            hint = "put the file itself there; what is shared would not be in the bundle otherwise"
            self._odd(path, "CB028", f"{shown(path)} is a link to {shown(target)} and {why}", hint)
        else:
            with self._beneath(os.path.dirname(inside)) as parent:
                self._item(parent, os.path.basename(inside), path, inside, above)

    @contextlib.contextmanager
    def _beneath(self, path: str) -> Iterator[int]:
        with contextlib.ExitStack() as stack:
            at = self._root
            for folder in path.split("/") if path else ():
                at = os.open(folder, _DIR, dir_fd=at)
                stack.callback(os.close, at)
            yield at

    def _odd(self, path: str, code: str, message: str, hint: str | None = None) -> None:
        where = Location(file=path)
        if self._hostile and len(self.left_out) >= _TOLD:
            self._untold += 1
        elif self._hostile:
            message = f"{message}; it was left out"
            self.left_out.append(Problem(code="CB037", severity=Severity.WARNING, message=message, where=where))
        else:
            self.refused.append(Problem(code=code, severity=Severity.ERROR, message=message, hint=hint, where=where))


def _refused(name: str, problems: list[Problem]) -> ArchiveError:
    first = problems[0]
    more = f" (and {plural(len(problems) - 1, 'more problem')})" if len(problems) > 1 else ""
    return ArchiveError(
        f"in {shown(name)}: {first.message}{more}",
        code=first.code,
        hint=first.hint,
        report=Report(source=name, problems=tuple(problems)),
    )


def _own_file(status: os.stat_result, device: int) -> bool:
    return status.st_nlink == 1 and status.st_dev == device


def _open_at(name: str, folder: int, flags: int, hostile: bool) -> int:
    """Open a name in a folder, never through a link; with `hostile`, also what its mode would keep from its owner."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise ArchiveError(f"{shown(name)} is not what it was a moment ago", code="CB028") from None
        if error.errno != errno.EACCES or not hostile:
            raise
    allow_owner(name, folder)
    return os.open(name, flags, dir_fd=folder)


def open_hostile(path: str | Path) -> int:
    """A descriptor of a directory that hostile code may have changed, made ours to read, write and enter."""
    above = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        allow_owner(os.path.basename(path), above)
        return os.open(os.path.basename(path), _DIR, dir_fd=above)
    finally:
        os.close(above)


def allow_owner(name: str, folder: int) -> None:
    """Let the owner read, write and enter a file or directory, without following a link."""
    mode = stat.S_IRWXU
    if sys.platform != "linux":
        os.chmod(name, mode, dir_fd=folder, follow_symlinks=False)
        return
    # Linux has no chmod that refuses links; a descriptor opened with O_PATH needs no permission and cannot be swapped.
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            os.chmod(f"/proc/self/fd/{fd}", mode)
    finally:
        os.close(fd)
