"""The Docker engine."""

from __future__ import annotations

import json
import os
from pathlib import Path

from codabench.backends.credentials import RegistryAuth
from codabench.backends.dockerapi import DockerDriver
from codabench.backends.driver import Driver
from codabench.backends.hosted import HostedEngine
from codabench.backends.pulling import LIMIT

_SOCKET = "unix:///var/run/docker.sock"
_HOME_SOCKETS = (".docker/run/docker.sock", ".docker/desktop/docker.sock", ".colima/default/docker.sock")


class DockerEngine(HostedEngine):
    """Runs containers by a Docker daemon.

    Programs are `User.NOBODY`: 65534 where the library runs as root, the caller's own uid where it runs as an ordinary
    user, and uid 0 without any capability on a rootless daemon, where that *is* the caller. With `User.IMAGE` and an
    ordinary caller, writable directories go through volumes, so that the caller can read and remove what a root inside
    has written.

    Parameters
    ----------
    url
        ``unix:///var/run/docker.sock``, ``tcp://host:2376``, ``ssh://host``; None: where the ``docker`` command would
        look: DOCKER_HOST, the current context, the usual sockets.
    registry_auth
        Credentials for private registries: a file as ``docker login`` writes it, or host -> (user, password). None:
        what CODABENCH_REGISTRY_AUTH, REGISTRY_AUTH_FILE, ``podman login`` or ``docker login`` have left.
    pull_timeout
        Seconds that fetching an image may take at most.
    """

    name = "docker"

    def __init__(
        self,
        url: str | None = None,
        *,
        registry_auth: RegistryAuth | None = None,
        pull_timeout: float = LIMIT,
    ) -> None:
        super().__init__(url or default_url(), registry_auth, (), pull_timeout)

    def _connect(self) -> Driver:
        return DockerDriver(self.url)


def default_url() -> str:
    """Where Docker listens, as far as this can be known without asking."""
    given = os.environ.get("DOCKER_HOST") or _context_url()
    if given:
        return given
    if os.path.exists(_SOCKET.removeprefix("unix://")):
        return _SOCKET
    at_home = (Path.home() / name for name in _HOME_SOCKETS)
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "docker.sock")
    return next((f"unix://{path}" for path in (*at_home, runtime) if path.exists()), _SOCKET)


def _context_url() -> str | None:
    """The address of the context that the ``docker`` command uses now."""
    root = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        config = json.loads((root / "config.json").read_text())
        name = os.environ.get("DOCKER_CONTEXT") or config.get("currentContext")
        if not name or name == "default":
            return None
        for meta in (root / "contexts" / "meta").glob("*/meta.json"):
            context = json.loads(meta.read_text())
            if context.get("Name") == name:
                return str(context["Endpoints"]["docker"]["Host"]) or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no context that could be read: the usual socket
    return None
