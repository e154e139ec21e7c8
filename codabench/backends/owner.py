"""Who made a container: the value of the owner label, and whether that process is provably dead."""

from __future__ import annotations

import functools
import os
import platform
import secrets
import subprocess
import sys
from pathlib import Path

from codabench.core.base import Record


class Owner(Record):
    """A process that makes containers, named so that nobody else can be taken for it.

    Attributes
    ----------
    machine
        Host name and machine id: an engine may serve several machines.
    boot
        Identifies the boot; a process of an earlier one is dead.
    namespace
        The process namespace that `pid` is counted in: a library inside a container shares the boot with its host.
    started
        When the process started: numbers are used again.
    token
        Random; one engine object.
    """

    machine: str
    boot: str
    namespace: str
    pid: int
    started: str
    token: str

    def label(self) -> str:
        """The value of the label."""
        return self.model_dump_json()

    @classmethod
    def of_label(cls, value: str) -> Owner | None:
        """The owner that a label names; None if it is not one of ours."""
        try:
            return cls.model_validate_json(value)
        except ValueError:
            return None

    def is_dead(self) -> bool:
        """Whether the process is certainly gone. What cannot be known from here counts as alive."""
        if self.machine != _machine():
            return False
        if self.boot != _boot():
            return True
        if self.namespace != _namespace():
            return False
        return _started(self.pid) != self.started


def myself() -> Owner:
    """A new owner: this process, and a random token."""
    pid = os.getpid()
    return Owner(
        machine=_machine(),
        boot=_boot(),
        namespace=_namespace(),
        pid=pid,
        started=_started(pid) or "",
        token=secrets.token_hex(8),
    )


@functools.cache
def _machine() -> str:
    return f"{platform.node()}:{_text('/etc/machine-id') or _text('/var/lib/dbus/machine-id')}"


@functools.cache
def _boot() -> str:
    return _text("/proc/sys/kernel/random/boot_id") or _says("sysctl", "-n", "kern.bootsessionuuid")


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started; None if there is no such process, or only its zombie."""
    if sys.platform != "linux":
        return _says("ps", "-o", "lstart=", "-p", str(pid)) or None
    stat = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return stat[19] if stat and stat[0] not in ("Z", "X") else None


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _says(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except OSError:
        return ""
