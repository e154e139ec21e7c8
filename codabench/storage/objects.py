"""Whole objects at a URL: each is written completely and checked, or is not there.

`Objects` is any fsspec file system; `storage.localdisk` has directories of this host, `storage.s3` has S3.
`store` gives them their names and their meaning.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from codabench.core.errors import StorageError
from codabench.storage.extract import DISK_IS_FULL, full_disk
from codabench.storage.remote import client_errors

CHUNK = 1 << 18
"""Bytes that are copied at once: what is hashed and written was read just now and is still near."""
PIECE = 8 << 20
"""Bytes that are fetched at once from somewhere else."""
_TRIES, _PAUSE = 3, 0.2
INCOMING, LIVE = "incoming", "live"
"""Where large things wait before they have a name, and what others upload."""


class Found(NamedTuple):
    """An object: its name below the root, its bytes, and when it was written, in seconds since 1970."""

    name: str
    size: int
    at: float


class Objects:
    """Objects below a URL, by names with slashes.

    Attributes
    ----------
    local
        The directory of this host that they are in, if they are.
    piece
        Bytes that are read at once.

    Raises
    ------
    StorageError
        ``CB701`` what is asked for cannot be read, ``CB704`` it cannot be written, ``CB707`` a disk is full.
    """

    local: Path | None = None
    piece = PIECE

    def __init__(self, fs: Any, root: str, url: str) -> None:
        self._fs, self._root, self.url = fs, root.rstrip("/"), url

    def path(self, name: str) -> str:
        """What the file system calls it."""
        return f"{self._root}/{name}"

    def here(self, name: str) -> Path:
        """Its file, if it is one of this host."""
        raise StorageError(f"{self.url} is not on this host", code="CB701")

    # ------------------------------------------------------------------ reading
    def look(self, name: str) -> Found | None:
        """What is known of an object; None if it is not there."""
        with self.reading(name):
            try:
                info = self._fs.info(self.path(name))
            except FileNotFoundError:
                return None
        return None if info["type"] == "directory" else Found(name, int(info["size"] or 0), _moment(info))

    def read(self, name: str) -> bytes:
        """All of a small object."""
        with self.reading(name):
            data: bytes = again(lambda: self._fs.cat_file(self.path(name)))
        return data

    def pread(self, name: str, start: int, end: int, wanted: int) -> bytes:
        """Bytes by position; fewer than wanted only if the object ends there."""
        with self.reading(name):
            for left in reversed(range(_TRIES)):
                data = self._fetch(name, start, end)
                if len(data) >= wanted or not left:
                    break
        return data

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[Callable[[int, int, int], bytes]]:
        """`pread` of one object, for many calls."""
        yield lambda start, end, wanted: self.pread(name, start, end, wanted)

    def _fetch(self, name: str, start: int, end: int) -> bytes:
        """One request; nothing from beyond the end."""
        data: bytes = again(lambda: self._fs.cat_file(self.path(name), start=start, end=end)) if start < end else b""
        return data

    def listed(self, prefix: str) -> Iterator[Found]:
        """Every object whose name begins with this folder."""
        with self.reading(prefix):
            try:
                found = self._fs.find(self.path(prefix), detail=True)
            except FileNotFoundError:
                return
        cut = len(self.path("").lstrip("/"))
        for full, info in found.items():
            name = full.lstrip("/")[cut:]
            if name.startswith(f"{prefix}/") and info["type"] == "file":  # some servers list empty folders
                yield Found(name, int(info["size"] or 0), _moment(info))

    # ------------------------------------------------------------------ writing
    @contextlib.contextmanager
    def spool(self) -> Iterator[BinaryIO]:
        """A file in which something waits until its digest is known, to be given to `put`."""
        with full_disk(tempfile.gettempdir()), tempfile.TemporaryFile() as file:
            yield file

    def put(self, name: str, spooled: BinaryIO, size: int, sha256: str) -> None:
        """Write what was spooled; it is there under its name when it is complete and was checked, not before."""
        with self.writing(name):
            partial = self.path(f"{INCOMING}/{uuid.uuid4().hex}")
            try:
                spooled.seek(0)
                with self._fs.open(partial, "wb") as file:
                    shutil.copyfileobj(spooled, file, CHUNK)
                self._check(partial, size, sha256)
                self._fs.cp_file(partial, self.path(name))
            finally:
                with contextlib.suppress(OSError):
                    self._fs.rm_file(partial)

    def put_bytes(self, name: str, data: bytes) -> None:
        """Write a small object."""
        with self.spool() as file:
            file.write(data)
            self.put(name, file, len(data), hashlib.sha256(data).hexdigest())

    def _check(self, path: str, size: int, sha256: str) -> None:
        """Whether what was written is what arrived, read again: for stores that say no digest."""
        digest, at = hashlib.sha256(), 0
        while data := self._fs.cat_file(path, start=at, end=min(at + PIECE, size)) if at < size else b"":
            digest.update(data)
            at += len(data)
        if digest.hexdigest() != sha256 or int(self._fs.info(path)["size"]) != size:
            raise OSError(errno.EIO, "what arrived there is not what was sent")

    def renew(self, found: Found) -> bool:
        """Make an object as young as if it were written now; False: it has to be."""
        return False

    def remove(self, name: str, before: float) -> bool:
        """Remove an object unless it was written, or renewed, since that time; False if it was."""
        found = self.look(name)
        if found is None or found.at >= before:
            return False
        with self.writing(name):
            self._fs.rm_file(self.path(name))
        return True

    def unfinished(self, before: float) -> list[tuple[Found, Callable[[], object]]]:
        """What others began to write before that time and left, which has no name yet, and how it is removed."""
        return []

    # ------------------------------------------------------------------ what others may do with a URL
    def sign_get(self, name: str, seconds: int) -> str | None:
        """A URL with which anybody reads this object for so long; None if the store cannot sign."""
        with self.reading(name):
            try:
                return str(self._fs.sign(self.path(name), expiration=seconds))
            except NotImplementedError:
                return None

    def sign_put(self, name: str, size: int, content_type: str, seconds: int) -> str | None:
        """A URL with which anybody writes this object once, with exactly that size and type."""
        return None

    # ------------------------------------------------------------------ what goes wrong
    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Whatever is raised while a name is read becomes ``CB701``."""
        with self._failing(f"{name} cannot be read from {self.url}", "CB701", None):
            yield

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Whatever is raised while a name is written becomes ``CB704``, or ``CB707`` on a full disk."""
        hint = "is there space, and may you write there?"
        with self._failing(f"{name} cannot be written to {self.url}", "CB704", hint), full_disk(self.url):
            yield

    @contextlib.contextmanager
    def _failing(self, what: str, code: str, hint: str | None) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except client_errors() as error:
            said = str(error).partition("\n")[0].strip() or type(error).__name__
            raise StorageError(f"{what}: {said}", code=code, hint=hint) from error


def again(action: Callable[[], Any]) -> Any:
    """Do something that can be done twice, up to three times; who may not, or asks for what is not there, gets no
    second answer."""
    for left in reversed(range(_TRIES)):
        try:
            return action()
        except (PermissionError, FileNotFoundError):
            raise
        except OSError as error:
            if not left or error.errno in DISK_IS_FULL:
                raise
            time.sleep(_PAUSE * (_TRIES - left))
    return None


def _moment(info: dict[str, Any]) -> float:
    """When an object was written, as its store says; one that does not say is as young as can be."""
    for key in ("LastModified", "mtime", "last_modified", "updated", "modified", "created"):
        said = info.get(key)
        if isinstance(said, datetime.datetime):
            return said.replace(tzinfo=said.tzinfo or datetime.UTC).timestamp()
        if isinstance(said, int | float):
            return float(said)
    return time.time()


def objects_at(url: str, options: dict[str, Any] | None) -> Objects:
    """The objects below a URL.

    Raises
    ------
    StorageError
        ``CB704``: nothing can be stored there.
    """
    from fsspec.core import url_to_fs

    from codabench.storage import s3
    from codabench.storage.localdisk import LocalObjects

    given = s3.with_defaults(options) if s3.is_s3(url) else options or {}
    try:
        fs, root = url_to_fs(url, **given)
    except (ValueError, ImportError) as error:
        raise StorageError(f"{url} is no place to store files: {error}", code="CB704") from error
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
    kind = LocalObjects if "file" in protocols else s3.S3Objects if "s3" in protocols else Objects
    return kind(fs, root, url)
