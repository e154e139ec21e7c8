"""The Podman engine, as root and rootless.

The podman SDK makes, starts, waits for and removes containers. It cannot attach to their output nor copy owners into
volumes; for these its service's Docker-compatible interface is used, at the same socket.
"""

from __future__ import annotations

import contextlib
import glob
import os
import resource
import sys
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Any

from codabench.backends.credentials import Credentials, RegistryAuth
from codabench.backends.dockerapi import (
    CALL_TIMEOUT,
    POOL,
    DockerDriver,
    explanation,
    free_below,
    raise_if_not_started,
    root_cause,
)
from codabench.backends.driver import Driver, Facts, Order, State
from codabench.backends.gpus import cdi_names
from codabench.backends.hosted import HostedEngine
from codabench.backends.naming import architecture, reference_of
from codabench.backends.pulling import LIMIT
from codabench.backends.selinux import selinux_enforcing
from codabench.core.errors import EngineError, EngineTimeout, EngineUnavailable, PolicyError
from codabench.core.policy import Network

_API = "4.0.0"
_CPU_PERIOD = 100_000
_MANY_PROCESSES = 1 << 20


class PodmanEngine(HostedEngine):
    """Runs containers by a Podman service, root's or an ordinary user's.

    Programs are `User.NOBODY`: 65534 in root's service; in a rootless one uid 0 of the user namespace without any
    capability, which is the caller outside. The alternative, ``keep-id``, gives the caller's number inside too, and
    makes Podman write a second copy of every image with shifted owners: half a second for a small one, minutes and
    twice the disk for a large one.

    On hosts with version 1 of cgroups a rootless service accepts limits and ignores them. `probe` says so; a limit
    that somebody asked for is refused there with `PolicyError`.

    Parameters
    ----------
    url
        ``unix:///run/podman/podman.sock``; None: CONTAINER_HOST, the socket of this user, that of root, the machine of
        macOS.
    registry_auth
        Credentials for private registries: a file as ``docker login`` writes it, or host -> (user, password). None:
        what CODABENCH_REGISTRY_AUTH, REGISTRY_AUTH_FILE, ``podman login`` or ``docker login`` have left.
    insecure_registries
        Hosts (``127.0.0.1:5000``) that are used without encryption, or with one that nobody vouches for.
    pull_timeout
        Seconds that fetching an image may take at most.
    """

    name = "podman"

    def __init__(
        self,
        url: str | None = None,
        *,
        registry_auth: RegistryAuth | None = None,
        insecure_registries: Collection[str] = (),
        pull_timeout: float = LIMIT,
    ) -> None:
        super().__init__(url or default_url(), registry_auth, insecure_registries, pull_timeout)
        self._insecure = insecure_registries

    def _connect(self) -> Driver:
        return PodmanDriver(self.url, self._insecure)


def default_url() -> str:
    """Where Podman listens, as far as this can be known without asking."""
    given = os.environ.get("CONTAINER_HOST")
    if given:
        return given
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    mine = f"{runtime}/podman/podman.sock"
    roots = "/run/podman/podman.sock"
    order = [roots, mine] if os.geteuid() == 0 else [mine, roots]
    order += sorted(glob.glob(str(Path.home() / ".local/share/containers/podman/machine/*/podman.sock")))
    order += sorted(glob.glob(f"{os.environ.get('TMPDIR', '/tmp').rstrip('/')}/podman/*-api.sock"))  # noqa: S108
    usable = (path for path in order if os.access(path, os.R_OK | os.W_OK))
    return f"unix://{next(usable, order[0])}"


