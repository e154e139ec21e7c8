"""The bytes of stored objects: names made of content, and digests counted on the way."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

from codabench.core.errors import StorageError
from codabench.core.trees import BlobRef
from codabench.storage.localdisk import synced_beside
from codabench.storage.objects import CHUNK, Objects

_EARLY = 64 << 20
"""Bytes after which a disk is given work while more is hashed."""


class StoredObject:
    """An object by position."""

    far = True

    def __init__(self, objects: Objects, name: str, size: int) -> None:
        self._objects, self._name, self.size = objects, name, size

    def pread(self, size: int, at: int) -> bytes:
        wanted = min(size, self.size - at)
        return self._objects.pread(self._name, at, at + wanted, wanted)

    def close(self) -> None:
        """Nothing is held."""


class CheckedBlob(io.RawIOBase):
    """The bytes of a blob from its beginning; the last of them come when all have the digest."""

    def __init__(self, objects: Objects, ref: BlobRef) -> None:
        super().__init__()
        self._ref, self._name, self._at = ref, blob_name(ref.sha256), 0
        self._objects, self._digest = objects, hashlib.sha256()
        self._open = contextlib.ExitStack()
        self._pread = self._open.enter_context(objects.opened(self._name)) if ref.size else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._ref.size - self._at)
        if not wanted or self._pread is None:
            return 0
        # One byte beyond the promised size is enough to see that the promise is broken.
        data = self._pread(self._at, min(self._at + len(buffer), self._ref.size + 1), wanted)
        self._digest.update(data)
        self._at += len(data)
        done = self._at >= self._ref.size
        if len(data) != wanted or (done and self._digest.hexdigest() != self._ref.sha256):
            raise was_changed(self._name, self._objects.url)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._open.close()
        super().close()


def copied(stream: BinaryIO, target: BinaryIO | None, *, early: bool = False) -> BlobRef:
    """What a stream holds, copied on the way; `early`: much of it is sent to the disk before the end."""
    digest, size = hashlib.sha256(), 0
    with contextlib.ExitStack() as beside:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            if target is not None:
                target.write(chunk)
                if early and size < _EARLY <= size + len(chunk):
                    beside.enter_context(synced_beside(target))
            size += len(chunk)
    return BlobRef(sha256=digest.hexdigest(), size=size)


def digest_of_file(path: Path) -> BlobRef:
    """What a file of this host is as a blob."""
    with open(path, "rb") as file:
        return BlobRef(sha256=hashlib.file_digest(file, "sha256").hexdigest(), size=os.fstat(file.fileno()).st_size)


def was_changed(name: str, url: str) -> StorageError:
    """The error for an object that is not what its name says."""
    what = f"{name} in {url} does not have its digest: it was changed"
    return StorageError(what, code="CB702", hint="restore it from a backup")


def blob_name(sha256: str) -> str:
    """The name of the blob with these bytes."""
    return f"blobs/{sha256[:2]}/{sha256}"
