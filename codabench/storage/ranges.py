"""Bytes read by position: a local file, a part of something else. What lies on a remote store is in `remote`."""

from __future__ import annotations

import io
import os
import stat
from typing import BinaryIO, Protocol


class RandomAccess(Protocol):
    """Bytes that do not change and are read by position.

    Attributes
    ----------
    size
        Bytes in all.
    far
        Whether each reading costs a request to somewhere else, so that little should be read.
    """

    @property
    def size(self) -> int: ...

    @property
    def far(self) -> bool: ...

    def pread(self, size: int, at: int) -> bytes:
        """So many bytes at a place, fewer only at the end; ValueError once it is closed."""

    def close(self) -> None:
        """Release what it holds."""


class LocalFile:
    """A regular file, opened once and read by position; what reads from it keeps it open.

    Parameters
    ----------
    path
        Its path, or an open descriptor of it, which is closed with it.
    """

    far = False
    _fd = -1

    def __init__(self, path: str | os.PathLike[str] | int) -> None:
        self._fd = path if isinstance(path, int) else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(self._fd)
        self.size, self.is_regular = status.st_size, stat.S_ISREG(status.st_mode)

    def pread(self, size: int, at: int) -> bytes:
        """Bytes at a place; ValueError once it is closed, never the bytes of another file."""
        if self._fd < 0:
            raise ValueError("read from an archive that is closed")
        return os.pread(self._fd, size, at)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    __del__ = close


class Part:
    """A range of other bytes, which stay open for as long as their owner keeps them so."""

    def __init__(self, whole: RandomAccess, start: int, end: int) -> None:
        self._whole, self._start = whole, start
        self.size, self.far = end - start, whole.far

    def pread(self, size: int, at: int) -> bytes:
        return self._whole.pread(max(0, min(size, self.size - at)), self._start + at)

    def close(self) -> None:
        """Nothing: the whole is not ours."""


class Window(io.RawIOBase):
    """A range of bytes as a stream; several may be read at once."""

    def __init__(self, file: RandomAccess, start: int, end: int) -> None:
        super().__init__()
        self._file, self._at, self._end = file, start, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.pread(min(len(buffer), self._end - self._at), self._at)
        self._at += len(data)
        buffer[: len(data)] = data
        return len(data)


def stream_of(file: RandomAccess, most: int = 1 << 18) -> BinaryIO:
    """All of it as a stream, with a buffer of at most so many bytes."""
    return io.BufferedReader(Window(file, 0, file.size), min(most, max(512, file.size + 1)))
