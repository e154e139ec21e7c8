"""What a container may do, and how much of it (security.md section 4, contract.md section 7).

What a worker grants of it: `codabench.core.granting`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from codabench.core.base import Record
from codabench.core.errors import UsageError
from codabench.core.text import did_you_mean

MIB = 1024 * 1024
GIB = 1024 * MIB


class Network(StrEnum):
    """``none``: only loopback. ``proxy``: an allow-list. ``open``: as the engine gives it."""

    NONE = "none"
    PROXY = "proxy"
    OPEN = "open"


class User(StrEnum):
    """Who the program is inside its container.

    ``nobody``: never root; the caller's own uid where the library runs as an ordinary user on Docker, the mapped caller
    on rootless Podman, 65534 where it runs as root (contract.md section 7). ``image``: what the image says.
    """

    NOBODY = "nobody"
    IMAGE = "image"


class Limits(Record):
    """Bounds of one container; None: no bound of ours.

    Attributes
    ----------
    memory
        Bytes, swap included.
    cpus
        Cores, may be a fraction.
    pids
        Processes and threads.
    shm, tmp
        Bytes of ``/dev/shm`` and ``/tmp``.
    nofile
        Open files per process.
    output, output_files
        Bytes on disk and files that the programs of a step may write below ``/app``, looked at every half second.
        Whatever they are, a reserve of the disk is kept.
    """

    memory: int | None = None
    cpus: float | None = None
    pids: int | None = 1024
    shm: int | None = GIB
    tmp: int | None = 4 * GIB
    nofile: int | None = None
    output: int | None = None
    output_files: int | None = None


class Policy(Record):
    """What a run may do.

    Attributes
    ----------
    name
        ``standard``: isolated, with writable private copies of programs. ``strict``: programs and inputs read-only.
        ``trusted``: your own code on your own machine.
    writable_program, writable_inputs
        Give the program a private copy that is thrown away, instead of a read-only mount.
    read_only_root
        The file system of the image cannot be written.
    gpus
        ``"all"``, a number, or names of the Container Device Interface with commas between them
        (``nvidia.com/gpu=0``); None: none.
    hosts
        With the network ``proxy``: names that may be reached, ``.example.org`` for all below it; None: whatever the
        worker's own list holds.
    local_data
        Names of directories of the worker that programs find below ``/app/data``, read-only; None: any that it has
        (only for the ceiling of a worker).
    log_keep
        Bytes kept of the beginning and of the end of each output stream; everything is counted.
    registries
        Where images may come from: hosts (``ghcr.io``) or parts of one (``docker.io/codalab``); None: anywhere.
    """

    name: Literal["standard", "strict", "trusted"] = "standard"
    network: Network = Network.NONE
    user: User = User.NOBODY
    writable_program: bool = True
    writable_inputs: bool = False
    read_only_root: bool = True
    no_new_privileges: bool = True
    gpus: str | None = None
    hosts: tuple[str, ...] | None = None
    local_data: tuple[str, ...] | None = ()
    limits: Limits = Limits()
    log_keep: int = MIB
    registries: tuple[str, ...] | None = None


UNBOUNDED = Policy(
    name="trusted",
    network=Network.OPEN,
    user=User.IMAGE,
    writable_inputs=True,
    read_only_root=False,
    no_new_privileges=False,
    gpus="all",
    local_data=None,
    limits=Limits(pids=None, shm=None, tmp=None),
    log_keep=2**62,
)
"""The ceiling of a worker that forbids nothing: `meet` with it changes no policy."""

_PROFILES = {
    "standard": Policy(),
    "strict": Policy(name="strict", writable_program=False),
    "trusted": Policy(name="trusted", user=User.IMAGE, writable_inputs=True, read_only_root=False),
}


def policy_named(name: str) -> Policy:
    """The profile of that name.

    Raises
    ------
    UsageError
        If there is none.
    """
    if not isinstance(name, str) or name not in _PROFILES:
        guess = did_you_mean(str(name), _PROFILES)
        raise UsageError(
            f"no policy {name!r}; there are {', '.join(_PROFILES)}",
            hint=f"did you mean {guess!r}?" if guess else None,
        )
    return _PROFILES[name]
