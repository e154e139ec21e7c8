"""The second seam: where work runs.

A backend carries *work*: the name of a registered function and a JSON payload. Nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from codabench.backends.engine import ContainerEngine, Emit, StopSignal
from codabench.core.base import Record
from codabench.core.policy import UNBOUNDED, Policy


class Work(Record):
    """What to do: ``package.module:function`` and its JSON payload.

    The function is called as ``function(payload, host)`` with a `WorkHost` and returns a JSON object.
    """

    function: str
    payload: dict[str, Any]


class Needs(Record):
    """What work needs of the place where it runs."""

    slots: int = 1
    cpus: float | None = None
    memory: int | None = None
    gpus: str | None = None


class HandleStatus(StrEnum):
    """Where work stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"


@dataclass
class WorkHost:
    """What a place gives to the work that runs there.

    Attributes
    ----------
    engine
        The container engine of this host.
    scratch
        A directory of this host for run directories and caches; shared by all work on it.
    emit
        Takes live events; they may be lost.
    stop
        Set when the work is cancelled.
    ceiling
        What this place grants at most.
    local_data
        Directories of this host that programs may be given by name.
    cache
        Where stored files are kept on this host; None: where the work itself says.
    name
        What a worker of a cluster is called; empty: this host is that of who submitted the work.
    cache_bytes
        Bytes that they may have there; None: as many as storage allows by itself.
    """

    engine: ContainerEngine
    scratch: Path
    emit: Emit
    stop: StopSignal = field(default_factory=StopSignal)
    ceiling: Policy = UNBOUNDED
    local_data: Mapping[str, Path] = field(default_factory=dict)
    cache: Path | None = None
    name: str = ""
    cache_bytes: int | None = None


class Handle(Protocol):
    """Work that was submitted."""

    key: str

    def status(self) -> HandleStatus: ...

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """What the function returned; raises what it raised.

        Raises
        ------
        TimeoutError
            If it is not done in time.
        Interrupted
            If it was cancelled before it began.
        """

    def events(self) -> Iterator[dict[str, Any]]:
        """Live events from the first one kept to the end of the work; may have gaps."""

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask for an end: what waits is dropped, what runs has its containers killed."""


class WorkerInfo(Record):
    """A worker of a cluster.

    Attributes
    ----------
    name
        What it is called: its address, unless its operator named it.
    slots, gpus
        Runs at the same time, and how many of them with a GPU.
    engine
        What carries them out there; empty: it has not said.
    version
        Of this library.
    """

    name: str
    address: str
    slots: int
    gpus: int = 0
    engine: str = ""
    version: str = ""


class BackendInfo(Record):
    """What a backend says of itself.

    Attributes
    ----------
    workers
        Of a cluster, where it was asked for them.
    dashboard
        A page on which a cluster shows itself, if it really is there.
    """

    name: str
    slots: int
    engine: str
    details: dict[str, Any] = {}
    workers: tuple[WorkerInfo, ...] = ()
    dashboard: str | None = None


class Backend(Protocol):
    """Where work runs. Thread-safe."""

    def submit(
        self,
        work: Work,
        *,
        key: str,
        needs: Needs | None = None,
        on_event: Emit | None = None,
        on_done: Callable[[Handle], None] | None = None,
    ) -> Handle:
        """Take work. `key` names it and is unique among what is in flight; a second submit of it is refused.

        `on_event` gets live events and `on_done` the handle, both from a thread of the backend.
        """

    def info(self) -> BackendInfo: ...

    def close(self) -> None:
        """Cancel what runs, wait until it is gone, let go of engines and connections."""
