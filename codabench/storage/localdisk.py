"""Objects that are files of this host."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from codabench.storage.extract import full_disk
from codabench.storage.locks import FileLock
from codabench.storage.objects import CHUNK, INCOMING, Found, Objects


class LocalObjects(Objects):
    """Objects that are files of this host; they outlive a loss of power once they are written."""

    local: Path
    piece = CHUNK

    def __init__(self, fs: Any, root: str, url: str) -> None:
        super().__init__(fs, root, url)
        self.local = Path(root)
        with self.writing("what is to be stored"):
            self.local.mkdir(parents=True, exist_ok=True)

    def here(self, name: str) -> Path:
        return self.local / name

    def pread(self, name: str, start: int, end: int, wanted: int) -> bytes:
        with self.opened(name) as read:
            return read(start, end, wanted)

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[Callable[[int, int, int], bytes]]:
        with self.reading(name), open(self.local / name, "rb", buffering=0) as file:
            yield lambda start, end, wanted: os.pread(file.fileno(), end - start, start)

    def look(self, name: str) -> Found | None:
        with self.reading(name):
            try:
                status = os.stat(self.local / name)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return Found(name, status.st_size, status.st_mtime)

    def read(self, name: str) -> bytes:
        with self.reading(name):
            return self.here(name).read_bytes()

    def listed(self, prefix: str) -> Iterator[Found]:
        for folder, _, files in os.walk(self.local / prefix):
            for file in files:
                name = os.path.relpath(os.path.join(folder, file), self.local)
                found = self.look(name)
                if found is not None and name != _LOCK:
                    yield found

    @contextlib.contextmanager
    def spool(self) -> Iterator[BinaryIO]:
        """Beside the storage, so that it is renamed and not copied."""
        with self.writing(INCOMING):
            place = self.here(INCOMING)
            place.mkdir(exist_ok=True)
            waiting = open(place / f"spool-{uuid.uuid4().hex}", "xb+")  # noqa: SIM115
        with full_disk(self.url), waiting as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def put(self, name: str, spooled: BinaryIO, size: int, sha256: str) -> None:
        with self.writing(name):
            place = self.local / name
            place.parent.mkdir(parents=True, exist_ok=True)
            spooled.flush()
            if os.fstat(spooled.fileno()).st_size != size:
                raise OSError(errno.EIO, "a part of it was not written")
            os.fsync(spooled.fileno())
            os.replace(spooled.name, place)
            _sync_folder(place.parent)

    def renew(self, found: Found) -> bool:
        with FileLock(self._lock()) as _, contextlib.suppress(FileNotFoundError), self.writing(found.name):
            os.utime(self.local / found.name)
            return True
        return False

    def remove(self, name: str, before: float) -> bool:
        # Who renews it holds the lock: nobody does between the look and the end.
        with FileLock(self._lock()) as _, self.writing(name):
            found = self.look(name)
            if found is None or found.at >= before:
                return False
            (self.local / name).unlink()
        return True

    def _lock(self) -> Path:
        (self.local / INCOMING).mkdir(exist_ok=True)
        return self.local / _LOCK

    def sign_get(self, name: str, seconds: int) -> str | None:
        return None


_LOCK = f"{INCOMING}/.lock"


def _sync_folder(place: Path) -> None:
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def synced_beside(file: BinaryIO) -> Iterator[None]:
    """Send what is written to the disk while more is written, so that little is left to wait for at the end."""
    done, failed = threading.Event(), []

    def sync() -> None:
        try:
            while not done.wait(0.05):
                os.fsync(file.fileno())
        except OSError as error:
            failed.append(error)  # the system tells of it once only

    thread = threading.Thread(target=sync, name="codabench-sync")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failed:
        raise failed[0]
