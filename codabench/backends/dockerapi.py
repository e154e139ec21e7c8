"""The driver of Docker's HTTP API, through the low-level client of the docker SDK.

Podman answers to the same API; `codabench.backends.podman` builds on this one for what its own SDK cannot do.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform as host_platform
import re
from collections.abc import Generator, Iterator
from typing import IO, TYPE_CHECKING, Any

from codabench.backends.credentials import Credentials
from codabench.backends.driver import Facts, NotStartedError, Order, Owned, Place, State
from codabench.backends.engine import LABEL, Image, Usage
from codabench.backends.gpus import cdi_names
from codabench.backends.naming import architecture
from codabench.backends.pulling import SILENCE
from codabench.backends.selinux import selinux_enforcing
from codabench.core.errors import EngineError, EngineTimeout, EngineUnavailable, PolicyError
from codabench.core.policy import Network

if TYPE_CHECKING:
    import docker

CALL_TIMEOUT = 60
POOL = 64
SAME_CALLS = 16
"""Connections kept for one address: the SDK makes a pool for each, and fills it with that many places."""

_COMMAND_MISSING = re.compile(r"executable file not found|exec: .*no such file or directory|stat .*no such file", re.I)
_COMMAND_UNUSABLE = re.compile(r"exec: .*permission denied|exec format error|chdir to cwd|is a directory", re.I)


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Errors of the SDK as ours."""
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise EngineError(f"{doing}: {explanation(error)}") from error
    except requests.exceptions.Timeout as error:
        raise EngineTimeout(f"{doing}: the engine did not answer in time") from error
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise EngineError(f"{doing}: lost the connection to the engine ({error})") from error


def _runtime(version: dict[str, Any], info: dict[str, Any]) -> tuple[str, str]:
    """What starts containers by default, as far as the daemon tells."""
    name = str(info.get("DefaultRuntime") or "runc")
    parts = {str(c.get("Name")): str(c.get("Version", "")) for c in version.get("Components") or ()}
    return name, parts.get(name, "")


def explanation(error: Any) -> str:
    """The engine's own words, without the address of the call."""
    text = getattr(error, "explanation", None) or error
    return (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).strip()


def free_below(folder: str, machine: str) -> int | None:
    """Bytes that are free for us in a directory of an engine; None where its machine is not this one, or is made up."""
    if machine != host_platform.node() or not os.path.isdir(folder):
        return None
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _said(text: str) -> str:
    """The message in an answer of the engine, which is JSON if all is well."""
    try:
        found = json.loads(text)
    except ValueError:
        return text.strip()
    return str(found.get("message") or found.get("cause") or text) if isinstance(found, dict) else text.strip()


