"""Trees whose files say who they are when they cannot be read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from codabench.bundle.fields import shorten
from codabench.core.errors import BundleError, CodabenchError
from codabench.storage.sources import TreeSource


class Readable(TreeSource):
    """A tree that raises `BundleError` (``CB038``) where a file cannot be read.

    What copies it somewhere can so tell a source that fails from a place that cannot be written.
    """

    def __init__(self, base: TreeSource) -> None:
        self._base = base
        super().__init__(base.name, base.entries())

    def open(self, path: str) -> BinaryIO:
        with _reading(path):
            return io.BufferedReader(_Told(self._base.open(path), path))


class _Told(io.RawIOBase):
    def __init__(self, file: BinaryIO, path: str) -> None:
        super().__init__()
        self._file, self._path = file, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        with _reading(self._path):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except CodabenchError:
        raise  # a store that is away has said so itself
    except OSError as error:
        message = f"{shorten(path)} in the bundle cannot be read: {error.strerror or error}"
        raise BundleError(message, code="CB038", hint="see that it is there and that you may read it") from error
