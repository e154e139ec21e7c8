"""Zips as trees, and trees as zips (security.md Z01-Z16)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from codabench.core.errors import ArchiveError
from codabench.core.text import human_size
from codabench.core.trees import TreeEntry
from codabench.storage.names import shown
from codabench.storage.ranges import LocalFile, Part, RandomAccess, Window
from codabench.storage.tree import CHUNK, LESS, ArchiveLimits, SourceEntry, TreeSource, only_leaves
from codabench.storage.zipformat import STORED, Member, located, read_directory


class ZipSource(TreeSource):
    """A zip in a file. It is opened once; what was checked is what is read.

    Parameters
    ----------
    path
        The file, or its bytes, which are closed with the source.
    name
        For messages, if not the path.
    allow_twins
        Take names that differ only by case or by the way an accent is written: for archives packed by `write_zip` from
        a file system that tells them apart.
    owned
        Closed, and thereby deleted, together with the source: the temporary file that `path` is.
    """

    def __init__(
        self,
        path: str | Path | RandomAccess,
        *,
        name: str | None = None,
        limits: ArchiveLimits = ArchiveLimits.OWN,
        allow_twins: bool = False,
        owned: Any = None,
    ) -> None:
        name = name or str(path)
        self._owned = owned
        self._file: RandomAccess = LocalFile(path) if isinstance(path, (str, Path)) else path
        try:
            if isinstance(self._file, LocalFile) and not self._file.is_regular:
                raise ArchiveError(f"{shown(name)} is neither a file nor a folder", code="CB028")
            self._members, odd = read_directory(self._file, name, limits, allow_twins=allow_twins)
        except BaseException:
            self.close()
            raise
        entries = only_leaves(m.entry for m in self._members.values())
        super().__init__(name, entries, problems=odd)

    @property
    def far(self) -> bool:
        return self._file.far

    def _member(self, path: str) -> Member:
        self.entry(path)
        member = self._members[path]
        if member.start < 0:
            member = self._members[path] = located(self._file, member, self.name)
        return member

    def open(self, path: str) -> BinaryIO:
        member = self._member(path)
        size = member.entry.size
        content = _Inflated(self._file, member, self.name)
        return io.BufferedReader(content, min(CHUNK, max(512, size + 1)))

    def read_bytes(self, path: str, limit: int | None = None) -> bytes:
        size = self.entry(path).size
        if size > CHUNK or (limit is not None and limit < size):
            return super().read_bytes(path, limit)
        return _Inflated(self._file, self._member(path), self.name).readall()

    def random_access(self, path: str) -> RandomAccess | None:
        member = self._member(path)
        return Part(self._file, member.start, member.start + member.packed) if member.method == STORED else None

    @property
    def archive(self) -> RandomAccess | None:
        return Part(self._file, 0, self._file.size)

    def close(self) -> None:
        self._file.close()
        if self._owned is not None:
            self._owned.close()


class _Inflated(io.RawIOBase):
    """The content of one member: never more than its size says, checked against its checksum at the end."""

    def __init__(self, file: RandomAccess, member: Member, archive: str) -> None:
        super().__init__()
        self._packed = Window(file, member.start, member.start + member.packed)
        self._zlib = None if member.method == STORED else zlib.decompressobj(-15)
        self._member, self._archive = member, archive
        self._left, self._crc, self._done = member.entry.size, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._next(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _next(self, most: int) -> bytes:
        if self._done or not most:
            return b""
        data = self._inflate(most) if self._zlib else self._packed.read(most) or b""
        self._left -= len(data)
        if self._left < 0:
            raise self._broken("it is larger than the archive says")
        self._crc = zlib.crc32(data, self._crc)
        if not data:
            self._done = True
            if self._left:
                raise self._broken("it is shorter than the archive says")
            if self._crc != self._member.crc:
                raise self._broken("its checksum is wrong")
        return data

    def _inflate(self, most: int) -> bytes:
        assert self._zlib is not None  # noqa: S101
        while not self._zlib.eof:
            packed = self._zlib.unconsumed_tail or self._packed.read(CHUNK) or b""
            try:
                # One byte beyond the promised size is enough to see that the promise is broken.
                data = self._zlib.decompress(packed, min(most, self._left + 1))
            except zlib.error as error:
                raise self._broken(str(error).partition(": ")[2] or str(error)) from None
            if data:
                return data
            if not packed:
                raise self._broken("it ends too early")
        return b""

    def _broken(self, why: str) -> ArchiveError:
        path = self._member.entry.path
        return ArchiveError(
            f"{shown(path)} in {shown(self._archive)} is damaged: {why}",
            code="CB025",
            hint="pack the archive again; it may have been changed while it was sent",
        )


def zip_from_stream(stream: BinaryIO, *, name: str, limits: ArchiveLimits = ArchiveLimits.OWN) -> ZipSource:
    """A zip that comes from elsewhere (a URL, another zip), by way of a private temporary file.

    Raises
    ------
    ArchiveError
        As `ZipSource`; ``CB029`` as soon as more arrives than is allowed.
    """
    file = tempfile.NamedTemporaryFile(prefix="codabench-", suffix=".zip")  # noqa: SIM115
    try:
        size = 0
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > limits.archive_bytes:
                raise ArchiveError(
                    f"{shown(name)} is larger than {human_size(limits.archive_bytes)}", code="CB029", hint=LESS
                )
            file.write(chunk)
        file.flush()
        return ZipSource(file.name, name=name, limits=limits, owned=file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            file.close()
        raise


def zip_in(tree: TreeSource, path: str, *, limits: ArchiveLimits = ArchiveLimits.OWN) -> ZipSource:
    """The zip that a file of a tree is; read where it lies, unless it is packed there.

    Raises
    ------
    ArchiveError
        As `ZipSource`.
    """
    if (file := tree.random_access(path)) is not None:
        return ZipSource(file, name=path, limits=limits)
    with tree.open(path) as packed:
        return zip_from_stream(packed, name=path, limits=limits)


_PACKED = re.compile(
    r"\.(7z|avif|bz2|docx|flac|gif|gz|heic|jar|jpe?g|lz4|mkv|mov|mp[34]|npz|od[st]|ogg|orc|parquet|png|pptx|pth?|rar|"
    r"safetensors|tgz|txz|web[mp]|whl|xlsx|xz|zip|zst)$",
    re.IGNORECASE,
)
"""Endings of files that hold packed bytes, or numbers that hardly can be packed."""


class _Hashed:
    """Counts and hashes what passes."""

    def __init__(self, target: Any) -> None:
        self._target, self.size, self._digest = target, 0, hashlib.sha256()

    def write(self, chunk: bytes) -> int:
        self.size += len(chunk)
        self._digest.update(chunk)
        if self._target is not None:
            self._target.write(chunk)
        return len(chunk)

    def entry(self, entry: SourceEntry) -> TreeEntry:
        return TreeEntry(path=entry.path, executable=entry.executable, size=self.size, sha256=self._digest.hexdigest())


def manifest(source: TreeSource) -> tuple[TreeEntry, ...]:
    """The entries of a tree with the sha256 of each file; reads everything once."""
    return tuple(_hash(source, entry, None) for entry in source.entries())


def write_zip(source: TreeSource, dest: BinaryIO, *, level: int = 1) -> tuple[TreeEntry, ...]:
    """Pack a tree so that equal trees give equal bytes, and return its manifest.

    Entries are sorted, dated 1980, of mode 0644 or 0755; a directory is an entry only if it is empty. Files that are
    packed already, by their names, are stored as they are: deflating them again costs time and gains nothing.
    """
    import zipfile

    found = []
    with zipfile.ZipFile(dest, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for entry in source.entries():
            name = entry.path + "/" * (entry.kind == "dir")
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = (0o040755 if entry.kind == "dir" else 0o100755 if entry.executable else 0o100644) << 16
            if entry.kind == "dir":
                archive.writestr(info, b"")
                found.append(_hash(source, entry, None))
                continue
            is_packed = _PACKED.search(entry.path) is not None
            info.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            info._compresslevel = level  # type: ignore[attr-defined]
            with archive.open(info, "w", force_zip64=entry.size > 1 << 30) as target:
                found.append(_hash(source, entry, target))
    return tuple(found)


def _hash(source: TreeSource, entry: SourceEntry, target: Any) -> TreeEntry:
    if entry.kind == "dir":
        return TreeEntry(path=entry.path, kind="dir")
    hashed = _Hashed(target)
    with source.open(entry.path) as content:
        shutil.copyfileobj(content, hashed, CHUNK)
    return hashed.entry(entry)
