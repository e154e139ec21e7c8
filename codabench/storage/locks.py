"""Locks among the processes of one host: kept by the system, gone with the process, whatever kills it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self


class FileLock:
    """A lock on a file, which holds until `release`; threads exclude each other as processes do.

    Parameters
    ----------
    path
        A file that holds nothing; made if it is not there. Its time of change says when it was locked last.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._fd = path, -1

    def acquire(self, *, shared: bool = False, wait: bool = True) -> bool:
        """Take it, together with others if `shared`; False if somebody else has it and we do not `wait`."""
        import fcntl  # which not every system has; bundles are checked on those as well

        kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, kind)
                if self._is_there(fd):
                    os.utime(fd)
                    self._fd = fd
                    return True
            except BlockingIOError:
                os.close(fd)
                return False
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # who had it before us has removed the file: the next one has another

    def _is_there(self, fd: int) -> bool:
        try:
            there, ours = os.stat(self.path), os.fstat(fd)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def remove(self) -> None:
        """Remove its file, by who has it alone; who waits for it makes a new one."""
        self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let go of it; nothing if it is not held."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    __del__ = release

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
