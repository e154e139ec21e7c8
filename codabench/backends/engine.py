"""The first seam: run containers on this host.

`ContainerEngine` is what a third party implements; `codabench.testing.EngineContract` is the suite that every engine
runs. An engine returns for anything the *program* did and raises for anything the *engine* failed to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

from codabench.core.base import Record
from codabench.core.policy import Limits, Network, User
from codabench.core.records import Exit

LABEL = "codabench.owner"
"""Every container carries this label; its value says who made it, so that only leftovers of dead owners are reaped."""


class Mount(Record):
    """A directory of this host inside a container.

    Attributes
    ----------
    source
        Absolute path on this host; must exist. Where the daemon does not see our files, its content is copied in before
        the start and, unless `read_only`, out again after the end.
    target
        Absolute path inside.
    live
        Something in it is used by both sides while the program runs: a copy would be of no use.
    """

    source: str
    target: str
    read_only: bool = False
    live: bool = False


class Image(Record):
    """An image as resolved once for a run.

    Attributes
    ----------
    name
        As asked for.
    id
        What the engine runs, immutable (``sha256:...``).
    digest
        Repository digest, if the image has one; an image that was built or imported has none.
    platform
        ``linux/amd64``.
    """

    name: str
    id: str
    digest: str | None = None
    platform: str | None = None
    size: int | None = None


class ContainerSpec(Record):
    """One program in one container.

    Attributes
    ----------
    argv
        Words of the command; no shell in between. The image's ENTRYPOINT is kept.
    env
        The whole environment that we give; nothing of ours leaks in.
    labels
        Merged with the owner label.
    """

    image: Image
    argv: tuple[str, ...]
    name: str | None = None
    mounts: tuple[Mount, ...] = ()
    workdir: str = "/"
    env: dict[str, str] = {}
    network: Network = Network.NONE
    user: User = User.NOBODY
    read_only_root: bool = True
    no_new_privileges: bool = True
    limits: Limits = Limits()
    gpus: str | None = None
    labels: dict[str, str] = {}


class EngineInfo(Record):
    """What `probe` found out by trying.

    Attributes
    ----------
    isolation
        ``none``, ``container``.
    enforced
        Name of a property -> whether it holds, seen from inside: ``network_none``, ``memory``, ``pids``, ``cpus``,
        ``read_only_root``, ``no_new_privileges``, ``user``, ``memory_report`` (the engine tells when a child of the
        program was killed for its memory); an engine may add names of its own.
    reasons
        Why a property does not hold.
        Without an image: what the engine says of itself, as far as it says that something does not hold.
    memory
        Bytes that the engine's host has.
    warnings
        What is known against this version, for who looks after the machine.
    sees_files
        Whether the daemon mounts our directories; otherwise trees are copied through volumes.
    """

    name: str
    version: str
    api: str | None = None
    isolation: Literal["none", "container"] = "container"
    rootless: bool = False
    platform: str = ""
    cgroups: str | None = None
    sees_files: bool = True
    selinux: bool = False
    gpus: tuple[str, ...] = ()
    memory: int | None = None
    enforced: dict[str, bool] = {}
    reasons: dict[str, str] = {}
    warnings: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """For people: ``podman 5.4.2 rootless``."""
        return f"{self.name} {self.version}{' rootless' if self.rootless else ''}"


class LogSink(Protocol):
    """Takes the output of a program as it comes. Called from one thread per container."""

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None: ...


class StopSignal:
    """Asks for an end. Set once, from any thread; callbacks run in the setter's thread, or at once if already set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self.reason: str | None = None

    def set(self, reason: str = "cancelled") -> None:
        with self._lock:
            if self._event.is_set():
                return
            self.reason = reason
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return self._event.wait(timeout)

    def on_set(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the signal is set; returns a function that forgets it."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


class Deadline:
    """A wall-clock limit shared by the containers of a step: armed when the first of them has started."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._end: float | None = None

    def arm(self) -> None:
        """Start the clock; later calls change nothing."""
        with self._lock:
            if self._end is None and self.seconds is not None:
                self._end = time.monotonic() + self.seconds

    def remaining(self) -> float | None:
        """Seconds left, at least 0; None: no limit, or not armed."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


Emit = Callable[[dict[str, Any]], None]
"""Takes live events (``{"type": "pull", ...}``). They may be lost and never change a status."""


class Usage(Record):
    """What a program uses.

    Attributes
    ----------
    cpu_seconds
        Since its start, of all its processes.
    memory
        Bytes now.
    """

    cpu_seconds: float
    memory: int


class Container(Protocol):
    """A container that was created and not yet started."""

    def run(self, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        """Start it, drain its output, wait for its end, and return when it is verified gone.

        At the deadline, or when `stop` is set, every process in it is killed. The output up to then has been written to
        `logs` when this returns. What it wrote into its writable mounts is then in their sources, readable and
        removable by this process. Its removal may go on in the background.

        Raises
        ------
        EngineError
            If the engine fails; the container is removed or left to `reap`.
        """

    def usage(self) -> Usage | None:
        """What it uses while it runs; None if it does not run, or the engine cannot tell. Called from another thread.

        Raises
        ------
        EngineError
            If the engine does not answer.
        """

    def discard(self) -> None:
        """Remove it without ever starting it."""


@runtime_checkable
class ContainerEngine(Protocol):
    """Runs containers on this host. Thread-safe."""

    name: str

    def probe(self, image: Image | None = None) -> EngineInfo:
        """Find out by trying what this engine is and what really holds, seen from inside a container of `image`.

        Without an image only what the engine says of itself. Cached for each image.

        Raises
        ------
        EngineUnavailable
            If it does not answer.
        """

    def images(self) -> list[str]:
        """Names of the images that are here."""

    def resolve(
        self,
        image: str,
        *,
        pull: Literal["missing", "always", "never"] = "missing",
        platform: str | None = None,
        emit: Emit | None = None,
        timeout: float | None = None,
        stop: StopSignal | None = None,
    ) -> Image:
        """The image of that name, pulled if it is not here and `pull` allows. With ``missing``, an image that is here
        needs no network.

        Parameters
        ----------
        timeout
            Seconds; None: what the engine allows.
        stop
            Ends a pull at once.

        Raises
        ------
        ImageNotFound
            If it is neither here nor to be had; the message quotes the registry.
        RegistryError
            If its registry is away, fails, refuses us or lies.
        EngineTimeout
            If it takes too long.
        Interrupted
            If `stop` was set.
        """

    def file_owner(self, user: User) -> tuple[int, int] | None:
        """(uid, gid) that the writable directories of a run need, or None where the caller's own are right."""

    def create(self, spec: ContainerSpec) -> Container:
        """A container, ready to start. Directories to mount must exist; their content may still change.

        Raises
        ------
        PolicyError
            If the engine cannot do what `spec` demands.
        """

    def run(self, spec: ContainerSpec, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        """`create` and `Container.run` in one."""

    def reap(self) -> list[str]:
        """Remove the leftovers of provably dead owners; returns their names."""

    def close(self) -> None:
        """Finish what goes on in the background and let go of the connection."""
