"""`Storage`: blobs, trees and the results of attempts, at any fsspec URL.

Layout below the root::

    blobs/ab/abcd...            content by its sha256; never overwritten
    trees/<digest>.json         manifest of a tree; the reference to it names the blob that holds its archive
    attempts/<run>/<attempt>    what an attempt came to, as JSON: written once, before any database row says so
    live/<attempt>/<number>     what a run reports while it goes on, for processes that listen; goes when it is over
    incoming/                   what is being written, and what others uploaded

A tree is stored as the archive it came in, or as one packed here, so that a download returns the very bytes that were
uploaded. Never one object per file. What is written was checked before its name is known; what is read is checked
against that name.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import Field

from codabench.core.base import Record
from codabench.core.errors import StorageError, UsageError
from codabench.core.trees import BlobRef, TreeEntry, TreeRef, tree_digest
from codabench.storage.archive import ZipSource
from codabench.storage.cache import CAP, Cache, Held, digest_of
from codabench.storage.contents import CheckedBlob, StoredObject, blob_name, copied, digest_of_file, was_changed
from codabench.storage.extract import full_disk
from codabench.storage.objects import CHUNK, INCOMING, LIVE, PIECE, Objects, objects_at
from codabench.storage.ranges import LocalFile, stream_of
from codabench.storage.sources import TreeSource, extract, manifest, remove_tree, whole, write_zip

_LARGE = 8 << 20
"""Archives from this size on are hashed and copied while their files are hashed."""
_YOUNG = 3600.0
"""Seconds for which an object needs no renewal when the same content comes again; see `storage.sweep`."""
_LOOKS = 16
"""Questions to a server at the same time."""
_LONGEST = 7 * 24 * 3600
"""Seconds for which a signature of version 4 may be good."""


class Upload(Record):
    """Leave to send one file to a store, without any other right there.

    Attributes
    ----------
    url
        Good for one PUT of exactly `size` bytes; who knows it may do that, so it is not shown.
    headers
        Must be sent with it.
    key
        To be given to `Storage.take` afterwards.
    """

    url: str = Field(repr=False)
    headers: dict[str, str]
    key: str
    size: int


class Storage:
    """Bytes at a URL.

    Parameters
    ----------
    url
        A local directory or any fsspec URL (``memory://lab``, ``s3://bucket/prefix``).
    cache
        Directory of this host for archives of remote storage and for extracted read-only trees.
    cap
        Bytes that the cache may have; None: 50 GiB.
    options
        Passed to the file system.

    Raises
    ------
    StorageError
        If bytes cannot be written, read or verified; the message names the object.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        cache: Path | None = None,
        cap: int | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.url = os.fspath(url)
        self.objects: Objects = objects_at(self.url, options)
        self._clear: Callable[[], object] | None = None
        if cache is None and self.objects.local is None:
            self.cache = Path(tempfile.mkdtemp(prefix="codabench-cache-"))
            self._clear = weakref.finalize(self, remove_tree, self.cache)
        else:
            self.cache = cache or self.objects.here("cache")
        self.kept = Cache(self.cache, CAP if cap is None else cap)

    # ------------------------------------------------------------------ blobs
    def put(self, data: bytes | Path | BinaryIO) -> BlobRef:
        """Store bytes, a local file or a stream; content that is already there is not written again."""
        if isinstance(data, bytes):
            ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
            if not self._has(blob_name(ref.sha256), ref.size):
                self.objects.put_bytes(blob_name(ref.sha256), data)
            return ref
        if isinstance(data, Path):
            with open(data, "rb") as stream:
                return self.put(stream)
        with self._spooled(data) as (file, ref):
            return self._keep(file, ref)

    @contextlib.contextmanager
    def _spooled(self, stream: BinaryIO) -> Iterator[tuple[BinaryIO, BlobRef]]:
        """A copy of a stream that waits for its name."""
        with self.objects.spool() as file:
            yield file, copied(stream, file, early=self.objects.local is not None)

    def _keep(self, file: BinaryIO, ref: BlobRef) -> BlobRef:
        if not self._has(blob_name(ref.sha256), ref.size):
            self.objects.put(blob_name(ref.sha256), file, ref.size, ref.sha256)
        return ref

    def _has(self, name: str, size: int | None = None) -> bool:
        """Whether an object is there, whole; an old one is renewed, so that nobody sweeps it away meanwhile."""
        found = self.objects.look(name)
        if found is None or (size is not None and found.size != size):
            return False
        return time.time() - found.at < _YOUNG or self.objects.renew(found)

    def open(self, ref: BlobRef) -> BinaryIO:
        """A stream of the blob's bytes; its end is not given out unless all of it has its digest."""
        checked = CheckedBlob(self.objects, ref)
        return io.BufferedReader(checked, min(self.objects.piece, max(512, ref.size + 1)))

    def get(self, ref: BlobRef) -> bytes:
        """All bytes of a blob, verified against its digest."""
        with self.open(ref) as stream:
            return stream.read()

    def save(self, ref: BlobRef, dest: Path) -> None:
        """Write a blob to a file that is not there, verified, in constant memory; on failure nothing is left."""
        name = blob_name(ref.sha256)
        with full_disk(dest):
            file = open(dest, "xb")  # noqa: SIM115 - closed below, where a disk that is full at last is noticed
            try:
                if self.objects.local is None:
                    with file, self.open(ref) as stream:
                        shutil.copyfileobj(stream, file, CHUNK)
                else:
                    # The system copies faster than we do; then it is the copy that is verified.
                    with file, self.objects.reading(name), full_disk(dest):
                        shutil.copyfile(self.objects.here(name), dest)
                    if digest_of_file(dest) != ref:
                        raise was_changed(name, self.url)
            except BaseException:
                dest.unlink(missing_ok=True)
                raise

    # ------------------------------------------------------------------ trees
    def put_tree(self, source: TreeSource) -> TreeRef:
        """Store a tree: its archive as it came, else one packed here, and its manifest."""
        with whole(source) as near, contextlib.ExitStack() as stack:
            archive = near.archive
            if archive is None:
                packed = stack.enter_context(self.objects.spool())
                entries = write_zip(near, packed, level=0 if self.objects.local else 1)
                packed.seek(0)
                kept = self._keep(packed, copied(packed, None))
            elif archive.size < _LARGE:
                entries = manifest(near)
                kept = self.put(stream_of(archive))
            else:
                with ThreadPoolExecutor(1, thread_name_prefix="codabench-manifest") as beside:
                    listed = beside.submit(manifest, near)
                    file, ref = stack.enter_context(self._spooled(stream_of(archive, CHUNK)))
                    entries = listed.result()
                    kept = self._keep(file, ref)
        files = sum(e.kind == "file" for e in entries)
        made = TreeRef(digest=tree_digest(entries), archive=kept.sha256, size=kept.size, files=files)
        if not self._has(_tree(made.digest)):
            listing = {"format": 1, "entries": [e.model_dump(exclude_defaults=True) for e in entries]}
            self.objects.put_bytes(_tree(made.digest), json.dumps(listing, separators=(",", ":")).encode())
        return made

    def copy(self, ref: BlobRef | TreeRef, source: Storage) -> None:
        """Take a blob or a tree from another storage; every byte is hashed on the way.

        Raises
        ------
        StorageError
            ``CB701``: it is not there. ``CB702``: it was changed there.
        """
        if isinstance(ref, TreeRef):
            if tree_digest(source.entries(ref)) != ref.digest:
                raise was_changed(_tree(ref.digest), source.url)
            self.copy(BlobRef(sha256=ref.archive, size=ref.size), source)
            if not self._has(_tree(ref.digest)):
                self.objects.put_bytes(_tree(ref.digest), source.objects.read(_tree(ref.digest)))
        elif not self._has(blob_name(ref.sha256), ref.size):
            with source.open(ref) as stream:
                self.put(stream)

    def entries(self, ref: TreeRef) -> tuple[TreeEntry, ...]:
        """The manifest of a stored tree."""
        rows = json.loads(self.objects.read(_tree(ref.digest)))["entries"]
        return tuple(TreeEntry.model_validate(row) for row in rows)

    def open_tree(self, ref: TreeRef) -> TreeSource:
        """A stored tree as a source of files; each of them is checked against its checksum when it is read."""
        return self._opened(ref, checked=False)

    def _opened(self, ref: TreeRef, *, checked: bool) -> TreeSource:
        name = blob_name(ref.archive)
        if self.objects.local is None:
            file = self.kept.archive(ref.archive, lambda dest: self._fetch(ref, dest))
        else:
            with self.objects.reading(name):
                file = LocalFile(self.objects.here(name))
            if checked and digest_of(file) != ref.archive:
                raise was_changed(name, self.url)
        # An archive of our own: names that only some file systems tell apart are taken, and it may hold nothing.
        return ZipSource(file, name=ref.digest[:19], allow_twins=True)

    def _fetch(self, ref: TreeRef, dest: Path) -> None:
        self.save(BlobRef(sha256=ref.archive, size=ref.size), dest)

    def materialise(
        self, ref: TreeRef, dest: Path, *, owner: tuple[int, int] | None = None, read_only: bool = False
    ) -> None:
        """Extract a tree into the existing, empty directory `dest`, from an archive that was hashed just before."""
        with self._opened(ref, checked=True) as source:
            extract(source, dest, owner=owner, read_only=read_only)

    def cached(self, ref: TreeRef, *, mounted: bool = False) -> Held:
        """An extracted copy of a tree on this host, made once and shared by all runs; it stays until it is released.

        Parameters
        ----------
        mounted
            An engine keeps whoever reads it from writing, so files may have ordinary modes: programs copy data and
            change the copy, which has the modes of what was copied. Otherwise nothing in it can be written.
        """
        return self.kept.tree(
            ref.digest, lambda place: self.materialise(ref, place, read_only=not mounted), mounted=mounted
        )

    def missing(self, refs: Iterable[TreeRef | None]) -> set[TreeRef]:
        """Those of many trees whose archives are not there, whole; nothing is read."""
        wanted = list({ref for ref in refs if ref is not None})

        def gone(ref: TreeRef) -> bool:
            found = self.objects.look(blob_name(ref.archive))
            return found is None or found.size != ref.size

        if self.objects.local is not None:
            return {ref for ref in wanted if gone(ref)}
        with ThreadPoolExecutor(_LOOKS, thread_name_prefix="codabench-look") as pool:
            return {ref for ref, missing in zip(wanted, pool.map(gone, wanted), strict=True) if missing}

    # ------------------------------------------------------------------ results of attempts
    def put_result(self, run: str, attempt: str, result: dict[str, Any]) -> None:
        """Keep what an attempt came to. The database decides whether it counts."""
        self.objects.put_bytes(_attempt(run, attempt), json.dumps(result).encode())

    def get_result(self, run: str, attempt: str) -> dict[str, Any] | None:
        """What an attempt came to, or None if it left nothing."""
        if self.objects.look(_attempt(run, attempt)) is None:
            return None
        found: dict[str, Any] = json.loads(self.objects.read(_attempt(run, attempt)))
        return found

    # ------------------------------------------------------------------ what attempts report
    def put_piece(self, attempt: str, number: int, data: bytes) -> None:
        """Keep what an attempt reported since the piece before, for others to read; pieces count from 1."""
        self.objects.put_bytes(_piece(attempt, number), data)

    def get_piece(self, attempt: str, number: int) -> bytes | None:
        """A piece of what an attempt reports; None if it is not there yet, or not any more."""
        if self.objects.look(_piece(attempt, number)) is None:
            return None
        try:
            return self.objects.read(_piece(attempt, number))
        except StorageError:
            if self.objects.look(_piece(attempt, number)) is None:
                return None  # it went at this very moment
            raise

    def drop_pieces(self, attempt: str, many: int) -> None:
        """Remove the first pieces of an attempt, so many."""
        for number in range(1, many + 1):
            self.objects.remove(_piece(attempt, number), float("inf"))

    # ------------------------------------------------------------------ what others read and write by themselves
    def get_url(self, ref: BlobRef | TreeRef, expires: int = 900) -> str | None:
        """A URL with which anybody reads a blob, or the archive of a tree, for so many seconds.

        None if the store cannot sign (a directory, ``memory://``): then the bytes have to pass through here.
        """
        name = blob_name(ref.archive if isinstance(ref, TreeRef) else ref.sha256)
        return self.objects.sign_get(name, _seconds(expires))

    def put_url(self, size: int, *, content_type: str = "application/zip", expires: int = 900) -> Upload | None:
        """Leave for somebody to upload one file of exactly that size and type; None if the store cannot sign."""
        key = f"{INCOMING}/{uuid.uuid4().hex}"
        url = self.objects.sign_put(key, size, content_type, _seconds(expires))
        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        return None if url is None else Upload(url=url, headers=headers, key=key, size=size)

    def take(self, upload: Upload) -> BlobRef:
        """Make what was uploaded a blob; its digest is counted here, nobody's word is taken for it.

        Raises
        ------
        StorageError
            ``CB701``: nothing was uploaded. ``CB702``: it has another size.
        """
        if not re.fullmatch(f"{INCOMING}/[0-9a-f]{{32}}", upload.key):
            raise UsageError(f"{upload.key!r} is not the key of an upload", code="CB355")
        found = self.objects.look(upload.key)
        if found is None:
            raise StorageError(f"nothing was uploaded as {upload.key} to {self.url}", code="CB701")
        if found.size != upload.size:
            raise StorageError(f"{upload.key} has {found.size} bytes, not {upload.size}", code="CB702")
        ref = self.put(stream_of(StoredObject(self.objects, upload.key, found.size), PIECE))
        self.objects.remove(upload.key, float("inf"))
        return ref

    def close(self) -> None:
        """Remove a cache that was made for this object only."""
        if self._clear:
            self._clear()


def _seconds(expires: int) -> int:
    if not 1 <= expires <= _LONGEST:
        raise UsageError(f"a URL is good for 1 to {_LONGEST} seconds, not {expires}", code="CB355")
    return expires


def _tree(digest: str) -> str:
    return f"trees/{digest.partition(':')[2]}.json"


def _piece(attempt: str, number: int) -> str:
    return f"{LIVE}/{attempt}/{number}"


def _attempt(run: str, attempt: str) -> str:
    return f"attempts/{run}/{attempt}"
