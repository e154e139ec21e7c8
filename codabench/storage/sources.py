"""Trees of files, wherever they are: a directory, a zip, a URL. All are read through one small interface.

This is the door of the room: what other rooms need of trees is imported from here.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from codabench.core.errors import ArchiveError, BundleError
from codabench.core.problems import Location, Problem, Severity
from codabench.core.report import Report
from codabench.storage.archive import ZipSource, manifest, write_zip, zip_from_stream
from codabench.storage.directory import DirectorySource, open_hostile
from codabench.storage.extract import extract, remove_tree
from codabench.storage.names import safe_path, shown
from codabench.storage.overlay import Content, Overlay
from codabench.storage.tree import ArchiveLimits, EmptySource, SourceEntry, TreeSource, only_leaves

__all__ = [
    "ArchiveLimits",
    "Content",
    "DirectorySource",
    "EmptySource",
    "FsspecSource",
    "Overlay",
    "SourceEntry",
    "TreeSource",
    "ZipSource",
    "collect",
    "extract",
    "manifest",
    "open_archive",
    "open_hostile",
    "open_source",
    "remove_tree",
    "write_zip",
    "zip_from_stream",
]


class FsspecSource(TreeSource):
    """A directory at an fsspec URL, such as ``s3://bucket/bundle`` or ``memory://bundle``."""

    def __init__(self, url: str, *, limits: ArchiveLimits = ArchiveLimits.OWN, storage_options: Any = None) -> None:
        self._fs, root = _filesystem(url, storage_options)
        self._root = self._fs._strip_protocol(root).rstrip("/")
        found: dict[str, dict[str, Any]] = self._fs.find(root, withdirs=True, detail=True)
        entries, total = {}, 0
        limits.check_entries(len(found), url)
        for full, info in found.items():
            relative = full.removeprefix("/" * (not self._root.startswith("/")))[len(self._root) :].lstrip("/")
            path = safe_path(relative, limits) if relative else ""
            is_dir = info["type"] == "directory" or full.endswith("/")
            if path:
                total += 0 if is_dir else info["size"] or 0
                limits.check_total(total, url)
                entries[path] = (
                    SourceEntry(path=path, kind="dir") if is_dir else SourceEntry(path=path, size=info["size"] or 0)
                )
        super().__init__(url, only_leaves(entries.values()))

    def open(self, path: str) -> BinaryIO:
        self.entry(path)
        with remote_errors(self.name):
            file: BinaryIO = self._fs.open(f"{self._root}/{path}", "rb")
        return file


def open_source(
    source: str | os.PathLike[str],
    *,
    limits: ArchiveLimits = ArchiveLimits.OWN,
    storage_options: dict[str, Any] | None = None,
) -> TreeSource:
    """Open a directory, a zip, or any fsspec URL of one.

    Raises
    ------
    BundleError
        ``CB021``: there is nothing, or it cannot be reached.
    ArchiveError
        It is not a zip, is damaged, empty or unsafe; ``code`` says which, ``report`` holds everything found.
    """
    text = os.fspath(source)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text:
        return _open_url(text, limits, storage_options)
    path = Path(os.path.expanduser(text))  # a name that is nobody's home stays as it is
    try:
        opened: TreeSource = (DirectorySource if path.is_dir() else ZipSource)(path, limits=limits)
    except FileNotFoundError:
        raise not_there(text, "there is no such file or folder") from None
    except (OSError, ValueError) as error:
        raise not_there(text, str(getattr(error, "strerror", None) or error)) from None
    return _not_empty(opened)


def _open_url(url: str, limits: ArchiveLimits, storage_options: Any) -> TreeSource:
    """A zip is copied into a private file first: what is checked is what is used (security.md Z16)."""
    fs, root = _filesystem(url, storage_options)
    with remote_errors(url):
        if not fs.isfile(root):
            if not fs.isdir(root):
                raise not_there(url, "there is nothing")
            return _not_empty(FsspecSource(url, limits=limits, storage_options=storage_options))
        with fs.open(root, "rb") as stream:
            return _not_empty(zip_from_stream(stream, name=url, limits=limits))


@contextlib.contextmanager
def remote_errors(url: str) -> Iterator[None]:
    """Whatever a remote store says of failure becomes one error that names the URL."""
    try:
        yield
    except _failures() as error:
        raise not_there(url, str(error).partition("\n")[0] or type(error).__name__) from error


def _failures() -> tuple[type[Exception], ...]:
    """What the clients of remote stores raise besides OSError; a client that is not imported has not raised."""
    found: list[type[Exception]] = [OSError]
    for module, names in (("botocore.exceptions", ("BotoCoreError", "ClientError")), ("aiohttp", ("ClientError",))):
        if module in sys.modules:
            found += [getattr(sys.modules[module], name) for name in names]
    return tuple(found)


def _filesystem(url: str, storage_options: Any) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        fs, root = url_to_fs(url, **(storage_options or {}))
    except (ValueError, ImportError) as error:
        raise not_there(url, str(error)) from error
    return fs, root


def not_there(name: str, why: str) -> BundleError:
    """The error for a source that cannot be reached."""
    message, hint = f"{shown(name)} cannot be read: {why}", "give a folder, a zip file or a URL of one"
    problem = Problem(code="CB021", severity=Severity.ERROR, message=message, hint=hint, where=Location(file=name))
    report = Report(source=name, problems=(problem,))
    return BundleError(message, code="CB021", report=report, hint=hint)


def _not_empty(source: TreeSource) -> TreeSource:
    if source.entries():
        return source
    source.close()
    raise ArchiveError(f"{shown(source.name)} holds nothing", code="CB026", hint="pack the files")


def collect(path: Path, *, limits: ArchiveLimits = ArchiveLimits.OWN) -> TreeSource:
    """The tree in a directory that hostile code wrote (security.md S01, S02).

    Only regular files with one name on the same device are taken. Links and special files are left out and listed in
    `problems`; nothing is ever followed. Files and directories whose mode keeps us out are opened if they are ours.
    """
    return DirectorySource(path, limits=limits, hostile=True)


def open_archive(path: Path, *, name: str | None = None, limits: ArchiveLimits = ArchiveLimits.OWN) -> TreeSource:
    """A zip from our own store: names that only some file systems tell apart are taken, it may hold nothing."""
    return ZipSource(path, name=name, limits=limits, allow_twins=True)