class PodmanDriver(DockerDriver):
    """One connection to a Podman service."""

    volumes_below_root = False
    hint = (
        "start its service: `systemctl --user enable --now podman.socket` (rootless, no group needed)"
        if sys.platform == "linux"
        else "start its machine: `podman machine start`"
    )

    def __init__(self, url: str, insecure_registries: Collection[str] = ()) -> None:
        import podman

        super().__init__(url)
        self._insecure = insecure_registries
        self.podman: Any = podman.PodmanClient(base_url=url, timeout=CALL_TIMEOUT, max_pool_size=POOL)
        # Waiting has no timeout, and the SDK takes none from a call where its client has one.
        self._patient: Any = podman.PodmanClient(base_url=url, max_pool_size=POOL)
        with _translated("asking Podman what it is"):
            self._info: dict[str, Any] = self.podman.info()  # type: ignore[no-untyped-call]
        self._host: dict[str, Any] = self._info["host"]
        self._init = True

    def facts(self) -> Facts:
        with _translated("asking Podman what it is"):
            version = self.podman.version()
        host = self._host
        return Facts(
            version=str(version.get("Version", "")),
            api=str(version.get("ApiVersion", "")),
            platform=f"{host.get('os', 'linux')}/{architecture(str(host.get('arch', '')))}",
            rootless=self._rootless,
            cgroups=host.get("cgroupVersion"),
            unenforced=self._ignored_limits(),
            gpus=cdi_devices(),
            cdi=True,
            memory=host.get("memTotal") or None,
            runtime=_runtime(host.get("ociRuntime") or {}),
        )

    @property
    def _rootless(self) -> bool:
        return bool((self._host.get("security") or {}).get("rootless"))

    def _ignored_limits(self) -> dict[str, str]:
        if self._rootless and self._host.get("cgroupVersion") == "v1":
            why = "rootless Podman ignores limits on hosts with version 1 of cgroups"
            return dict.fromkeys(("memory", "pids", "cpus"), why)
        there = self._host.get("cgroupControllers") or ()
        wanted = {"memory": "memory", "pids": "pids", "cpus": "cpu"}
        return {
            name: f"the cgroup controller {controller!r} is not delegated to this user (systemd: `Delegate=yes`)"
            for name, controller in wanted.items()
            if controller not in there
        }

    def images(self) -> list[str]:
        with _translated("listing the images"):
            return sorted(tag for image in self.podman.images.list() for tag in image.tags)

    def inspect_image(self, name: str) -> dict[str, Any] | None:
        from podman.errors import ImageNotFound

        with _translated(f"looking for the image {name}"):
            try:
                return dict(self.podman.images.get(name).attrs)
            except ImageNotFound:
                return None

    def pull(
        self, name: str, platform: str | None, credentials: Credentials | None
    ) -> Generator[dict[str, Any], None, None]:
        if reference_of(name).host not in self._insecure:
            yield from super().pull(name, platform, credentials)
            return
        # The Docker-compatible call knows of no registries without encryption, and this one tells no bytes.
        system, _, rest = (platform or "").partition("/")
        machine, _, variant = rest.partition("/")
        params = {"reference": name, "tlsVerify": "false", "OS": system, "Arch": machine, "Variant": variant}
        wanted = {key: value for key, value in params.items() if value}
        yield from self._pull_events(name, f"/v{_API}/libpod/images/pull", wanted, credentials)

    def room(self) -> int | None:
        folder = str(self._info.get("store", {}).get("graphRoot") or "")
        if (free := free_below(folder, str(self._host.get("hostname")))) is not None:
            return free
        with _translated("asking Podman how much room it has"):
            store = self.podman.info().get("store") or {}
        whole, used = store.get("graphRootAllocated"), store.get("graphRootUsed")
        return max(0, int(whole) - int(used)) if whole and used is not None else None

    def create(self, order: Order) -> str:
        from podman.errors import APIError

        image = order.spec.image
        with _translated(f"creating a container of {image.name}"):
            try:
                made = self.podman.containers.create(image.id, list(order.spec.argv), **self._options(order))
            except APIError as error:
                if not self._init or "init binary" not in explanation(error):
                    raise
                self._init = False  # this host has no catatonit
                made = self.podman.containers.create(image.id, list(order.spec.argv), **self._options(order))
        return str(made.id)

    def _options(self, order: Order) -> dict[str, Any]:
        spec, limits = order.spec, order.spec.limits
        options: dict[str, Any] = {
            "hostname": "codabench",
            "environment": spec.env,
            "working_dir": spec.workdir,
            "labels": order.labels,
            "init": self._init,
            "log_config": {"Type": "none"},
            "no_healthcheck": True,
            "stop_timeout": 0,
            "use_config_proxy": False,
            "cap_drop": ["all"],
            "no_new_privileges": spec.no_new_privileges,
            "read_only": spec.read_only_root,
            "read_write_tmpfs": False,
            "mounts": self._podman_mounts(order),
            "volumes": {
                p.source: {"bind": p.target, "mode": "ro" if p.read_only else "rw"}
                for p in order.places
                if p.kind == "volume"
            },
        }
        if spec.name:
            options["name"] = spec.name
        if order.user is not None:
            options["user"] = order.user
        if spec.network is Network.NONE:
            options["network_mode"] = "none"
        limits = limits.model_copy(update=dict.fromkeys(self._ignored_limits()))  # crun fails where they are passed
        if limits.memory is not None:
            options |= {"mem_limit": limits.memory, "memswap_limit": limits.memory}
        if limits.cpus is not None:
            options |= {"cpu_period": _CPU_PERIOD, "cpu_quota": int(limits.cpus * _CPU_PERIOD)}
        if limits.pids is not None:
            options["pids_limit"] = limits.pids
        if limits.shm is not None:
            options["shm_size"] = limits.shm
        if limits.nofile is not None:
            options["ulimits"] = _ulimits(limits.nofile)
        if spec.gpus:
            options["devices"] = self._gpus(spec.gpus)
        return options

    def _podman_mounts(self, order: Order) -> list[dict[str, Any]]:
        size = order.spec.limits.tmp
        tmp = {"type": "tmpfs", "source": "tmpfs", "target": "/tmp", "mode": "1777"}  # noqa: S108 - inside
        mounts: list[dict[str, Any]] = [{**tmp, "size": str(size)} if size is not None else tmp]
        binds = [(p.source, p.target, p.read_only) for p in order.places if p.kind == "bind"]
        if order.hosts:
            binds.append((order.hosts, "/etc/hosts", True))
        relabel = {"relabel": "z"} if selinux_enforcing() else {}
        for source, target, read_only in binds:
            mounts.append({"type": "bind", "source": source, "target": target, "read_only": read_only, **relabel})
        return mounts

    def _gpus(self, asked: str) -> list[str]:
        offered = cdi_devices()
        if not offered:
            raise PolicyError(
                f"the run asks for GPUs ({asked}) and Podman knows of none",
                hint="describe them once: `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`",
            )
        return cdi_names(offered, asked)

    def attach(self, container: str) -> Any:
        try:
            return super().attach(container)
        except EngineError as error:
            raise_if_not_started(error.message)  # Podman makes the process ready here, not at the start
            raise

    def start(self, container: str) -> None:
        from podman.errors import APIError

        with _translated("starting the container"):
            try:
                self.podman.api.post(f"/containers/{container}/start").raise_for_status()
            except APIError as error:
                raise_if_not_started(explanation(error))
                raise

    def wait(self, container: str) -> int:
        with _translated("waiting for the container"):
            answer = self._patient.api.post(f"/containers/{container}/wait", params={"interval": "10ms"})
            answer.raise_for_status()
            return int(answer.json())

    def state(self, container: str) -> State:
        """Podman says ``OOMKilled`` only with version 2 of cgroups; before, a SIGKILL that was not ours, under a memory
        limit, is taken for one."""
        with _translated("inspecting the container"):
            found = self.client.inspect_container(container)
        state = found["State"]
        killed = state.get("ExitCode") == 137 and self._host.get("cgroupVersion") == "v1"
        limited = bool((found.get("HostConfig") or {}).get("Memory"))
        return State(bool(state.get("Running")), bool(state.get("OOMKilled")) or (killed and limited))

    def kill(self, container: str) -> None:
        from podman.errors import APIError

        with _translated("killing the container"):
            try:
                answer = self.podman.api.post(f"/containers/{container}/kill", params={"signal": "SIGKILL"})
                answer.raise_for_status()
            except APIError as error:
                said = f"{explanation(error)} {error}"
                if error.status_code not in (404, 409) and "can only kill running" not in said:
                    raise

    def remove(self, container: str) -> None:
        from podman.errors import APIError

        with _translated("removing the container"):
            try:
                self.podman.containers.remove(container, v=True, force=True)
            except APIError as error:
                if error.status_code != 404 and "no such container" not in f"{explanation(error)} {error}":
                    raise

    def close(self) -> None:
        super().close()
        self.podman.close()
        self._patient.close()


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Errors of the podman SDK as ours."""
    import requests
    from podman.errors import APIError, PodmanError

    try:
        yield
    except APIError as error:
        if error.response is None and isinstance(error.__cause__, requests.exceptions.Timeout):
            raise EngineTimeout(f"{doing}: Podman did not answer in time") from error
        if error.response is None:
            raise EngineUnavailable(f"{doing}: {root_cause(error)}", hint=PodmanDriver.hint) from error
        raise EngineError(f"{doing}: {explanation(error)}") from error
    except (PodmanError, requests.exceptions.RequestException, OSError, ValueError) as error:
        raise EngineError(f"{doing}: lost the connection to Podman ({root_cause(error)})") from error


def _runtime(said: dict[str, Any]) -> tuple[str, str]:
    """From ``runc version 1.1.5`` and lines about how it was built."""
    name = str(said.get("name") or "")
    words = str(said.get("version") or "").split()
    return name, words[2] if words[1:2] == ["version"] and len(words) > 2 else ""


def _ulimits(nofile: int) -> list[dict[str, Any]]:
    """Passing one limit makes Podman drop its defaults for all, and raising one above our own is not allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    processes = _MANY_PROCESSES if hard == resource.RLIM_INFINITY else hard
    return [
        {"Name": "nofile", "Soft": nofile, "Hard": nofile},
        {"Name": "nproc", "Soft": processes, "Hard": processes},
        {"Name": "core", "Soft": 0, "Hard": 0},
    ]


def cdi_devices() -> tuple[str, ...]:
    """Names of the devices that this host describes for containers (Container Device Interface)."""
    names: list[str] = []
    for path in sorted(p for folder in ("/etc/cdi", "/var/run/cdi") for p in glob.glob(f"{folder}/*")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # another program's business
            described = _description(path)
            names += [f"{described['kind']}={device['name']}" for device in described["devices"]]
    return tuple(dict.fromkeys(names))


def _description(path: str) -> dict[str, Any]:
    import yaml

    try:
        return dict(yaml.safe_load(Path(path).read_text()))  # JSON is YAML too
    except yaml.YAMLError as error:
        raise ValueError(path) from error
