"""Trees of files, wherever they are: a directory, a zip, a URL. All are read through one small interface.

This is the door of the room: what other rooms need of trees is imported from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from codabench.core.errors import ArchiveError, BundleError
from codabench.core.problems import Location, Problem, Severity
from codabench.core.report import Report
from codabench.storage.archive import ZipSource, manifest, write_zip, zip_from_stream, zip_in
from codabench.storage.directory import DirectorySource, open_hostile
from codabench.storage.extract import extract, remove_tree
from codabench.storage.names import shown
from codabench.storage.overlay import Content, Overlay
from codabench.storage.protocols import USER_PROTOCOLS, check_user_url
from codabench.storage.ranges import RandomAccess
from codabench.storage.remote import FsspecSource, open_url, whole
from codabench.storage.tree import ArchiveLimits, EmptySource, SourceEntry, TreeSource

__all__ = [
    "USER_PROTOCOLS",
    "ArchiveLimits",
    "Content",
    "DirectorySource",
    "EmptySource",
    "FsspecSource",
    "Overlay",
    "RandomAccess",
    "SourceEntry",
    "TreeSource",
    "ZipSource",
    "check_user_url",
    "collect",
    "extract",
    "manifest",
    "open_archive",
    "open_hostile",
    "open_source",
    "remove_tree",
    "whole",
    "write_zip",
    "zip_from_stream",
    "zip_in",
]


def open_source(
    source: str | os.PathLike[str],
    *,
    limits: ArchiveLimits = ArchiveLimits.OWN,
    storage_options: dict[str, Any] | None = None,
    protocols: Collection[str] | None = None,
) -> TreeSource:
    """Open a directory, a zip, or any fsspec URL of one.

    Parameters
    ----------
    protocols
        The text comes from somebody who is not trusted with this host: only URLs of these protocols are taken, such as
        `USER_PROTOCOLS`, and no path.

    Raises
    ------
    BundleError
        ``CB021``: there is nothing. ``CB045``: a user may not name it.
    SourceUnavailable
        A URL cannot be read: ``CB021`` there is nothing, ``CB041`` access is refused, ``CB042`` no sound answer,
        ``CB043`` the answer broke off, ``CB044`` it was replaced while it was read.
    ArchiveError
        It is not a zip, is damaged, empty or unsafe; ``code`` says which, ``report`` holds everything found.
    """
    text = os.fspath(source)
    if protocols is not None:
        check_user_url(text, protocols)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" in text:
        return _not_empty(open_url(text, limits=limits, storage_options=storage_options))
    path = Path(os.path.expanduser(text))  # a name that is nobody's home stays as it is
    try:
        opened: TreeSource = (DirectorySource if path.is_dir() else ZipSource)(path, limits=limits)
    except FileNotFoundError:
        raise not_there(text, "there is no such file or folder") from None
    except (OSError, ValueError) as error:
        raise not_there(text, str(getattr(error, "strerror", None) or error)) from None
    return _not_empty(opened)


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


def collect(
    path: Path, *, limits: ArchiveLimits = ArchiveLimits.OWN, check: Callable[[], None] | None = None
) -> TreeSource:
    """The tree in a directory that hostile code wrote (security.md S01, S02).

    Only regular files with one name on the same device are taken. Links and special files are left out and listed in
    `problems`; nothing is ever followed. Files and directories whose mode keeps us out are opened if they are ours.
    `check` is called before every read; it may raise.
    """
    return DirectorySource(path, limits=limits, hostile=True, check=check)


def open_archive(path: Path, *, name: str | None = None, limits: ArchiveLimits = ArchiveLimits.OWN) -> TreeSource:
    """A zip from our own store: names that only some file systems tell apart are taken, it may hold nothing."""
    return ZipSource(path, name=name, limits=limits, allow_twins=True)
