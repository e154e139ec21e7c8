"""Trees at fsspec URLs: a zip of which only what is needed is fetched, or a directory.

What the clients of remote stores raise becomes one kind of error, with a code that says what to do.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from codabench.core.errors import SourceUnavailable
from codabench.core.problems import Location, Problem, Severity
from codabench.core.report import Report
from codabench.storage.archive import ZipSource, zip_from_stream
from codabench.storage.names import safe_path, shown
from codabench.storage.ranges import RandomAccess, stream_of
from codabench.storage.tree import ArchiveLimits, SourceEntry, TreeSource, only_leaves

WHOLE = 4 << 20
"""Archives up to this size are fetched at once; of larger ones only what is read."""
_FIRST, _MOST, _KEPT = 1 << 14, 1 << 22, 3
"""Bytes of a first request and of the largest; who reads on gets more each time. So many answers are kept."""
_STAMPS = ("ETag", "etag", "md5Hash", "md5", "LastModified", "Last-Modified")
_SHARED = threading.RLock()
"""Files of the memory file system have one position for all their readers."""


def open_url(url: str, *, limits: ArchiveLimits, storage_options: dict[str, Any] | None) -> TreeSource:
    """The zip or the directory at a URL.

    A zip is read where it lies, if its store sends parts of files and says when a file has changed; else it is copied
    into a private file first. Either way, what is checked is what is used (security.md Z16).

    Raises
    ------
    SourceUnavailable
        It cannot be read; ``code`` says why.
    ArchiveError
        As `ZipSource`.
    """
    fs, root = file_system(url, storage_options)
    with remote_errors(url), _sensible(url):
        fs.invalidate_cache()  # what was listed for an earlier call may have changed
        info = fs.info(root)
    if info["type"] == "directory":
        return FsspecSource(url, limits=limits, storage_options=storage_options)
    if info.get("size") is not None and info.get("partial", True):
        with contextlib.suppress(_NoRangesError):
            file = RemoteFile(fs, root, info, url)
            if file.size > WHOLE and file.guarded:
                return ZipSource(file, name=url, limits=limits)
            return zip_from_stream(stream_of(file, WHOLE), name=url, limits=limits)
    with remote_errors(url), fs.open(root, "rb", block_size=0) as stream:
        return zip_from_stream(stream, name=url, limits=limits)


class RemoteFile:
    """A file at an fsspec URL, read by position, a few mebibytes at a time.

    Parameters
    ----------
    info
        What the store says of it; while it is read it stays as it was then, or reading fails.
    url
        For messages.

    Attributes
    ----------
    guarded
        Whether it would be noticed that the file is replaced.
    """

    far = True

    def __init__(self, fs: Any, path: str, info: dict[str, Any], url: str) -> None:
        self.size: int = info["size"]
        self._fs, self._path, self._url = fs, path, url
        self._stamp = _stamp(info)
        self.guarded = self._stamp is not None
        self._file: Any = None
        self._kept: list[tuple[int, bytes]] = []
        self._closed = False
        self._lock = threading.RLock() if getattr(fs, "async_impl", False) else _SHARED

    def pread(self, size: int, at: int) -> bytes:
        """Bytes at a place.

        Raises
        ------
        SourceUnavailable
            They could not be fetched, or the file was replaced.
        """
        left, parts = max(0, min(size, self.size - at)), []
        with self._lock:
            if self._closed:
                raise ValueError("read from an archive that is closed")
            while left:
                start, data = self._around(at, left)
                parts.append(data[at - start : at - start + left])
                at, left = at + len(parts[-1]), left - len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _around(self, at: int, wanted: int) -> tuple[int, bytes]:
        """Bytes that begin at or before a place and go beyond it, with where they begin."""
        for start, data in self._kept:
            if start <= at < start + len(data):
                return start, data
        more = _FIRST
        if self._kept:
            start, data = self._kept[-1]
            more = 4 * len(data) if start + len(data) == at else _FIRST
        data = self._fetch(at, min(at + min(max(wanted, more), _MOST), self.size))
        self._kept = [*self._kept[1 - _KEPT :], (at, data)]
        return at, data

    def _fetch(self, start: int, end: int) -> bytes:
        with remote_errors(self._url):
            if self._file is None:
                self._file = self._fs.open(self._path, "rb", cache_type="none")
            try:
                self._file.seek(start)
                data: bytes = self._file.read(end - start)
            except ValueError as error:
                raise _NoRangesError(str(error)) from error
            # A store that is asked for this very version answers for it; of others it is asked whether it still is.
            if self._stamp and "IfMatch" not in getattr(self._file, "read_kw", ()):
                if _stamp(self._fs.info(self._path)) != self._stamp:
                    raise replaced(self._url)
            elif self._stamp and _stamp(self._file.details) != self._stamp:
                raise replaced(self._url)
        if len(data) != end - start:
            raise unavailable(self._url, "the answer broke off in the middle", "CB043")
        return data

    def close(self) -> None:
        with self._lock:
            self._closed, self._kept = True, []
            if self._file is not None:
                self._file.close()


class FsspecSource(TreeSource):
    """A directory at an fsspec URL, such as ``s3://bucket/bundle`` or ``memory://bundle``."""

    def __init__(self, url: str, *, limits: ArchiveLimits = ArchiveLimits.OWN, storage_options: Any = None) -> None:
        self._fs, root = file_system(url, storage_options)
        self._root = self._fs._strip_protocol(root).rstrip("/")
        with remote_errors(url), _sensible(url):
            found: dict[str, dict[str, Any]] = self._fs.find(root, withdirs=True, detail=True)
        entries, total = {}, 0
        limits.check_entries(len(found), url)
        self._infos: dict[str, dict[str, Any]] = {}
        for full, info in found.items():
            relative = full.removeprefix("/" * (not self._root.startswith("/")))[len(self._root) :].lstrip("/")
            path = safe_path(relative, limits) if relative else ""
            if path and (info["type"] == "directory" or full.endswith("/")):
                entries[path] = SourceEntry(path=path, kind="dir")
            elif path:
                size = info["size"] or 0
                total += size
                limits.check_total(total, url)
                entries[path] = SourceEntry(path=path, size=size)
                self._infos[path] = {**info, "size": size}
        super().__init__(url, only_leaves(entries.values()))

    @property
    def far(self) -> bool:
        return True

    def open(self, path: str) -> BinaryIO:
        return stream_of(self._remote(path))

    def random_access(self, path: str) -> RandomAccess | None:
        return self._remote(path)

    def _remote(self, path: str) -> RemoteFile:
        self.entry(path)
        return RemoteFile(self._fs, f"{self._root}/{path}", self._infos[path], f"{self.name}/{path}")


