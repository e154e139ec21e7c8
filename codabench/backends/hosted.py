"""What every engine with a daemon does alike: containers, mounts, clean-up, images. The API is behind a driver."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Collection
from typing import Any, Literal

from codabench.backends.cargo import Cargo, Hold, make_accessible
from codabench.backends.cleanup import Remover
from codabench.backends.credentials import RegistryAuth
from codabench.backends.driver import Driver, Facts, Order, Owned, Place
from codabench.backends.engine import (
    LABEL,
    ContainerSpec,
    Deadline,
    Emit,
    EngineInfo,
    Image,
    LogSink,
    Mount,
    StopSignal,
    Usage,
)
from codabench.backends.execution import execute
from codabench.backends.floors import outdated
from codabench.backends.gpus import refuse_blind
from codabench.backends.naming import same_platform
from codabench.backends.owner import Owner, myself
from codabench.backends.probing import try_out
from codabench.backends.pulled import Pruned
from codabench.backends.pulling import LIMIT
from codabench.backends.resolving import Resolver
from codabench.backends.selinux import selinux_enforcing
from codabench.backends.visibility import Visibility
from codabench.core.errors import EngineError, PolicyError, UsageError
from codabench.core.policy import Limits, Network, User
from codabench.core.records import Exit, ExitReason

NOBODY = 65534


class HostedEngine:
    """An engine that is reached through a socket. Nothing is connected before the first call."""

    name = "hosted"

    def __init__(
        self,
        url: str,
        registry_auth: RegistryAuth | None = None,
        insecure_registries: Collection[str] = (),
        pull_timeout: float = LIMIT,
    ) -> None:
        self.url = url
        self._resolver = Resolver(self.name, url, auth=registry_auth, insecure=insecure_registries, limit=pull_timeout)
        self._owner = myself()
        self._labels = {LABEL: self._owner.label()}
        self._lock = threading.RLock()
        self._driver: Driver | None = None
        self._facts: Facts | None = None
        self._hold: Hold | None = None
        self._visibility: Visibility | None = None
        self._probed: dict[str, EngineInfo] = {}
        self._gpus_tried: frozenset[tuple[str, str]] = frozenset()
        self._containers: set[HostedContainer] = set()
        self._remover = Remover()
        weakref.finalize(self, _leave, self._containers, self._remover)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    # -- what it is ----------------------------------------------------------------------------------------------

    def _connect(self) -> Driver:
        raise NotImplementedError

    @property
    def driver(self) -> Driver:
        """The connection; made at the first use."""
        with self._lock:
            if self._driver is None:
                self._driver = self._connect()
            return self._driver

    @property
    def facts(self) -> Facts:
        """What the engine says of itself, asked once."""
        with self._lock:
            if self._facts is None:
                self._facts = self.driver.facts()
            return self._facts

    @property
    def visibility(self) -> Visibility:
        """Whether the daemon sees our directories, tried once for each part of the file system."""
        with self._lock:
            if self._visibility is None:
                self._visibility = Visibility(self.driver, self._labels, blind=self.facts.remapped)
            return self._visibility

    def probe(self, image: Image | None = None) -> EngineInfo:
        facts = self.facts
        info = EngineInfo(
            name=self.name,
            version=facts.version,
            api=facts.api,
            rootless=facts.rootless,
            platform=facts.platform,
            cgroups=facts.cgroups,
            selinux=selinux_enforcing(),
            gpus=facts.gpus,
            memory=facts.memory,
            enforced=dict.fromkeys(facts.unenforced, False),
            reasons=dict(facts.unenforced),
            warnings=(known,) if (known := outdated(*facts.runtime)) else (),
        )
        if image is None:
            return info
        if image.id not in self._probed:
            enforced, reasons = try_out(self, image, facts.unenforced)
            self._probed[image.id] = info.model_copy(
                update={
                    "sees_files": self.visibility.sees_temporary(image),
                    "enforced": enforced,
                    "reasons": reasons,
                }
            )
        return self._probed[image.id]

    def file_owner(self, user: User) -> tuple[int, int] | None:
        """As `ContainerEngine.file_owner`: 65534 where the library runs as root, else the caller's own are right."""
        as_root = user is User.NOBODY and os.geteuid() == 0 and not self.facts.rootless
        return (NOBODY, NOBODY) if as_root else None

    def user_of(self, user: User) -> tuple[int, int] | None:
        """Who runs inside; None: as the image says."""
        if user is User.IMAGE:
            return None
        if self.facts.rootless:
            # Uid 0 of a rootless engine *is* the caller, without any capability; its files are the caller's. Any other
            # uid is a stranger from the caller's subordinate range, whose files the caller could not remove.
            return 0, 0
        return (os.getuid(), os.getgid()) if os.geteuid() else (NOBODY, NOBODY)

    # -- images --------------------------------------------------------------------------------------------------

    def images(self) -> list[str]:
        return self.driver.images()

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
        return self._resolver.resolve(
            self.driver, image, pull, platform=platform, emit=emit, timeout=timeout, stop=stop
        )

    def prune_images(self, older_than: float = 3600.0, *, dry_run: bool = False) -> list[Pruned]:
        """Remove images that runs of this user have pulled, and that nothing uses any more.

        An image that was here before, was pulled by hand, has another name or a container stays.

        Parameters
        ----------
        older_than
            Seconds since the last use. A run that has just found its image has no container yet: mind that with less
            than a minute.
        dry_run
            Only say what would be removed.
        """
        return self._resolver.pulled.prune(self.driver, older_than, dry_run=dry_run)

    def trim_images(
        self, cap: int, *, busy: Callable[[], Collection[str]] = tuple, older_than: float = 60.0
    ) -> list[Pruned]:
        """Keep what runs of this user have pulled within a bound: what was not used for longest goes first.

        What `prune_images` would keep stays, whatever it takes.

        Parameters
        ----------
        cap
            Bytes; layers that several images share are counted for each of them.
        busy
            Says which names runs use now, that may have no container yet.
        older_than
            Seconds since the last use: for runs of other processes, whose names nobody knows here.
        """
        return self._resolver.pulled.trim(self.driver, cap, busy=busy, older_than=older_than)

    # -- containers ----------------------------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> HostedContainer:
        self._refuse_unenforceable(spec)
        if spec.gpus:
            self._refuse_blind(spec.image, spec.gpus)
        for mount in spec.mounts:
            if not os.path.isdir(mount.source):
                raise EngineError(f"the directory to mount at {mount.target} is not there: {mount.source}")
        container = HostedContainer(self, spec, self._cargo(spec))
        with self._lock:
            self._containers.add(container)
        try:
            container.prepare()
        except BaseException:
            container.discard()
            raise
        return container

    def run(self, spec: ContainerSpec, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        return self.create(spec).run(logs, stop, deadline)

    def _refuse_unenforceable(self, spec: ContainerSpec) -> None:
        """A default limit that this engine ignores is recorded by `probe`; one that somebody asked for is refused."""
        if spec.network is Network.PROXY:
            raise PolicyError(
                f"{self.name} itself cannot hold a program to an allow-list of addresses (network: proxy)",
                hint="a run with that policy has network none and a proxy of its own; or use network open",
            )
        unenforced, default = self.facts.unenforced, Limits()
        for name in ("memory", "pids", "cpus"):
            if name in unenforced and getattr(spec.limits, name) not in (None, getattr(default, name)):
                raise PolicyError(
                    f"{self.name} cannot enforce the limit on {name} here: {unenforced[name]}",
                    hint=f"leave {name} at its default to run without that limit, or use another engine",
                )

    def _refuse_blind(self, image: Image, gpus: str) -> None:
        """Tried once for each image: a program would only say that it found no GPU."""
        with self._lock:
            tried, self._gpus_tried = (image.id, gpus) in self._gpus_tried, self._gpus_tried | {(image.id, gpus)}
        if not tried:
            try:
                refuse_blind(self, image, gpus)
            except BaseException:
                with self._lock:
                    self._gpus_tried -= {(image.id, gpus)}
                raise

    def _cargo(self, spec: ContainerSpec) -> Cargo | None:
        """The mounts that must go through volumes."""
        if not spec.mounts:
            return None
        through = tuple(m for m in spec.mounts if self._needs_volume(spec, m))
        if any(mount.live for mount in through):
            raise PolicyError(
                f"{self.name} does not see our files, so that there is no way for a proxy (network: proxy)",
                hint="network none, or network open; or an engine on this machine",
            )
        with self._lock:
            if self._hold is None:
                self._hold = Hold(self.driver, self._labels)
        return Cargo(self._hold, spec.image, through, self.user_of(spec.user)) if through else None

    def _needs_volume(self, spec: ContainerSpec, mount: Mount) -> bool:
        if not self.visibility.sees(mount.source, spec.image):
            return True
        return spec.user is User.IMAGE and not mount.read_only and not self._image_user_is_ours(spec.image)

    def _image_user_is_ours(self, image: Image) -> bool:
        """Whether what the image's own user writes can be read and removed by us."""
        if os.geteuid() and not self.facts.rootless:
            return False
        found = self.driver.inspect_image(image.id) or {}
        user = str((found.get("Config") or {}).get("User") or "0").partition(":")[0]
        return user in ("0", "root")

    def _order(self, spec: ContainerSpec, places: tuple[Place, ...]) -> Order:
        user = self.user_of(spec.user)
        return Order(
            spec=spec,
            places=places,
            labels={**spec.labels, **self._labels},
            user=None if user is None else f"{user[0]}:{user[1]}",
            hosts=self._hosts(spec),
        )

    def _hosts(self, spec: ContainerSpec) -> str | None:
        """A file for ``/etc/hosts`` of a container without network.

        Docker, asked for no network at all, starts in half the time and then writes no such file, so that ``localhost``
        would have no address; Podman copies the host's own names into it.
        """
        return self.visibility.hosts_file(spec.image) if spec.network is Network.NONE else None

    def reap(self) -> list[str]:
        """As `ContainerEngine.reap`."""
        gone = []
        for item in filter(_is_left, self.driver.containers()):
            # An image may carry such a label, too: its containers are somebody's, and our own label covers it.
            if not self.driver.inherits_label(item.id, item.owner):
                self.driver.remove(item.id)
                gone.append(item.name)
        for item in filter(_is_left, self.driver.volumes()):
            self.driver.remove_volume(item.id)
            gone.append(item.name)
        return gone

    def forget(self, container: HostedContainer, jobs: list[Any]) -> None:
        """Do the last things for a container in the background."""
        with self._lock:
            self._containers.discard(container)
        for job in jobs:
            self._remover.put(job)

    def close(self) -> None:
        """As `ContainerEngine.close`; the engine can be used again afterwards."""
        _leave(self._containers, self._remover)
        with self._lock:
            driver, self._driver = self._driver, None
            visibility, self._visibility = self._visibility, None
            self._hold = self._facts = None
        if visibility is not None:
            visibility.close()
        if driver is not None:
            driver.close()

    def __enter__(self) -> HostedEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HostedContainer:
    """A container of a `HostedEngine`: created, run once, removed in the background."""

    def __init__(self, engine: HostedEngine, spec: ContainerSpec, cargo: Cargo | None) -> None:
        self._engine = engine
        self._driver = engine.driver
        self._spec = spec
        self._cargo = cargo
        self._id: str | None = None
        self._used = threading.Lock()

    def prepare(self) -> None:
        """Create it now, unless trees have to be copied: their content may still change until it is started."""
        if self._cargo is None:
            self._create(())

    def _create(self, loaded: tuple[Place, ...]) -> str:
        targets = {p.target for p in loaded}
        binds = (Place("bind", m.source, m.target, m.read_only) for m in self._spec.mounts if m.target not in targets)
        self._id = self._driver.create(self._engine._order(self._spec, (*binds, *loaded)))
        return self._id

    def run(self, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        """As `Container.run`."""
        if not self._used.acquire(blocking=False):
            raise UsageError("a container runs once, and this one has been run or discarded")
        try:
            if stop.is_set():
                return Exit(reason=ExitReason.CANCELLED)
            container = self._id or self._create(self._cargo.load() if self._cargo else ())
            end = self._explained(execute(self._driver, container, logs, stop, deadline))
            self._bring_back()
            return end
        finally:
            self._remove()

    def _explained(self, end: Exit) -> Exit:
        """A program for another processor fails with ``Exec format error``, which few people can read."""
        have, want = self._engine.facts.platform, self._spec.image.platform
        if end.reason is not ExitReason.NOT_STARTED or not want or same_platform(have, want):
            return end
        return end.model_copy(update={"detail": f"{end.detail} (the image is for {want}, this engine runs {have})"})

    def _bring_back(self) -> None:
        """Make what was written ours. A root needs no permission."""
        if self._cargo is not None:
            self._cargo.unload()
        through = {m.source for m in self._cargo.mounts} if self._cargo else set()
        if os.geteuid():
            for mount in self._spec.mounts:
                if not mount.read_only and mount.source not in through:
                    make_accessible(mount.source)

    def usage(self) -> Usage | None:
        """As `Container.usage`."""
        container = self._id if self._used.locked() else None
        return None if container is None else self._driver.usage(container)

    def discard(self) -> None:
        """As `Container.discard`; one that is running is killed with it."""
        self._used.acquire(blocking=False)
        self._remove()

    def _remove(self) -> None:
        container, self._id = self._id, None
        cargo, self._cargo = self._cargo, None
        jobs: list[Any] = []
        if container is not None:
            jobs.append(lambda: self._driver.remove(container))
        if cargo is not None:
            jobs.append(cargo.release)
        self._engine.forget(self, jobs)


def _is_left(item: Owned) -> bool:
    owner = Owner.of_label(item.owner)
    return owner is not None and owner.is_dead()


def _leave(containers: set[HostedContainer], remover: Remover) -> None:
    """Leave nothing behind, also when the interpreter ends and nobody has closed the engine."""
    for container in list(containers):
        container.discard()
    remover.flush()
