"""What an engine's API can do, as far as the shared parts need it: one method, one call.

`DockerEngine` and `PodmanEngine` differ in their drivers; how a container is run, watched, killed, copied to and
removed is written once, above this protocol.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal, Protocol

from codabench.backends.credentials import Credentials
from codabench.backends.engine import ContainerSpec, Image, Usage


@dataclass(frozen=True)
class Place:
    """A mount as the daemon takes it: a directory that it sees too, or a volume of its own."""

    kind: Literal["bind", "volume"]
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Order:
    """Everything that decides how a container is made.

    Attributes
    ----------
    user
        ``uid:gid``; None: as the image says.
    hosts
        A file to mount as ``/etc/hosts``, so that ``localhost`` has an address where the engine writes none.
    """

    spec: ContainerSpec
    places: tuple[Place, ...]
    labels: dict[str, str]
    user: str | None = None
    hosts: str | None = None


@dataclass(frozen=True)
class State:
    """What the engine says of a container."""

    running: bool
    out_of_memory: bool = False


@dataclass(frozen=True)
class Facts:
    """What an engine says of itself.

    Attributes
    ----------
    remapped
        The daemon maps users of containers to others of the host: our directories are not theirs.
    unenforced
        Limits that it is known to ignore, with the reason.
    gpus
        Names of the devices it offers.
    memory
        Bytes that the engine's host has.
    cdi
        These names are those of the Container Device Interface.
    runtime
        Name and version of what it starts containers with; empty where it does not say.
    """

    version: str
    api: str
    platform: str
    rootless: bool = False
    remapped: bool = False
    cgroups: str | None = None
    unenforced: dict[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()
    cdi: bool = False
    memory: int | None = None
    runtime: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Owned:
    """Something at the engine that carries an owner label."""

    id: str
    name: str
    owner: str


class NotStartedError(Exception):
    """The engine could not execute the program: it is not there (127) or not executable (126)."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Driver(Protocol):
    """One engine's API. Every call ends within the client's timeout, except `wait` and what is read from `attach`.

    All raise `EngineError` for a failure of the engine, `EngineTimeout` where it does not answer in time.
    """

    volumes_below_root: bool
    """Whether what is unpacked at the root of a carrier lands in the volumes that are mounted below it."""

    def facts(self) -> Facts: ...

    def images(self) -> list[str]: ...

    def inspect_image(self, name: str) -> dict[str, Any] | None:
        """What the engine knows of an image that is here."""

    def image_ids(self) -> set[str]:
        """Ids of all images that are here, with ``sha256:``."""

    def pull(
        self, name: str, platform: str | None, credentials: Credentials | None
    ) -> Generator[dict[str, Any], None, None]:
        """Fetch an image: events as Docker's API writes them, one with ``error`` where it fails. Closing ends it."""

    def room(self) -> int | None:
        """Bytes that are free where it keeps images; None: that cannot be known from here."""

    def containers_of(self, image: str) -> list[str]:
        """Names of the containers that were made of an image, running or not."""

    def remove_image(self, image: str) -> str | None:
        """Remove an image that nothing uses; else why it stays. One that is gone is fine."""

    def inherits_label(self, container: str, value: str) -> bool:
        """Whether a container has its owner label from its image: then it is none of ours."""

    def create(self, order: Order) -> str: ...

    def attach(self, container: str) -> Any:
        """The raw socket of its output; call before `start`."""

    def start(self, container: str) -> None:
        """Start it; raises `NotStartedError` if the program is to blame."""

    def wait(self, container: str) -> int:
        """Block until it has ended; its exit code."""

    def kill(self, container: str) -> None:
        """SIGKILL to all its processes; one that is gone is fine."""

    def state(self, container: str) -> State: ...

    def usage(self, container: str) -> Usage | None:
        """What it uses now; None if it does not run, or the engine does not count."""

    def remove(self, container: str) -> None:
        """Kill it, remove it and its anonymous volumes; one that is gone is fine."""

    def containers(self) -> list[Owned]: ...

    def create_volume(self, name: str, labels: dict[str, str]) -> None: ...

    def remove_volume(self, name: str) -> None: ...

    def volumes(self) -> list[Owned]: ...

    def create_carrier(self, image: Image, places: tuple[Place, ...], labels: dict[str, str]) -> str:
        """A container that is never started, to copy into and out of its mounts."""

    def put(self, container: str, path: str, archive: IO[bytes]) -> None:
        """Unpack a tar archive into a directory of a container; owners are kept."""

    def get(self, container: str, path: str) -> Iterator[bytes] | None:
        """The tar archive of a path in a container; None if it is not there."""

    def close(self) -> None: ...
