"""What bubblewrap and this machine can do together, and what to change where they cannot."""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from codabench.backends import cgroups, seccomp
from codabench.core.base import Record
from codabench.core.errors import EngineUnavailable
from codabench.core.policy import Limits

OLDEST = (0, 7)
"""The first version of bubblewrap that bounds what is kept in memory."""

OWN_COUNT = (5, 14)
"""The first Linux that counts the processes of a user for each user namespace."""

_SYS_RESOURCE = 24


class Facts(Record):
    """What was found out once.

    Attributes
    ----------
    program
        Path of bubblewrap.
    cgroups
        Version of the control groups that we may use; None: none.
    unenforced
        Property -> why it does not hold.
    """

    program: str
    version: str
    cgroups: int | None
    unenforced: dict[str, str]


def look() -> tuple[Facts, cgroups.Places | None]:
    """Facts, and where control groups can be made.

    Raises
    ------
    EngineUnavailable
        If there is no bubblewrap, or it is too old.
    """
    program = _program()
    version = _version(program)
    places = cgroups.find()
    why = _no_groups(places)
    places = None if why else places
    held = set(places.parents) if places else set()
    unenforced = {}
    if "memory" not in held:
        unenforced["memory"] = why
    if "cpu" not in held:
        unenforced["cpus"] = why or "the cpu controller is not given to the group that this process is in"
    if "pids" not in held and (lacking := _cannot_count()):
        unenforced["pids"] = lacking
    if platform.machine() not in seccomp.ARCHITECTURES:
        unenforced["system_calls"] = f"the numbers of system calls on {platform.machine()} are not known here"
    return Facts(
        program=program, version=version, cgroups=places.version if places else None, unenforced=unenforced
    ), places


def _program() -> str:
    if sys.platform != "linux":
        raise EngineUnavailable(
            f"the sandbox needs the namespaces of Linux, and this is {sys.platform}",
            hint="docker or podman bring a Linux; --backend process runs your own code without isolation",
        )
    found = shutil.which("bwrap")
    if found is None:
        raise EngineUnavailable(
            "bubblewrap is not installed: there is no program bwrap on the PATH",
            hint="apt install bubblewrap, dnf install bubblewrap, or apk add bubblewrap",
        )
    return os.path.realpath(found)


def _version(program: str) -> str:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineUnavailable(f"{program}: {error}") from error
    version = said.split()[-1] if said.split() else ""
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise EngineUnavailable(
            f"bubblewrap {version or repr(said)} is too old: it cannot bound what programs keep in memory",
            hint=f"{oldest} or newer; docker and podman do not need it",
        )
    return version


def _no_groups(places: cgroups.Places | None) -> str:
    """Why control groups cannot be used, or nothing. Tried: files may look writable and refuse."""
    if places is None:
        return f"uid {os.geteuid()} may not make control groups that bound memory" + (
            "" if os.geteuid() == 0 else " (as root, or below a group that systemd delegates, it may)"
        )
    group = places.group(f"trial-{secrets.token_hex(8)}", Limits(memory=1 << 30, cpus=1))
    try:
        group.make()
    except OSError as error:
        return f"control groups cannot be used here: {error}"
    finally:
        group.remove()
    return ""


def _cannot_count() -> str:
    """Why the number of processes cannot be bounded by a resource limit, or nothing."""
    release = platform.release()
    if tuple(map(int, re.findall(r"\d+", release)[:2])) < OWN_COUNT:
        return f"Linux {release} counts the processes of a user for the whole machine"
    if os.geteuid() == 0 and not _capabilities() >> _SYS_RESOURCE & 1:
        return "root here lacks the capability to set the limits of others (CAP_SYS_RESOURCE)"
    return ""


def _capabilities() -> int:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1], 16) if found else 0


def explained(said: str) -> EngineUnavailable:
    """What to do when bubblewrap cannot make a sandbox; `said` is what it wrote."""
    message = f"bubblewrap cannot make a sandbox here: {said or 'it said nothing'}"
    for name, closed, hint in _SWITCHES:
        if _setting(name) == closed:
            return EngineUnavailable(f"{message} ({name} is {closed})", hint=hint)
    if "namespace" in said or "uid map" in said or "unshare" in said:
        hint = "this process may not make namespaces: it may itself run in a container; there the host has to allow it"
    elif "proc" in said:
        hint = "a container that hides parts of /proc does not let others be mounted: run on the host, or in a VM"
    else:
        hint = "`bwrap --unshare-all --ro-bind / / true` tries the same by hand"
    return EngineUnavailable(message, hint=hint)


_SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user.max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor lets only programs with a profile do this: sudo apt install apparmor-profiles, then "
        "sudo ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ and "
        "sudo systemctl reload apparmor",
    ),
)
"""Settings of the kernel with which somebody has closed user namespaces, their closed value, and how to open them."""


def _setting(name: str) -> str | None:
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return None
