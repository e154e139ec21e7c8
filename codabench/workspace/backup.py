"""Backup and restore: the rows as they were at one moment, then every byte that they name.

A backup is a directory, or a place at any fsspec URL::

    backup.json       what it is, how much, the digest of the rows; written last, so one that was stopped is none
    rows.jsonl.gz     every row of the database
    storage/          the bytes, as in the storage of a workspace
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from codabench._version import __version__
from codabench.core.base import Record
from codabench.core.errors import StorageError
from codabench.core.text import human_size, plural, preformatted
from codabench.core.trees import BlobRef, TreeRef
from codabench.db.dump import dump, fill, line
from codabench.db.naming import references
from codabench.db.schema import look
from codabench.db.tables import HEAD
from codabench.storage.objects import Objects, objects_at
from codabench.storage.store import Storage
from codabench.workspace.dispatcher import utc_now

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace

ABOUT, ROWS, FORMAT = "backup.json", "rows.jsonl.gz", 1
_NAMES = (ABOUT, ROWS, "storage", "blobs", "trees", "attempts")


class Backup(Record):
    """What a backup holds.

    Attributes
    ----------
    revision
        Of the tables that the rows come from.
    rows
        How many each table has.
    rows_sha256
        Digest of the file with the rows.
    objects, size
        Different blobs and archives, and their bytes.
    missing
        What rows name and the storage did not have whole: it is not in the backup, and why.
    """

    format: int = FORMAT
    version: str = __version__
    revision: str = HEAD
    created_at: datetime
    rows: dict[str, int]
    rows_sha256: str
    objects: int
    size: int
    missing: dict[str, str] = {}

    def __str__(self) -> str:
        lines = [
            ", ".join(plural(self.rows.get(noun, 0), noun) for noun in ("competition", "submission", "run")),
            f"{plural(self.objects, 'stored object')}, {human_size(self.size)}",
        ]
        lines += [f"missing: {name}: {why}" for name, why in self.missing.items()]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self), "cb-backup")


def back_up(workspace: Workspace, dest: str | os.PathLike[str], options: dict[str, Any] | None = None) -> Backup:
    """What `Workspace.backup` does."""
    place = os.fspath(dest)
    target = objects_at(place, options)
    _refuse_filled(target, place)
    now = utc_now()
    with target.spool() as file:
        counts, named = _write_rows(workspace, file)
        rows = _sha256(file)
        with closing(Storage(f"{place.rstrip('/')}/storage", options=options)) as kept:
            missing = _copy(named, workspace.storage, kept)
        held = {blob: size for blob, size in _blobs(named).items() if blob not in missing}
        file.seek(0, os.SEEK_END)
        target.put(ROWS, file, file.tell(), rows)
    made = Backup(
        created_at=now, rows=counts, rows_sha256=rows, objects=len(held), size=sum(held.values()), missing=missing
    )
    target.put_bytes(ABOUT, made.model_dump_json(indent=1).encode())
    return made


def restore(
    source: str | os.PathLike[str],
    url: str,
    db: str,
    *,
    options: dict[str, Any] | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Backup:
    """Fill an empty place and an empty database from a backup: what `Workspace.restore` does."""
    place = os.fspath(source)
    origin = objects_at(place, options)
    about = _about(origin, place)
    with closing(Storage(url, options=storage_options)) as target, tempfile.TemporaryFile() as file:
        _refuse_filled(target.objects, target.url)
        if look(db) is not None:
            raise StorageError("the database holds a workspace already", code="CB733", hint="name an empty one")
        file.write(origin.read(ROWS))
        if _sha256(file) != about.rows_sha256:
            raise StorageError(f"{ROWS} in {place} was changed: it does not have its digest", code="CB731")
        with closing(Storage(f"{place.rstrip('/')}/storage", options=options)) as kept:
            needed = Needed()
            named = {ref for text in _lines(file) for ref in needed.of(*json.loads(text))}
            for ref in sorted(named, key=_name):
                if _name(ref) not in about.missing:
                    target.copy(ref, kept)
        fill(db, about.revision, _lines(file))
    return about


def _about(origin: Objects, place: str) -> Backup:
    if origin.look(ABOUT) is None:
        raise StorageError(
            f"there is no whole backup in {place}: it has no {ABOUT}", code="CB730", hint="was it stopped on the way?"
        )
    found = json.loads(origin.read(ABOUT))
    if found.get("format") != FORMAT:
        raise StorageError(
            f"the backup in {place} has format {found.get('format')}; this version knows {FORMAT}",
            code="CB721",
            hint="install a newer codabench",
        )
    return Backup.model_validate(found)


def _write_rows(workspace: Workspace, file: IO[bytes]) -> tuple[dict[str, int], set[BlobRef | TreeRef]]:
    """All rows into a file: quickly, because while it lasts the database keeps what it was."""
    counts: Counter[str] = Counter()
    named: set[BlobRef | TreeRef] = set()
    needed = Needed()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=3, mtime=0) as packed:
        for table, row in dump(workspace.db):
            counts[table] += 1
            named.update(needed.of(table, row))
            packed.write(line(table, row).encode())
    return dict(counts), named


def _lines(file: IO[bytes]) -> Iterator[str]:
    file.seek(0)
    with gzip.GzipFile(fileobj=file, mode="rb") as packed:
        for each in packed:
            yield each.decode()


def _copy(named: set[BlobRef | TreeRef], source: Storage, target: Storage) -> dict[str, str]:
    """Copy what rows name; returns what could not be, and why."""
    missing: dict[str, str] = {}
    for ref in sorted(named, key=_name):
        try:
            target.copy(ref, source)
        except StorageError as error:
            if error.code not in ("CB701", "CB702"):
                raise
            missing[_name(ref)] = error.message
    return missing


class Needed:
    """Which trees and blobs rows need: what submissions had that were deleted may be gone. Told of rows as `dump` gives
    them, those that others refer to first."""

    def __init__(self) -> None:
        self._deleted: set[str] = set()

    def of(self, table: str, row: dict[str, Any]) -> Iterator[BlobRef | TreeRef]:
        """The trees and blobs that a row needs."""
        owners = {row.get("submission"), row.get("run")}
        if owners & self._deleted or (table == "submission" and row["deleted_at"]):
            self._deleted.update([row["id"]] if table in ("submission", "run") else ())
        else:
            yield from references(table, row)


def _blobs(named: set[BlobRef | TreeRef]) -> dict[str, int]:
    return {_name(ref): ref.size for ref in named}


def _name(ref: BlobRef | TreeRef) -> str:
    return ref.archive if isinstance(ref, TreeRef) else ref.sha256


def _refuse_filled(objects: Objects, place: str) -> None:
    if objects.local is not None:
        there = next((each.name for each in objects.local.iterdir()), None)
    else:
        there = next((n for n in _NAMES if objects.look(n) or next(iter(objects.listed(n)), None)), None)
    if there is not None:
        hint = "name an empty directory or prefix; what a backup or restore left that was stopped may be removed"
        raise StorageError(f"{place} is not empty: it has {there}", code="CB732", hint=hint)


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
