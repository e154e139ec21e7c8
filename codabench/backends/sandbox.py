"""Programs in a sandbox without a daemon: bubblewrap, this machine's Python or a root file system that is given."""

from __future__ import annotations

import os
import platform
import secrets
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from codabench.backends import cgroups
from codabench.backends.cargo import make_accessible
from codabench.backends.cleanup import Remover
from codabench.backends.engine import (
    ContainerSpec,
    Deadline,
    Emit,
    EngineInfo,
    Image,
    LogSink,
    StopSignal,
    Usage,
)
from codabench.backends.naming import architecture, same_platform
from codabench.backends.owner import myself
from codabench.backends.probing import try_out
from codabench.backends.process import kill_carriers
from codabench.backends.register import Entry, Register
from codabench.backends.sandbox_facts import Facts, explained, look
from codabench.backends.sandbox_run import Sandbox, SetupError
from codabench.backends.sandbox_view import HOST, NOBODY, View, image_named
from codabench.core.errors import EngineError, ImageNotFound, PolicyError, UsageError
from codabench.core.policy import MIB, Limits, Network, User
from codabench.core.records import Exit, ExitReason


class SandboxEngine:
    """Runs programs in namespaces of their own, made by bubblewrap: no daemon, no images, starts in milliseconds.

    A container sees the system directories of this host read-only, the Python that runs this library, and the
    directories of its run; or, with the image ``rootfs:/path``, a root file system of yours in place of the first two.
    Everything that a bundle calls an image has to be asked for as ``host`` or ``rootfs:/path``: nothing is pulled and
    nothing is taken instead.

    Parameters
    ----------
    paths
        Further directories of this host that programs may read, under their own names.
    host_network
        Whether network ``open`` is granted. It is the network of this host itself, with all that listens on its
        loopback; without this, network ``open`` is refused.
    """

    name = "sandbox"

    def __init__(self, *, paths: Iterable[str | os.PathLike[str]] = (), host_network: bool = False) -> None:
        self.paths = tuple(os.path.abspath(path) for path in paths)
        self.host_network = host_network
        self._owner = myself()
        self._register = Register(self.name)
        self._lock = threading.RLock()
        self._facts: Facts | None = None
        self._places: cgroups.Places | None = None
        self._probed: dict[str, EngineInfo] = {}
        self._containers: set[SandboxContainer] = set()
        self._remover = Remover()
        weakref.finalize(self, _leave, self._containers, self._remover)

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def facts(self) -> Facts:
        """What holds here, found out by making a sandbox.

        Raises
        ------
        EngineUnavailable
            If none can be made; the hint says what to change.
        """
        with self._lock:
            if self._facts is None:
                self._facts, self._places = look()
                try:
                    self._try()
                except SetupError as error:
                    self._facts = None
                    raise explained(error.said) from error
            return self._facts

    def _try(self) -> None:
        """Make one; that ``true`` may not be there is no matter."""
        spec = ContainerSpec(image=image_named(HOST), argv=("true",), limits=Limits(memory=64 * MIB, cpus=1))
        container = SandboxContainer(self, spec, f"codabench-{secrets.token_hex(8)}")
        container.prepare()
        try:
            container.run(_Nowhere(), StopSignal(), Deadline(30))
        finally:
            self._remover.flush()

    def probe(self, image: Image | None = None) -> EngineInfo:
        facts = self.facts
        info = EngineInfo(
            name=self.name,
            version=facts.version,
            rootless=True,  # nobody inside is root, whoever made it
            platform=f"linux/{architecture(platform.machine())}",
            cgroups=None if facts.cgroups is None else str(facts.cgroups),
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            enforced=dict.fromkeys(facts.unenforced, False),
            reasons=dict(facts.unenforced),
        )
        if image is None:
            return info
        with self._lock:
            if image.id not in self._probed:
                enforced, reasons = try_out(self, image, facts.unenforced)
                self._probed[image.id] = info.model_copy(update={"enforced": enforced, "reasons": reasons})
            return self._probed[image.id]

    def file_owner(self, user: User) -> tuple[int, int] | None:
        """As `ContainerEngine.file_owner`: of root's runs 65534, who it is outside, too; else the caller's own."""
        return None if os.geteuid() else (NOBODY, NOBODY)

    # -- images --------------------------------------------------------------------------------------------------

    def images(self) -> list[str]:
        return [HOST]

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
        found = image_named(image)
        if platform is not None and not same_platform(found.platform or "", platform):
            raise ImageNotFound(
                f"{image} is for {found.platform}, and {platform} was asked for",
                hint="the sandbox runs programs for this machine's processor only",
            )
        return found

    # -- containers ----------------------------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> SandboxContainer:
        self._refuse(spec)
        for mount in spec.mounts:
            if not os.path.isdir(mount.source):
                raise EngineError(f"the directory to mount at {mount.target} is not there: {mount.source}")
        container = SandboxContainer(self, spec, spec.name or f"codabench-{secrets.token_hex(8)}")
        container.prepare()
        return container

    def run(self, spec: ContainerSpec, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        return self.create(spec).run(logs, stop, deadline)

    def _refuse(self, spec: ContainerSpec) -> None:
        """A default that cannot be kept is recorded by `probe`; what somebody asked for is refused."""
        if spec.network is Network.PROXY:
            raise PolicyError(
                "the sandbox cannot hold a program to an allow-list of addresses (network: proxy)", hint="network none"
            )
        if spec.network is Network.OPEN and not self.host_network:
            raise PolicyError(
                "network open in the sandbox would be this host's own network, with all that listens on its loopback",
                hint="use docker or podman, or SandboxEngine(host_network=True) if that is meant",
            )
        if spec.gpus is not None:
            raise PolicyError("the sandbox gives no devices, and GPUs were asked for", hint="use docker or podman")
        unenforced, default = self.facts.unenforced, Limits()
        for name in ("memory", "pids", "cpus"):
            if name in unenforced and getattr(spec.limits, name) not in (None, getattr(default, name)):
                raise PolicyError(
                    f"the sandbox cannot enforce the limit on {name} here: {unenforced[name]}",
                    hint=f"leave {name} at its default to run without that limit, or use another engine",
                )

    def forget(self, container: SandboxContainer) -> None:
        """The container is gone: let go of its name and, in the background, of its control groups."""
        with self._lock:
            self._containers.discard(container)
        self._register.remove(container.name)
        if container.group is not None:
            self._remover.put(container.group.remove)

    def reap(self) -> list[str]:
        """As `ContainerEngine.reap`.

        The processes of an owner that died have died with it, but for one that was killed between two instructions.
        """
        gone = []
        for name, entry in self._register.of_the_dead():
            kill_carriers(name)
            cgroups.remove(map(Path, entry.cgroups))
            self._register.remove(name)
            gone.append(name)
        return gone

    def close(self) -> None:
        """As `ContainerEngine.close`; the engine can be used again afterwards."""
        _leave(self._containers, self._remover)

    def __enter__(self) -> SandboxEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SandboxContainer:
    """A container of a `SandboxEngine`: a name, control groups, and what is to be started."""

    def __init__(self, engine: SandboxEngine, spec: ContainerSpec, name: str) -> None:
        self._engine = engine
        self._spec = spec
        self.name = name
        places = engine._places
        self.group = places.group(name, spec.limits) if places else None
        self._used = threading.Lock()
        self._sandbox: Sandbox | None = None

    def prepare(self) -> None:
        """Take the name, so that others see whose it is."""
        engine, directories = self._engine, self.group.directories.values() if self.group else ()
        entry = Entry(owner=engine._owner, cgroups=tuple(map(str, directories)))
        engine._register.add(self.name, entry)
        engine._containers.add(self)

    def run(self, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        """As `Container.run`."""
        if not self._used.acquire(blocking=False):
            raise UsageError("a container runs once, and this one has been run or discarded")
        try:
            if stop.is_set():
                return Exit(reason=ExitReason.CANCELLED)
            self._make_group()
            self._sandbox = self._made()
            return self._sandbox.run(logs, stop, deadline)
        finally:
            self._sandbox = None
            if os.geteuid():
                for mount in self._spec.mounts:
                    if not mount.read_only:
                        make_accessible(mount.source)
            self._engine.forget(self)

    def _make_group(self) -> None:
        if self.group is not None:
            try:
                self.group.make()
            except OSError as error:
                raise EngineError(f"the control groups of the sandbox could not be made: {error}") from error

    def usage(self) -> Usage | None:
        """As `Container.usage`."""
        sandbox = self._sandbox
        return None if sandbox is None else sandbox.usage()

    def _made(self) -> Sandbox:
        engine = self._engine
        return Sandbox(
            engine.facts.program,
            self._spec,
            View(self._spec, engine.paths),
            name=self.name,
            group=self.group,
            own_pids=engine._places is None or "pids" not in engine._places.parents,
            stage_at=None if os.geteuid() else engine._register.directory,
        )

    def discard(self) -> None:
        """Remove it without ever starting it."""
        if self._used.acquire(blocking=False):
            self._engine.forget(self)


class _Nowhere:
    """Keeps nothing."""

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        del stream, data


def _leave(containers: set[SandboxContainer], remover: Remover) -> None:
    for container in list(containers):
        container.discard()
    remover.flush()
