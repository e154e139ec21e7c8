"""Trees of files as values: entries, their digest, references to stored ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Literal

from codabench.core.base import Record


class TreeEntry(Record):
    """One member of a tree.

    Attributes
    ----------
    path
        POSIX path relative to the root, without leading or trailing slash.
    kind
        ``dir`` is recorded too: an empty directory is content.
    executable
        The only bit of the mode that is kept.
    size
        In bytes; 0 for a directory.
    sha256
        Hexadecimal digest of the content; empty for a directory.
    """

    path: str
    kind: Literal["file", "dir"] = "file"
    executable: bool = False
    size: int = 0
    sha256: str = ""


class TreeRef(Record):
    """A stored tree: what is in it, and which archive holds it.

    Attributes
    ----------
    digest
        ``sha256:...`` of the manifest (`tree_digest`): equal content, equal digest, whatever the archive.
    archive
        sha256 of the stored archive: a download returns the very bytes that were uploaded.
    size
        Bytes of the archive.
    files
        Number of regular files.
    """

    digest: str
    archive: str
    size: int
    files: int


class BlobRef(Record):
    """A stored run of bytes."""

    sha256: str
    size: int


def tree_digest(entries: Iterable[TreeEntry]) -> str:
    """``sha256:`` digest of sorted (path, kind, executable bit, sha256); directories count, also empty ones.

    A directory that holds something is implied by its content and left out, so that archives with and without entries
    for directories agree.
    """
    listed = sorted(entries, key=lambda e: e.path)
    parents = {parent for e in listed for parent in _parents(e.path)}
    rows = [[e.path, e.kind, e.executable, e.sha256] for e in listed if e.kind == "file" or e.path not in parents]
    return "sha256:" + hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]