class DockerDriver:
    """One connection to a daemon that speaks Docker's API."""

    volumes_below_root = True
    hint = "is the daemon running? `docker info` says what is wrong"

    def __init__(self, url: str) -> None:
        import docker
        import docker.errors
        import requests

        self.url = url
        try:
            self.client: docker.APIClient = docker.APIClient(
                base_url=url,
                tls=_tls(url),
                use_ssh_client=url.startswith("ssh://"),
                version="auto",
                timeout=CALL_TIMEOUT,
                num_pools=POOL,
                max_pool_size=SAME_CALLS,
            )
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, ValueError) as error:
            raise EngineUnavailable(f"{url}: {root_cause(error)}", hint=self.hint) from error
        if url.startswith(("unix://", "npipe://")):
            # No proxy stands before a socket of this host, and the SDK would look for one at every call.
            self.client.trust_env = False

    def facts(self) -> Facts:
        with translated("asking the engine what it is"):
            version, info = self.client.version(), self.client.info()
        options = [str(o) for o in info.get("SecurityOptions") or ()]
        devices = [str(d["ID"]) for d in info.get("DiscoveredDevices") or () if d.get("Source") == "cdi"]
        return Facts(
            version=str(version.get("Version", "")),
            api=str(version.get("ApiVersion", "")),
            platform=f"{info.get('OSType', 'linux')}/{architecture(str(info.get('Architecture', '')))}",
            rootless=any("rootless" in o for o in options),
            remapped=any("name=userns" in o for o in options),
            cgroups=f"v{info.get('CgroupVersion') or '1'}",
            unenforced=self._unenforced(info),
            gpus=tuple(devices) or (("nvidia",) if "nvidia" in (info.get("Runtimes") or {}) else ()),
            cdi=bool(devices),
            memory=info.get("MemTotal") or None,
            runtime=_runtime(version, info),
        )

    def _unenforced(self, info: dict[str, Any]) -> dict[str, str]:
        wanted = {"memory": "MemoryLimit", "pids": "PidsLimit", "cpus": "CPUCfsQuota"}
        why = "the daemon says that this kernel or its cgroups do not support the limit"
        return {name: why for name, key in wanted.items() if info.get(key) is False}

    def images(self) -> list[str]:
        with translated("listing the images"):
            return sorted(tag for image in self.client.images() for tag in image.get("RepoTags") or ())

    def inspect_image(self, name: str) -> dict[str, Any] | None:
        import docker.errors

        with translated(f"looking for the image {name}"):
            try:
                return dict(self.client.inspect_image(name))  # type: ignore[no-untyped-call]
            except docker.errors.ImageNotFound:
                return None

    def image_ids(self) -> set[str]:
        with translated("listing the images"):
            return set(self.client.images(quiet=True, all=True))

    def pull(
        self, name: str, platform: str | None, credentials: Credentials | None
    ) -> Generator[dict[str, Any], None, None]:
        from docker.utils import parse_repository_tag

        repository, tag = parse_repository_tag(name)
        params = {"fromImage": repository, "tag": tag or "latest", "platform": platform or ""}
        path = f"/v{self.client.api_version}/images/create"
        yield from self._pull_events(name, path, params, credentials)

    def _pull_events(
        self, name: str, path: str, params: dict[str, str], credentials: Credentials | None
    ) -> Generator[dict[str, Any], None, None]:
        """Not by the SDK's own call, which can be neither ended nor given a time."""
        from docker.auth import encode_header

        headers = {"X-Registry-Auth": encode_header(credentials.header()).decode()} if credentials else {}
        with (
            translated(f"pulling {name}"),
            self.client.post(
                f"{self.client.base_url}{path}",
                params=params,
                headers=headers,
                stream=True,
                timeout=(CALL_TIMEOUT, SILENCE),
            ) as answer,
        ):
            if answer.status_code >= 400:
                yield {"error": _said(answer.text)}
                return
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)

    def room(self) -> int | None:
        with translated("asking the engine where it keeps images"):
            info = self.client.info()
        return free_below(str(info.get("DockerRootDir") or ""), str(info.get("Name")))

    def containers_of(self, image: str) -> list[str]:
        with translated("listing the containers"):
            found = self.client.containers(all=True)
        ours = image.rpartition(":")[2]
        used = (c for c in found if str(c.get("ImageID", "")).rpartition(":")[2] == ours)
        return [(c.get("Names") or [c["Id"]])[0].lstrip("/") for c in used]

    def remove_image(self, image: str) -> str | None:
        import docker.errors

        with translated("removing an image"):
            try:
                self.client.remove_image(image)
            except docker.errors.ImageNotFound:
                return None
            except docker.errors.APIError as error:
                if error.status_code != 409:
                    raise
                return explanation(error)
        return None

    def inherits_label(self, container: str, value: str) -> bool:
        import docker.errors

        with translated("inspecting a container"):
            try:
                made_of = str(self.client.inspect_container(container)["Image"])
            except docker.errors.NotFound:
                return False
        config = (self.inspect_image(made_of) or {}).get("Config") or {}
        return (config.get("Labels") or {}).get(LABEL) == value

    def create(self, order: Order) -> str:
        spec = order.spec
        with translated(f"creating a container of {spec.image.name}"):
            made = self.client.create_container(
                spec.image.id,
                list(spec.argv),
                name=spec.name,
                hostname="codabench",
                user=order.user,
                environment=spec.env,
                working_dir=spec.workdir,
                labels=order.labels,
                network_disabled=spec.network is Network.NONE and order.hosts is not None,
                healthcheck={"test": ["NONE"]},
                stop_timeout=1,
                use_config_proxy=False,
                platform=None,
                host_config=self._host_config(order),
            )
        return str(made["Id"])

    def _host_config(self, order: Order) -> dict[str, Any]:
        from docker.types import LogConfig, Ulimit

        spec, limits = order.spec, order.spec.limits
        options: dict[str, Any] = {
            "init": True,
            "log_config": LogConfig(type="none"),
            "cap_drop": ["ALL"],
            "read_only": spec.read_only_root,
            "tmpfs": {"/tmp": tmpfs_options(limits.tmp)},  # noqa: S108 - inside the container
            "oom_score_adj": 500,
            "ulimits": [Ulimit(name="core", soft=0, hard=0)],
            **self._mounts(order),
        }
        if spec.no_new_privileges:
            options["security_opt"] = ["no-new-privileges"]
        if spec.network is Network.NONE and order.hosts is None:
            options["network_mode"] = "none"
        if limits.memory is not None:
            options |= {"mem_limit": limits.memory, "memswap_limit": limits.memory}
        if limits.cpus is not None:
            options["nano_cpus"] = int(limits.cpus * 1e9)
        if limits.pids is not None:
            options["pids_limit"] = limits.pids
        if limits.shm is not None:
            options["shm_size"] = limits.shm
        if limits.nofile is not None:
            options["ulimits"].append(Ulimit(name="nofile", soft=limits.nofile, hard=limits.nofile))
        if spec.gpus:
            options["device_requests"] = [self._device_request(spec.gpus)]
        return dict(self.client.create_host_config(**options))

    def _mounts(self, order: Order) -> dict[str, Any]:
        """As `mounts`, where a missing source is an error; as binds with ``z`` where SELinux would deny access."""
        from docker.types import Mount

        places = list(order.places)
        if order.hosts:
            places.append(Place("bind", order.hosts, "/etc/hosts", read_only=True))
        relabel = [p for p in places if p.kind == "bind"] if selinux_enforcing() else []
        mounts = [Mount(p.target, p.source, type=p.kind, read_only=p.read_only) for p in places if p not in relabel]
        return {"mounts": mounts, "binds": [relabelled_bind(p) for p in relabel]}

    def _device_request(self, gpus: str) -> Any:
        from docker.types import DeviceRequest

        facts = self.facts()
        if not facts.gpus:
            raise PolicyError(
                f"the run asks for GPUs ({gpus}) and this engine offers none",
                hint="install the NVIDIA Container Toolkit and register it with the engine (`nvidia-ctk`)",
            )
        if facts.cdi:
            return DeviceRequest(driver="cdi", device_ids=cdi_names(facts.gpus, gpus))
        if "=" in gpus:
            # An engine that does not know CDI knows the same devices by what is behind the equals sign.
            devices = [name.rpartition("=")[2] for name in gpus.split(",")]
            return DeviceRequest(device_ids=devices, capabilities=[["gpu"]])
        return DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=[["gpu"]])

    def attach(self, container: str) -> Any:
        with translated("attaching to the output"):
            wrapped = self.client.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1, "logs": 0})
        sock = getattr(wrapped, "_sock", wrapped)
        if hasattr(sock, "settimeout"):
            sock.settimeout(None)
        return sock

    def start(self, container: str) -> None:
        import docker.errors

        with translated("starting the container"):
            try:
                self.client.start(container)
            except docker.errors.APIError as error:
                raise_if_not_started(explanation(error))
                raise

    def wait(self, container: str) -> int:
        with translated("waiting for the container"):
            return int(self.client.wait(container, timeout=None)["StatusCode"])

    def kill(self, container: str) -> None:
        import docker.errors

        with translated("killing the container"):
            try:
                self.client.kill(container, signal="SIGKILL")
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409) and "not running" not in explanation(error):
                    raise

    def state(self, container: str) -> State:
        with translated("inspecting the container"):
            state = self.client.inspect_container(container)["State"]
        return State(running=bool(state.get("Running")), out_of_memory=bool(state.get("OOMKilled")))

    def usage(self, container: str) -> Usage | None:
        with translated("asking what the container uses"):
            found = self.client.stats(container, stream=False, one_shot=self._one_shot)
        cpu = ((found.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
        memory = found.get("memory_stats") or {}
        if not cpu or memory.get("usage") is None:
            return None
        # What the kernel only keeps as long as nobody needs the room is not the program's.
        details = memory.get("stats") or {}
        idle = details.get("inactive_file", details.get("total_inactive_file", 0))
        return Usage(cpu_seconds=cpu / 1e9, memory=max(0, memory["usage"] - idle))

    @property
    def _one_shot(self) -> bool | None:
        """Without a second look after a second, where the engine knows that."""
        version = tuple(int(part) for part in self.client.api_version.split("."))
        return True if version >= (1, 41) else None

    def remove(self, container: str) -> None:
        import docker.errors

        with translated("removing the container"):
            try:
                self.client.remove_container(container, v=True, force=True)
            except docker.errors.APIError as error:
                if error.status_code != 404 and "already in progress" not in explanation(error):
                    raise

    def containers(self) -> list[Owned]:
        with translated("listing the containers"):
            found = self.client.containers(all=True, filters={"label": [LABEL]})
        return [Owned(c["Id"], (c.get("Names") or [c["Id"]])[0].lstrip("/"), c["Labels"][LABEL]) for c in found]

    def create_volume(self, name: str, labels: dict[str, str]) -> None:
        with translated("creating a volume"):
            self.client.create_volume(name, labels=labels)

    def remove_volume(self, name: str) -> None:
        import docker.errors

        with translated("removing a volume"), contextlib.suppress(docker.errors.NotFound):
            self.client.remove_volume(name, force=True)

    def volumes(self) -> list[Owned]:
        with translated("listing the volumes"):
            found = self.client.volumes(filters={"label": [LABEL]}).get("Volumes") or ()
        return [Owned(v["Name"], v["Name"], v["Labels"][LABEL]) for v in found]

    def create_carrier(self, image: Image, places: tuple[Place, ...], labels: dict[str, str]) -> str:
        from docker.types import Mount

        mounts = [Mount(p.target, p.source, type=p.kind, read_only=p.read_only) for p in places]
        with translated("creating a container to copy with"):
            made = self.client.create_container(
                image.id,
                ["never-started"],
                labels=labels,
                use_config_proxy=False,
                host_config=self.client.create_host_config(mounts=mounts, network_mode="none"),
            )
        return str(made["Id"])

    def put(self, container: str, path: str, archive: IO[bytes]) -> None:
        with translated("copying into a volume"):
            self.client.put_archive(container, path, archive)

    def get(self, container: str, path: str) -> Iterator[bytes] | None:
        import docker.errors

        with translated("copying out of a volume"):
            try:
                stream, _ = self.client.get_archive(container, path)
            except docker.errors.NotFound:
                return None
        found: Iterator[bytes] = iter(stream)
        return found

    def close(self) -> None:
        self.client.close()


def raise_if_not_started(said: str) -> None:
    """Raise `NotStartedError` if what the engine said blames the command."""
    if "docker-init" in said:
        raise EngineError(
            f"the engine has no init program for containers: {said}",
            hint="install `tini` (Debian) or the engine's own package of docker-init",
        )
    if _COMMAND_UNUSABLE.search(said):
        raise NotStartedError(126, said)
    if _COMMAND_MISSING.search(said):
        raise NotStartedError(127, said)


def tmpfs_options(size: int | None) -> str:
    """Of ``/tmp``: programs may be executed there, numba and others unpack libraries into it."""
    return "rw,exec,nosuid,nodev,mode=1777" + (f",size={size}" if size is not None else "")


def relabelled_bind(place: Place) -> str:
    """A bind with a shared SELinux label. Binds make a missing source, so the caller has looked."""
    if ":" in place.source:
        raise PolicyError(f"SELinux is enforcing here and a path to mount holds a colon: {place.source}")
    return f"{place.source}:{place.target}:{'ro' if place.read_only else 'rw'},z"


def _tls(url: str) -> Any:
    """The certificates that the ``docker`` command would use (DOCKER_CERT_PATH)."""
    from docker.utils import kwargs_from_env

    return (url.startswith("tcp://") and kwargs_from_env().get("tls")) or False


def root_cause(error: BaseException) -> str:
    """The innermost reason: the SDK wraps ``Permission denied`` four times."""
    seen: BaseException = error
    while True:
        inner = seen.__cause__ or seen.__context__
        if inner is None:
            break
        seen = inner
    return f"{type(seen).__name__}: {seen.strerror if isinstance(seen, OSError) and seen.strerror else seen}"
