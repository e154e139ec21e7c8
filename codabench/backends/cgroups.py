"""Control groups, made by hand: bounds on memory, processes and CPUs where this user may set any.

Version 1 as root, version 2 as root or where a group was delegated to us. Nothing else on the host is changed: our
groups lie below a group that is there, have names of their own, and are removed when they are empty.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codabench.core.policy import Limits

CONTROLLERS = ("memory", "pids", "cpu")
PREFIX = "codabench-"

_PERIOD = 100_000
_PATIENCE = 5.0


@dataclass(frozen=True)
class Places:
    """Where groups can be made: by controller, the group to make them in."""

    version: int
    parents: dict[str, Path]

    def group(self, name: str, limits: Limits) -> Group:
        """A group of that name for what `limits` bounds; nothing is made yet."""
        wanted = {c: settings for c in self.parents if (settings := _settings(self.version, c, limits))}
        return Group(self.version, {c: self.parents[c] / (PREFIX + name) for c in wanted}, wanted)


@dataclass(frozen=True)
class Group:
    """The group of one container: one directory, or with version 1 one for each controller."""

    version: int
    directories: dict[str, Path]
    settings: dict[str, list[tuple[str, str]]]

    def make(self) -> None:
        """Make it and set its bounds.

        Raises
        ------
        OSError
            If the kernel does not let us.
        """
        for controller, directory in self.directories.items():
            directory.mkdir(exist_ok=True)
            for name, value in self.settings[controller]:
                # Swap has no file where the kernel does not account for it.
                if name in _SWAP and not (directory / name).exists():
                    continue
                (directory / name).write_text(value)

    def add(self, pid: int) -> None:
        """Put a process into it; what that process starts is in it, too."""
        for directory in dict.fromkeys(self.directories.values()):
            (directory / "cgroup.procs").write_text(str(pid))

    def killed_for_memory(self) -> bool:
        """Whether the kernel has killed a process of it for the group's memory."""
        if "memory" not in self.directories:
            return False
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError):
            for line in (self.directories["memory"] / name).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1]) > 0
        return False

    def remove(self) -> None:
        """Remove it. The kernel may need a moment after the last process has ended."""
        remove(self.directories.values())


_SWAP = ("memory.memsw.limit_in_bytes", "memory.swap.max")


def _settings(version: int, controller: str, limits: Limits) -> list[tuple[str, str]]:
    """Files and what is written to them, in this order."""
    if controller == "memory" and limits.memory is not None:
        if version == 2:
            return [("memory.max", str(limits.memory)), ("memory.swap.max", "0")]
        return [("memory.limit_in_bytes", str(limits.memory)), ("memory.memsw.limit_in_bytes", str(limits.memory))]
    if controller == "pids" and limits.pids is not None:
        return [("pids.max", str(limits.pids))]
    if controller == "cpu" and limits.cpus is not None:
        quota = str(max(1000, int(limits.cpus * _PERIOD)))
        if version == 2:
            return [("cpu.max", f"{quota} {_PERIOD}")]
        return [("cpu.cfs_period_us", str(_PERIOD)), ("cpu.cfs_quota_us", quota)]
    return []


def remove(directories: Iterable[Path]) -> None:
    """Remove empty groups; those that are not there are no matter."""
    end = time.monotonic() + _PATIENCE
    for directory in dict.fromkeys(directories):
        while True:
            try:
                directory.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > end:
                    break  # a later clean-up finds it
                time.sleep(0.005)
            else:
                break


def find(mountinfo: str | None = None, own: str | None = None) -> Places | None:
    """Where this process may make groups that bound memory and processes; None if nowhere.

    Parameters
    ----------
    mountinfo, own
        What ``/proc/self/mountinfo`` and ``/proc/self/cgroup`` say; None: they are read.
    """
    try:
        mounts = _mounts(Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo)
        own = Path("/proc/self/cgroup").read_text() if own is None else own
    except OSError:
        return None
    groups = {
        name: path for _, names, path in (line.split(":", 2) for line in own.splitlines()) for name in names.split(",")
    }
    first = {c: d for c in CONTROLLERS if c in groups and (d := _below(mounts.get(c), groups[c])) and _writable(d)}
    if "memory" in first:
        return Places(1, first)
    directory = _below(mounts.get(""), groups.get("", "/"))
    top = mounts[""][0] if "" in mounts else None
    while directory is not None and top is not None:
        given = _words(directory / "cgroup.subtree_control")
        if "memory" in given and _writable(directory) and os.access(directory / "cgroup.procs", os.W_OK):
            return Places(2, {c: directory for c in CONTROLLERS if c in given})
        directory = directory.parent if directory != top else None
    return None


def _mounts(text: str) -> dict[str, tuple[Path, str]]:
    """By controller, and "" for version 2: where it is mounted, and which group is the top there."""
    found: dict[str, tuple[Path, str]] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, place = before.split(" ")[3:5]
        if kind == "cgroup2":
            found[""] = Path(place), root
        elif kind == "cgroup":
            found |= {c: (Path(place), root) for c in CONTROLLERS if c in options.split(",")}
    return found


def _below(mount: tuple[Path, str] | None, group: str) -> Path | None:
    """The directory of a group; the mounted top where the group lies outside of what is mounted."""
    if mount is None:
        return None
    place, root = mount
    inside = group.removeprefix(root.rstrip("/")) if root != "/" else group
    directory = place / inside.lstrip("/")
    return directory if directory.is_dir() and ".." not in directory.parts else place


def _writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
