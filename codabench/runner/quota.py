"""What programs write while they run: counted again and again, so that a disk is not filled (security.md C05)."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from codabench.core.policy import MIB, Limits
from codabench.core.text import human_size

RESERVE = 512 * MIB
"""Bytes of the disk that programs never get."""
LARGE = 64 * MIB
"""A run that wrote less than this is not ended where the disk is nearly full: it is not the one that filled it."""
DEPTH = 64
LOOK, SHARE = 0.5, 0.1
"""Seconds between two looks, and the most of our own time that they take."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Quota:
    """Bytes and files in the writable directories of a run, and room on their disk.

    The directories are written by hostile programs at the same time: they are walked by descriptors, no link is
    followed, and nothing is opened but directories.

    Parameters
    ----------
    disk
        A path on the disk of which a reserve is kept.
    """

    def __init__(self, directories: Iterable[Path], limits: Limits, disk: Path, *, reserve: int = RESERVE) -> None:
        self._directories, self._limits, self._disk, self._reserve = tuple(directories), limits, disk, reserve
        self._next = 0.0
        self._bytes = self._files = 0

    def exceeded(self) -> str | None:
        """Why the programs must end, if they must; looks only now and then."""
        began = time.monotonic()
        if began < self._next:
            return None
        self._count()
        free = shutil.disk_usage(self._disk).free
        self._next = began + max(LOOK, (time.monotonic() - began) / SHARE)
        most, files = self._limits.output, self._limits.output_files
        if most is not None and self._bytes > most:
            return f"its programs wrote {human_size(self._bytes)}, and the limit is {human_size(most)}"
        if files is not None and self._files > files:
            return f"its programs wrote {self._files} files, and the limit is {files}"
        if free < self._reserve and self._bytes > LARGE:
            return f"the disk of this machine is nearly full, and its programs wrote {human_size(self._bytes)}"
        return None

    @property
    def disk_full(self) -> bool:
        """Whether it was the disk, not a limit, that ended them: then the machine is to blame."""
        most, files = self._limits.output, self._limits.output_files
        return not ((most is not None and self._bytes > most) or (files is not None and self._files > files))

    def _count(self) -> None:
        self._bytes = self._files = 0
        for directory in self._directories:
            try:
                self._walk(os.open(directory, _DIRECTORY), 0)
            except OSError:
                continue  # not there yet, or locked away by the program: what is in it counts at the end

    def _walk(self, folder: int, depth: int) -> None:
        """Count what is below a descriptor, and close it."""
        try:
            for entry in os.scandir(folder):
                try:
                    status = entry.stat(follow_symlinks=False)
                    self._files += 1
                    self._bytes += status.st_blocks * 512
                    if stat.S_ISDIR(status.st_mode) and depth < DEPTH:
                        self._walk(os.open(entry.name, _DIRECTORY, dir_fd=folder), depth + 1)
                except OSError:
                    continue  # gone in between, or a link by now
        finally:
            os.close(folder)
