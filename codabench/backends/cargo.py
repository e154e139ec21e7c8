"""Mounts of containers: directories that the daemon sees too, or volumes that trees are copied into and out of.

A daemon on another machine, in a container of its own or with remapped users does not see our directories as we do.
And what a root inside leaves in a directory of an ordinary user, that user can neither read nor remove. In both cases
a volume takes the place of the directory: the daemon packs and unpacks it, so owners and modes are no obstacle.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import stat
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from codabench.backends.driver import Driver, Place
from codabench.backends.engine import Image, Mount
from codabench.core.errors import EngineError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

_DEPTH = 256
"""Deeper trees than this are nobody's honest output; an open file is held for each level."""


@dataclass
class _Volume:
    name: str
    users: int = 0


class Hold:
    """The volumes of one engine that are in use, by the directory that each stands for.

    Containers that run at the same time and mount the same directory share its volume.
    """

    def __init__(self, driver: Driver, labels: dict[str, str]) -> None:
        self.driver = driver
        self.labels = labels
        self.lock = threading.Lock()
        self._volumes: dict[str, _Volume] = {}

    def take(self, source: str) -> tuple[str, bool]:
        """The volume of a directory, and whether it is new and empty. Call with the lock held."""
        new = source not in self._volumes
        if new:
            volume = _Volume(f"codabench-{secrets.token_hex(8)}")
            self.driver.create_volume(volume.name, self.labels)
            self._volumes[source] = volume
        self._volumes[source].users += 1
        return self._volumes[source].name, new

    def give_back(self, source: str) -> str | None:
        """One user less; the name of the volume if that was the last one. Call with the lock held."""
        volume = self._volumes[source]
        volume.users -= 1
        return self._volumes.pop(source).name if not volume.users else None


@dataclass
class Cargo:
    """The mounts of one container that go through volumes.

    Attributes
    ----------
    owner
        (uid, gid) that everything inside belongs to; None: the user of the image is not known, everybody may write.
    """

    hold: Hold
    image: Image
    mounts: tuple[Mount, ...]
    owner: tuple[int, int] | None
    _carrier: str | None = field(default=None, init=False)
    _taken: list[str] = field(default_factory=list, init=False)

    def load(self) -> tuple[Place, ...]:
        """Copy in; the places to mount."""
        hold = self.hold
        with hold.lock:
            volumes = []
            for mount in self.mounts:
                volumes.append(hold.take(mount.source))
                self._taken.append(mount.source)
            places = tuple(Place("volume", name, f"/codabench-{i}") for i, (name, _) in enumerate(volumes))
            self._carrier = hold.driver.create_carrier(self.image, places, hold.labels)
            for mount, place, (_, new) in zip(self.mounts, places, volumes, strict=True):
                if new:
                    # The mounted directory itself needs its owner, too. Docker gives it one only from the root, below
                    # its name; Podman only from within, and from the root nothing of it would reach the volume.
                    into, top = ("/", place.target[1:]) if hold.driver.volumes_below_root else (place.target, ".")
                    with pack(mount.source, top, self.owner) as archive:
                        hold.driver.put(self._carrier, into, archive)
        return tuple(
            Place("volume", name, mount.target, mount.read_only)
            for mount, (name, _) in zip(self.mounts, volumes, strict=True)
        )

    def unload(self) -> None:
        """Copy out what may have been written. Only when the container is gone."""
        for i, mount in enumerate(self.mounts):
            if mount.read_only or self._carrier is None:
                continue
            with self.hold.lock:
                chunks = self.hold.driver.get(self._carrier, f"/codabench-{i}")
                if chunks is None:
                    raise EngineError(f"what the program wrote for {mount.target} is no longer at the engine")
                unpack(chunks, mount.source)

    def release(self) -> None:
        """Remove the carrier, and the volumes that nobody else uses."""
        if self._carrier is not None:
            self.hold.driver.remove(self._carrier)
        with self.hold.lock:
            free = [self.hold.give_back(source) for source in self._taken]
        for name in free:
            if name is not None:
                self.hold.driver.remove_volume(name)


@contextlib.contextmanager
def pack(source: str, name: str, owner: tuple[int, int] | None) -> Iterator[IO[bytes]]:
    """A directory as a tar archive, in a temporary file, under a name."""

    def belongs(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid, info.gid = owner or (0, 0)
        info.uname = info.gname = ""
        if owner is None:
            info.mode |= 0o777 if info.isdir() else 0o666
        return info

    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(source, arcname=name, filter=belongs)
        # Without the zeros that fill the last record: Podman stops reading at the end mark; what is still on its way
        # then breaks its pipe and ends the copy with an error (buildah issue 6573).
        file.truncate(archive.offset)
        file.seek(0)
        yield file


def unpack(chunks: Iterator[bytes], target: str) -> None:
    """Replace the content of a directory by that of a tar archive that a stranger made.

    Directories and regular files only. The directory is emptied first and no link is ever made in it, so no name can
    lead out of it.
    """
    for entry in os.scandir(target):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    with tarfile.open(fileobj=io.BufferedReader(_Chunks(chunks), 1024 * 1024), mode="r|") as archive:
        for member in archive:
            # The first part is the directory itself: Docker says its name, Podman leaves it empty.
            _, *parts = member.name.split("/")
            parts = [p for p in parts if p not in ("", ".")]
            if ".." in parts or not parts:
                continue
            path = os.path.join(target, *parts)
            if member.isdir():
                os.makedirs(path, exist_ok=True)
            elif member.isreg():
                os.makedirs(os.path.dirname(path), exist_ok=True)
                _write(archive, member, path)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    content = archive.extractfile(member)
    if content is None:
        raise EngineError(f"the engine sent an archive without the content of {member.name}")
    mode = 0o755 if member.mode & 0o111 else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with content, open(descriptor, "wb") as file:
        shutil.copyfileobj(content, file, 1024 * 1024)


class _Chunks(io.RawIOBase):
    """An iterator of chunks as a file to read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        view = memoryview(buffer)
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def make_accessible(root: str) -> None:
    """Let the owner of a tree read and remove it, whatever modes a program left; links are not followed.

    Only for trees of our own uid: root needs no permission.
    """
    with contextlib.suppress(PermissionError):  # nobody can put something else where an engine mounts it
        os.chmod(root, stat.S_IMODE(os.stat(root).st_mode) | stat.S_IRWXU)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _open_up(descriptor, _DEPTH)
    finally:
        os.close(descriptor)


def _open_up(directory: int, depth: int) -> None:
    with os.scandir(directory) as entries:
        listed = [(e.name, e.stat(follow_symlinks=False).st_mode) for e in entries]
    for name, mode in listed:
        is_directory = stat.S_ISDIR(mode)
        if not (is_directory or stat.S_ISREG(mode)):
            continue
        wanted = stat.S_IRWXU if is_directory else stat.S_IRUSR
        with contextlib.suppress(PermissionError, FileNotFoundError):  # somebody else's: nothing we could do
            if mode & wanted != wanted:
                _chmod_beneath(name, stat.S_IMODE(mode) | wanted, directory)
            if is_directory and depth:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
                try:
                    _open_up(inner, depth - 1)
                finally:
                    os.close(inner)


def _chmod_beneath(name: str, mode: int, directory: int) -> None:
    """chmod without following a link, also where the file cannot be opened."""
    if not hasattr(os, "O_PATH"):
        os.chmod(name, mode, dir_fd=directory, follow_symlinks=False)
        return
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)
