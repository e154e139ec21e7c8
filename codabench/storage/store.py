"""`Storage`: blobs, trees and the results of attempts, at any fsspec URL.

Layout below the root::

    blobs/ab/abcd...            content by its sha256; never overwritten
    trees/<digest>.json         manifest of a tree; the reference to it names the blob that holds its archive
    attempts/<run>/<attempt>    what an attempt came to, as JSON: written once, before any database row says so

A tree is stored as the archive it came in, or as one packed here, so that a download returns the very bytes that were
uploaded. Never one object per file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from codabench.core.errors import StorageError
from codabench.core.trees import BlobRef, TreeEntry, TreeRef, tree_digest
from codabench.storage.extract import full_disk
from codabench.storage.ranges import stream_of
from codabench.storage.sources import TreeSource, extract, manifest, open_archive, remove_tree, whole, write_zip

CHUNK = 1024 * 1024


class Storage:
    """Bytes at a URL.

    Parameters
    ----------
    url
        A local directory or any fsspec URL (``memory://lab``, ``s3://bucket/prefix``).
    cache
        Directory of this host for archives of remote storage and for extracted read-only trees.
    options
        Passed to the file system.

    Raises
    ------
    StorageError
        If bytes cannot be written, read or verified; the message names the object.
    """

    def __init__(
        self, url: str | os.PathLike[str], *, cache: Path | None = None, options: dict[str, Any] | None = None
    ) -> None:
        self.url = os.fspath(url)
        self._fs, self._root = _file_system(self.url, options)
        self._local = Path(self._root) if "file" in _protocols(self._fs) else None
        self._clear: Callable[[], object] | None = None
        if cache is None and self._local is None:
            self.cache = Path(tempfile.mkdtemp(prefix="codabench-cache-"))
            self._clear = weakref.finalize(self, remove_tree, self.cache)
        else:
            self.cache = cache or Path(self._root) / "cache"
        if self._local:
            try:
                self._local.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(f"{self.url} cannot be made: {error}", code="CB704") from error

    # ------------------------------------------------------------------ blobs
    def put(self, data: bytes | Path | BinaryIO) -> BlobRef:
        """Store bytes, a local file or a stream; content that is already there is not written again."""
        if isinstance(data, bytes):
            ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
            if not self._exists(_blob(ref.sha256)):
                self._write(_blob(ref.sha256), io.BytesIO(data))
            return ref
        if isinstance(data, Path):
            with open(data, "rb") as stream:
                return self.put(stream)
        return self._put_stream(data)

    def _put_stream(self, stream: BinaryIO) -> BlobRef:
        with full_disk(self.url), tempfile.TemporaryFile(dir=self._spool()) as spool:
            digest, size = hashlib.sha256(), 0
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                spool.write(chunk)
            ref = BlobRef(sha256=digest.hexdigest(), size=size)
            if not self._exists(_blob(ref.sha256)):
                spool.seek(0)
                self._write(_blob(ref.sha256), spool)
        return ref

    def open(self, ref: BlobRef) -> BinaryIO:
        """A stream of the blob's bytes."""
        path = _blob(ref.sha256)
        try:
            if "memory" in _protocols(self._fs):
                # There all readers of a file share one position.
                return io.BytesIO(self._fs.cat_file(self._path(path)))
            stream: BinaryIO = self._fs.open(self._path(path), "rb")
        except OSError as error:
            raise StorageError(f"{path} cannot be read from {self.url}: {error}", code="CB701") from error
        return stream

    def get(self, ref: BlobRef) -> bytes:
        """All bytes of a blob, verified against its digest."""
        with self.open(ref) as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise StorageError(
                f"{_blob(ref.sha256)} in {self.url} does not have its digest: it was changed",
                code="CB702",
                hint="restore it from a backup",
            )
        return data

    # ------------------------------------------------------------------ trees
    def put_tree(self, source: TreeSource) -> TreeRef:
        """Store a tree: its archive as it came, else one packed here, and its manifest."""
        with whole(source) as near:
            return self._put_tree(near)

    def _put_tree(self, source: TreeSource) -> TreeRef:
        archive = source.archive
        if archive is not None:
            entries = manifest(source)
            blob = self._put_stream(stream_of(archive))
        else:
            with full_disk(self.url), tempfile.TemporaryFile(dir=self._spool()) as packed:
                entries = write_zip(source, packed, level=0 if self._local else 1)
                packed.seek(0)
                blob = self._put_stream(packed)
        files = sum(e.kind == "file" for e in entries)
        ref = TreeRef(digest=tree_digest(entries), archive=blob.sha256, size=blob.size, files=files)
        if not self._exists(_tree(ref.digest)):
            listed = {"format": 1, "entries": [e.model_dump(exclude_defaults=True) for e in entries]}
            self._write(_tree(ref.digest), io.BytesIO(json.dumps(listed, separators=(",", ":")).encode()))
        return ref

    def entries(self, ref: TreeRef) -> tuple[TreeEntry, ...]:
        """The manifest of a stored tree."""
        rows = json.loads(self._read(_tree(ref.digest)))["entries"]
        return tuple(TreeEntry.model_validate(row) for row in rows)

    def open_tree(self, ref: TreeRef) -> TreeSource:
        """A stored tree as a source of files."""
        try:
            return open_archive(self._archive(ref), name=ref.digest[:19])
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            path = _blob(ref.archive)
            raise StorageError(f"{path} cannot be read from {self.url}: {error}", code="CB701") from error

    def materialise(
        self, ref: TreeRef, dest: Path, *, owner: tuple[int, int] | None = None, read_only: bool = False
    ) -> None:
        """Extract a tree into the existing, empty directory `dest`."""
        with self.open_tree(ref) as source:
            extract(source, dest, owner=owner, read_only=read_only)

    def cached(self, ref: TreeRef, *, mounted: bool = False) -> Path:
        """An extracted copy of a tree on this host, made once and shared by all runs.

        Parameters
        ----------
        mounted
            An engine keeps whoever reads it from writing, so files may have ordinary modes: programs copy data and
            change the copy, which has the modes of what was copied. Otherwise nothing in it can be written.
        """
        place = self.cache / ("mounted" if mounted else "trees") / ref.digest.replace(":", "-")
        if place.is_dir():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
        partial.mkdir(mode=0o700)
        try:
            self.materialise(ref, partial, read_only=not mounted)
            # Programs that read it run as somebody else; the directories above keep other people out.
            partial.chmod(0o755)
            # Renamed when complete: another process finds all of it or nothing.
            with contextlib.suppress(OSError):
                partial.rename(place)
        finally:
            if partial.exists():
                remove_tree(partial)
        if not place.is_dir():
            raise StorageError(f"{place} could not be made", code="CB703", hint="is the cache directory writable?")
        return place

    def _archive(self, ref: TreeRef) -> Path:
        if self._local:
            return self._local / _blob(ref.archive)
        place = self.cache / "archives" / ref.archive
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
            with self.open(BlobRef(sha256=ref.archive, size=ref.size)) as stream, open(partial, "xb") as file:
                shutil.copyfileobj(stream, file, CHUNK)
            if _file_sha256(partial) != ref.archive:
                partial.unlink()
                raise StorageError(f"{_blob(ref.archive)} from {self.url} does not have its digest", code="CB702")
            partial.replace(place)
        return place

    # ------------------------------------------------------------------ results of attempts
    def put_result(self, run: str, attempt: str, result: dict[str, Any]) -> None:
        """Keep what an attempt came to. The database decides whether it counts."""
        self._write(f"attempts/{run}/{attempt}", io.BytesIO(json.dumps(result).encode()))

    def get_result(self, run: str, attempt: str) -> dict[str, Any] | None:
        """What an attempt came to, or None if it left nothing."""
        path = f"attempts/{run}/{attempt}"
        if not self._exists(path):
            return None
        found: dict[str, Any] = json.loads(self._read(path))
        return found

    def close(self) -> None:
        """Remove a cache that was made for this object only."""
        if self._clear:
            self._clear()

    # ------------------------------------------------------------------ the file system below
    def _path(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    def _spool(self) -> str | None:
        """Where large things wait: beside the storage if it is local, so that they are renamed, not copied."""
        if self._local is None:
            return None
        place = self._local / "incoming"
        place.mkdir(exist_ok=True)
        return str(place)

    def _exists(self, path: str) -> bool:
        return bool(self._fs.exists(self._path(path)))

    def _read(self, path: str) -> bytes:
        try:
            data: bytes = self._fs.cat_file(self._path(path))
        except OSError as error:
            raise StorageError(f"{path} cannot be read from {self.url}: {error}", code="CB701") from error
        return data

    def _write(self, path: str, stream: BinaryIO) -> None:
        try:
            if self._local:
                self._write_local(self._local / path, stream)
                return
            with self._fs.open(self._path(path), "wb") as file:
                shutil.copyfileobj(stream, file, CHUNK)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written to {self.url}: {error}",
                code="CB704",
                hint="is there space, and may you write there?",
            ) from error

    def _write_local(self, place: Path, stream: BinaryIO) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
        try:
            with open(partial, "xb") as file:
                shutil.copyfileobj(stream, file, CHUNK)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)


def _blob(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def _tree(digest: str) -> str:
    return f"trees/{digest.partition(':')[2]}.json"


def _file_system(url: str, options: dict[str, Any] | None) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        found: tuple[Any, str] = url_to_fs(url, **(options or {}))
    except (ValueError, ImportError) as error:
        raise StorageError(f"{url} is no place to store files: {error}", code="CB704") from error
    return found


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
