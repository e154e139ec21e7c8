"""What a host keeps of a storage: archives of remote ones, and extracted trees that all its runs share.

::

    archives/<sha256>           an archive, hashed each time it is used
    trees/<digest>              an extracted tree that nobody can write to, or `mounted`, with ordinary modes
    .../.<name>.json            the size of a tree, and a digest of the stat of all that is in it, compared at each use
    .../.<name>.used, .made     locks: who uses it, together; who makes or removes it, alone

Any number of processes share it. What one was killed over has no name yet; the next who makes it begins anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from codabench.core.errors import ArchiveError, StorageError
from codabench.core.trees import tree_digest
from codabench.storage.archive import manifest
from codabench.storage.directory import DirectorySource
from codabench.storage.extract import DISK_IS_FULL, full_disk, remove_tree
from codabench.storage.locks import FileLock
from codabench.storage.objects import CHUNK
from codabench.storage.ranges import LocalFile

CAP = 50 << 30
"""Bytes that a cache may have if nobody says how many."""
ARCHIVES, TREES, MOUNTED = "archives", "trees", "mounted"


class Held:
    """A tree in the cache, which stays as it is until it is released."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path, self._lock = path, lock

    def release(self) -> None:
        """Say that it is not used any more."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


class Kept(NamedTuple):
    """Something in the cache: its folder, its name, its bytes, and when it was last used."""

    kind: str
    name: str
    size: int
    used: float


class Cache:
    """Archives and trees on this host.

    Parameters
    ----------
    root
        Its directory, private to who runs this.
    cap
        Bytes that it may have. What was not used for longest goes first, nothing goes that is used; one tree larger
        than that is kept while it is used.

    Raises
    ------
    StorageError
        ``CB703`` it cannot be written to, ``CB707`` the disk is full.
    """

    def __init__(self, root: Path, cap: int = CAP) -> None:
        self.root, self.cap = root, cap
        self._trimming = threading.Lock()

    # ------------------------------------------------------------------ archives
    def archive(self, sha256: str, fetch: Callable[[Path], None]) -> LocalFile:
        """An archive, open; its bytes were hashed just now.

        Parameters
        ----------
        fetch
            Writes it to a file that is not there, and raises if it cannot, or has another digest.
        """
        with full_disk(self.root):
            place = self._place(ARCHIVES, sha256)
            with FileLock(_beside(place, "made")):
                found = _sound(place, sha256)
                if missing := found is None:
                    partial = _beside(place, "partial")
                    partial.unlink(missing_ok=True)
                    try:
                        fetch(partial)
                        partial.replace(place)
                    finally:
                        partial.unlink(missing_ok=True)
                    found = LocalFile(place)
        if missing:
            self.trim()
        return found

    # ------------------------------------------------------------------ trees
    def tree(self, digest: str, extract: Callable[[Path], None], *, mounted: bool = False) -> Held:
        """An extracted tree, made if it is not there or was changed.

        Parameters
        ----------
        extract
            Writes it into an empty directory.
        mounted
            Its files have ordinary modes.
        """
        with full_disk(self.root), contextlib.ExitStack() as stack:
            place = self._place(MOUNTED if mounted else TREES, digest.replace(":", "-"))
            lock = FileLock(_beside(place, "used"))
            lock.acquire(shared=True)
            stack.callback(lock.release)
            if not _unchanged(place):
                with FileLock(_beside(place, "made")):
                    if not _unchanged(place):
                        self._make(place, extract)
                self.trim()
            stack.pop_all()
        return Held(place, lock)

    def _make(self, place: Path, extract: Callable[[Path], None]) -> None:
        """Make a tree, by who alone may."""
        partial, known = _beside(place, "partial"), _beside(place, "json")
        try:
            remove_tree(partial)  # of a process that was killed
            with contextlib.suppress(FileNotFoundError):
                # Runs that have it mounted keep what they have.
                place.rename(_beside(place, f"bad-{uuid.uuid4().hex[:8]}"))
            partial.mkdir(mode=0o700)
            extract(partial)
            # Programs that read it run as somebody else; the directories above keep other people out.
            partial.chmod(0o755)
            size, seen = _seen(partial)
            known.write_text(json.dumps({"size": size, "seen": seen}))
            # Renamed when complete: another process finds all of it or nothing.
            partial.rename(place)
        except OSError as error:
            if isinstance(error, StorageError) or error.errno in DISK_IS_FULL:
                raise
            hint = "is the cache directory writable?"
            raise StorageError(f"{place} could not be made: {error}", code="CB703", hint=hint) from error
        finally:
            remove_tree(partial)

    def _place(self, kind: str, name: str) -> Path:
        try:
            (self.root / kind).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in DISK_IS_FULL:
                raise
            hint = "is the cache directory writable?"
            raise StorageError(f"{self.root} cannot be made: {error}", code="CB703", hint=hint) from error
        return self.root / kind / name

    # ------------------------------------------------------------------ what goes
    def kept(self) -> Iterator[Kept]:
        """Everything that is there, also what is left of something that was never finished."""
        for kind in (ARCHIVES, TREES, MOUNTED):
            folder = self.root / kind
            names = {_name_of(item) for item in os.listdir(folder)} if folder.is_dir() else set()
            for place in (folder / name for name in sorted(names)):
                lock = _beside(place, "made" if kind == ARCHIVES else "used")
                yield Kept(kind, place.name, _size(place), _time(lock, place))

    def trim(self) -> list[Kept]:
        """Remove what was not used for longest until the rest is within the cap; what went."""
        gone: list[Kept] = []
        if not self._trimming.acquire(blocking=False):
            return gone
        try:
            found = sorted(self.kept(), key=lambda kept: kept.used)
            over = sum(kept.size for kept in found) - self.cap
            for kept in found:
                if over <= 0:
                    break
                if self.remove(kept):
                    over -= kept.size
                    gone.append(kept)
        finally:
            self._trimming.release()
        return gone

    def remove(self, kept: Kept) -> bool:
        """Remove something; False if it is used."""
        place = self.root / kept.kind / kept.name
        made, used = FileLock(_beside(place, "made")), FileLock(_beside(place, "used"))
        try:
            if not made.acquire(wait=False):
                return False
            if kept.kind != ARCHIVES and not used.acquire(wait=False):
                return False
            with contextlib.suppress(FileNotFoundError):
                # Whoever is killed from here on leaves nothing that looks like a tree.
                place.rename(_beside(place, f"gone-{uuid.uuid4().hex[:8]}"))
            for left in place.parent.glob(f".{place.name}.*"):
                remove_tree(left) if left.is_dir() else left.unlink(missing_ok=True)
            return True
        finally:
            made.release()
            used.release()

    def changed(self) -> Iterator[Kept]:
        """What is not what its name says, every byte of it read."""
        for kept in self.kept():
            place = self.root / kept.kind / kept.name
            if not place.exists():
                continue
            if kept.kind == ARCHIVES:
                if (found := _sound(place, kept.name)) is None:
                    yield kept
                else:
                    found.close()
            elif not _unchanged(place) or not _is_tree(place, kept.name.replace("-", ":", 1)):
                yield kept


# ---------------------------------------------------------------------- what things are
def _beside(place: Path, what: str) -> Path:
    return place.with_name(f".{place.name}.{what}")


def _name_of(item: str) -> str:
    """Whose a file in the cache is."""
    return item[1:].rpartition(".")[0] if item.startswith(".") else item


def _size(place: Path) -> int:
    try:
        return int(str(_known(place).get("size", 0))) if place.is_dir() else place.stat().st_size
    except (FileNotFoundError, ValueError):
        return 0


def _time(*places: Path) -> float:
    """The last change of the first that is there."""
    for place in places:
        with contextlib.suppress(FileNotFoundError):
            return place.stat().st_mtime
    return 0.0


def _sound(place: Path, sha256: str) -> LocalFile | None:
    """An archive, open, if it has its digest."""
    try:
        file = LocalFile(place)
    except FileNotFoundError:
        return None
    if digest_of(file) == sha256:
        return file
    file.close()
    return None


def digest_of(file: LocalFile) -> str:
    """The sha256 of an open file."""
    digest, at = hashlib.sha256(), 0
    while data := file.pread(CHUNK, at):
        digest.update(data)
        at += len(data)
    return digest.hexdigest()


def _known(place: Path) -> dict[str, object]:
    try:
        found = json.loads(_beside(place, "json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _unchanged(place: Path) -> bool:
    """Whether a tree is there and looks as it did when it was made."""
    known = _known(place)
    return place.is_dir() and bool(known) and known.get("seen") == _seen(place)[1]


def _seen(place: Path) -> tuple[int, str]:
    """The bytes of a tree, and a digest of names, sizes, modes, times of change and inodes of all that is in it."""
    digest, total = hashlib.sha256(), 0
    folders = [(os.fspath(place), "")]
    while folders:
        folder, inside = folders.pop()
        with os.scandir(folder) as listed:
            for item in sorted(listed, key=lambda item: item.name):
                status, name = item.stat(follow_symlinks=False), f"{inside}/{item.name}"
                # A folder has a time of change as well: whatever comes, goes or gets another name changes it.
                facts = (name, status.st_size, status.st_mode, status.st_mtime_ns, status.st_ino)
                digest.update(repr(facts).encode())
                if stat.S_ISDIR(status.st_mode):
                    folders.append((item.path, name))
                else:
                    total += status.st_size
    return total, digest.hexdigest()


def _is_tree(place: Path, digest: str) -> bool:
    try:
        with DirectorySource(place) as source:
            return tree_digest(manifest(source)) == digest
    except (ArchiveError, OSError):
        return False