# ---------------------------------------------------------------------- what goes wrong
class _NoRangesError(Exception):
    """A server sends whole files only."""


def file_system(url: str, storage_options: Any) -> tuple[Any, str]:
    """The file system of a URL, and the path there."""
    from fsspec.core import url_to_fs

    with remote_errors(url), _sensible(url):
        fs, root = url_to_fs(url, **(storage_options or {}))
    return fs, root


@contextlib.contextmanager
def _sensible(url: str) -> Iterator[None]:
    """A URL that means nothing, or a protocol whose package is not installed."""
    try:
        yield
    except (ValueError, ImportError) as error:
        raise unavailable(url, str(error)) from error


@contextlib.contextmanager
def remote_errors(url: str) -> Iterator[None]:
    """Whatever a remote store says of failure becomes one error that names the URL."""
    try:
        yield
    except SourceUnavailable:
        raise
    except client_errors() as error:
        raise _translated(url, error) from error


def client_errors() -> tuple[type[Exception], ...]:
    """What the clients of remote stores raise besides OSError; a client that is not imported has not raised."""
    found: list[type[Exception]] = [OSError]
    clients = (("botocore.exceptions", ("BotoCoreError", "ClientError")), ("aiohttp", ("ClientError",)))
    for module, names in clients:
        if module in sys.modules:
            found += [getattr(sys.modules[module], name) for name in names]
    return tuple(found)


_KINDS = {
    "FileExpired": "CB044",
    "PermissionError": "CB041",
    "NoCredentialsError": "CB041",
    "PartialCredentialsError": "CB041",
    "ClientPayloadError": "CB043",
    "IncompleteReadError": "CB043",
    "ResponseStreamingError": "CB043",
    "ConnectionError": "CB042",
    "ClientConnectionError": "CB042",
    "HTTPClientError": "CB042",
    "TimeoutError": "CB042",
    "FileNotFoundError": "CB021",
}
"""Names, because the packages need not be installed: the first that a class has among its bases."""
_STATUS = {401: "CB041", 403: "CB041", 404: "CB021", 410: "CB021", 412: "CB044"}
_WORDS = {
    "CB021": ("there is nothing", "check the spelling; give a folder, a zip file or a URL of one"),
    "CB041": (
        "access is refused",
        "for S3, give key and secret in storage_options or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the key needs "
        "the rights to read and to list",
    ),
    "CB042": ("the server does not answer as it should", "check the address and the network, and try again"),
    "CB043": ("the answer broke off in the middle", "try again; if it stays so, the server or the network is at fault"),
    "CB044": ("it was replaced while it was read", "load it again, when nobody writes to it any more"),
}


def _translated(url: str, error: Exception) -> SourceUnavailable:
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and type(cause).__module__.startswith("aiohttp"):
        error = cause if isinstance(cause, Exception) else error  # a server that is down is no missing file
    status = getattr(error, "status", None)
    names = {base.__name__ for base in type(error).__mro__}
    code = _STATUS.get(status or 0) or next((code for name, code in _KINDS.items() if name in names), "CB042")
    said = str(error).partition("\n")[0].strip()
    why = _WORDS[code][0] + (f": {said}" if said and code != "CB021" else "")
    return unavailable(url, why, code)


def replaced(url: str) -> SourceUnavailable:
    """The error for a file that is not the one it was."""
    return unavailable(url, _WORDS["CB044"][0], "CB044")


def unavailable(name: str, why: str, code: str = "CB021") -> SourceUnavailable:
    """The error for a source at a URL that cannot be read."""
    message = f"{shown(name)} cannot be read: {why}"
    hint = _WORDS[code][1]
    problem = Problem(code=code, severity=Severity.ERROR, message=message, where=Location(file=name), hint=hint)
    return SourceUnavailable(message, code=code, report=Report(source=name, problems=(problem,)), hint=hint)


def _stamp(info: dict[str, Any]) -> tuple[Any, ...] | None:
    """What changes when a file is replaced, as its store says; None if it says nothing of the kind."""
    said = next((info[key] for key in _STAMPS if info.get(key)), None)
    return None if said is None else (info.get("size"), str(said))


def whole(source: TreeSource) -> contextlib.AbstractContextManager[TreeSource]:
    """The same tree with its archive on this host: a remote archive is fetched once, not for each of its uses."""
    archive = source.archive if source.far else None
    if archive is None:
        return contextlib.nullcontext(source)
    return zip_from_stream(stream_of(archive), name=source.name)
