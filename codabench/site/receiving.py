"""Uploads: bytes that are counted and hashed as they come, and are whole or not there (security.md W10, G01, G03)."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from codabench.core.competition import DataRole
from codabench.core.errors import ArchiveError, Invalid, StateError, StorageError, TooMany
from codabench.core.hosting import Dataset
from codabench.core.text import plural
from codabench.core.trees import BlobRef, TreeRef
from codabench.storage.extract import full_disk
from codabench.storage.sources import open_source

if TYPE_CHECKING:
    from codabench.site.site import Site

AT_ONCE = 8
"""Uploads of one account that are taken at the same time (security.md W09)."""
TYPES = frozenset({"application/zip", "application/x-zip-compressed", "application/octet-stream"})
"""What a zip may say of itself; it decides nothing."""

_ARCHIVES = frozenset(
    {DataRole.SUBMISSION, DataRole.SOLUTION, DataRole.SCORING_PROGRAM, DataRole.INGESTION_PROGRAM},
)
"""What has to be a zip; data may also be one file of another kind."""


class Incoming:
    """An upload under way.

    Parameters
    ----------
    size
        How many bytes were announced; not one more is taken.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size, self._digest, self.taken = file, size, hashlib.sha256(), 0

    def write(self, chunk: bytes) -> None:
        """Take more bytes.

        Raises
        ------
        Invalid
            They are more than were announced.
        StorageError
            ``CB707``: the disk is full.
        """
        self.taken += len(chunk)
        if self.taken > self._size:
            raise Invalid({"file": f"More came than the {plural(self._size, 'byte')} that were announced."})
        self._digest.update(chunk)
        with full_disk("an upload"):
            self._file.write(chunk)

    def flush(self) -> None:
        """Have all that came be in the file."""
        with full_disk("an upload"):
            self._file.flush()

    def whole(self) -> BlobRef:
        """What came, all of it.

        Raises
        ------
        Invalid
            It is less than was announced.
        """
        if self.taken != self._size:
            said = f"{plural(self._size, 'byte')} were announced, and {self.taken} came."
            raise Invalid({"file": said}, hint="upload it again")
        self.flush()
        return BlobRef(sha256=self._digest.hexdigest(), size=self.taken)


class Doors:
    """How many uploads of whom are under way in this process."""

    def __init__(self) -> None:
        self._lock, self._open = threading.Lock(), Counter[int]()

    @contextmanager
    def entered(self, account: int) -> Iterator[None]:
        """Count one more for a while.

        Raises
        ------
        TooMany
            ``CB804``: there are `AT_ONCE`.
        """
        with self._lock:
            if self._open[account] >= AT_ONCE:
                raise TooMany(f"{AT_ONCE} of your uploads are under way", seconds=10, hint="wait until one is over")
            self._open[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[account] -= 1


class Received(NamedTuple):
    """A file on this host that was checked, before it is stored."""

    path: Path
    ref: BlobRef


def check_before(dataset: Dataset, length: int | None, content_type: str | None) -> None:
    """Refuse an upload by what it says of itself, before a byte of it is read.

    Raises
    ------
    Invalid
        It has another size than was announced, or is no zip by its own words where it has to be one.
    """
    if length is not None and length != dataset.size:
        raise Invalid({"file": f"{plural(dataset.size, 'byte')} were announced, and {length} are to come."})
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind and kind not in TYPES and is_archive(dataset.type, dataset.file_name):
        raise Invalid({"file": f"This link takes application/zip, not {kind}."})


@contextmanager
def spooled(site: Site, size: int) -> Iterator[tuple[Incoming, Path]]:
    """Where an upload waits, under a name of ours, until it is whole; it goes in any case."""
    with tempfile.NamedTemporaryFile(prefix="upload-", dir=site.workspace.scratch) as file:
        yield Incoming(cast("BinaryIO", file), size), Path(file.name)


def stored(site: Site, dataset: Dataset, came: Received) -> TreeRef | BlobRef:
    """Keep what was uploaded: an archive as the tree in it, checked member by member; anything else as it is.

    Raises
    ------
    ArchiveError
        It is no zip where one has to be, or is damaged or unsafe.
    """
    storage = site.workspace.storage
    kept: TreeRef | BlobRef
    # A bundle is read by the job that unpacks it, which tells of every problem at once.
    if dataset.type is not DataRole.COMPETITION_BUNDLE and is_archive(dataset.type, dataset.file_name):
        try:
            with open_source(came.path, limits=site.settings.archives) as tree:
                tree.name = dataset.file_name
                kept = storage.put_tree(tree)
        except ArchiveError as error:
            # Whoever uploaded it knows it by its name, and not where it lies here.
            message = error.message.replace(str(came.path), dataset.file_name)
            raise ArchiveError(message, code=error.code, hint=error.hint) from error
    else:
        kept = storage.put(came.path)
    sha256 = kept.archive if isinstance(kept, TreeRef) else kept.sha256
    if (sha256, kept.size) != (came.ref.sha256, came.ref.size):
        raise StorageError(f"{dataset.file_name} was changed while it was stored", code="CB702", hint="upload it again")
    return kept


def is_archive(role: DataRole, name: str) -> bool:
    """Whether a data set is the tree in its archive: programs and submissions always, data if its name says so."""
    return role in _ARCHIVES or name.lower().endswith(".zip")


def same_again(dataset: Dataset, ref: BlobRef) -> Dataset:
    """A data set whose bytes came before: whoever did not hear the answer sends them again.

    Raises
    ------
    StateError
        They are others now.
    """
    if dataset.blob != ref:
        raise StateError(
            f"{dataset.name} was uploaded already, and is never replaced", hint="announce another upload: another key"
        )
    return dataset
