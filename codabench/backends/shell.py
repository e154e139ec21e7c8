"""A shell in a container like the one a program gets, through the engine's own command: for people who look around."""

from __future__ import annotations

import shutil
import sys

from codabench.backends.dockerapi import tmpfs_options
from codabench.backends.engine import ContainerSpec
from codabench.backends.hosted import HostedEngine
from codabench.core.errors import EngineUnavailable, UsageError
from codabench.core.policy import Network


def shell_command(engine: object, spec: ContainerSpec) -> list[str]:
    """The words that open a shell with the mounts, the user and the isolation of `spec`.

    Raises
    ------
    UsageError
        If the engine has no containers, or does not see our files.
    EngineUnavailable
        If its command is not installed.
    """
    if not isinstance(engine, HostedEngine):
        raise UsageError("a shell needs a container engine: --backend docker or --backend podman", code="CB351")
    program = shutil.which(engine.name)
    if program is None:
        raise EngineUnavailable(f"--shell needs the command {engine.name}, which is not installed", code="CB605")
    if not all(engine.visibility.sees(m.source, spec.image) for m in spec.mounts):
        raise UsageError(f"{engine.name} does not see this machine's files: no shell there", code="CB351")
    address = ["--host", engine.url] if engine.name == "docker" else ["--remote", "--url", engine.url]
    return [program, *address, "run", *_options(engine, spec), spec.image.id, "sh"]


def _options(engine: HostedEngine, spec: ContainerSpec) -> list[str]:
    options = ["--rm", "--interactive", "--init", "--cap-drop", "ALL", "--workdir", spec.workdir]
    if sys.stdin.isatty():
        options.append("--tty")
    if spec.network is Network.NONE:
        options += ["--network", "none"]
    if spec.no_new_privileges:
        options += ["--security-opt", "no-new-privileges"]
    if spec.read_only_root:
        options += ["--read-only", "--tmpfs", f"/tmp:{tmpfs_options(spec.limits.tmp)}"]  # noqa: S108 - inside the container
    if (user := engine.user_of(spec.user)) is not None:
        options += ["--user", f"{user[0]}:{user[1]}"]
    for mount in spec.mounts:
        options += ["--volume", f"{mount.source}:{mount.target}:{'ro' if mount.read_only else 'rw'}"]
    for name, value in spec.env.items():
        options += ["--env", f"{name}={value}"]
    return options
