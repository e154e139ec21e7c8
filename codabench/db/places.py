"""On which file systems a database in WAL mode can lie."""

from __future__ import annotations

import re
from pathlib import Path

NETWORK = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs")
) | frozenset(
    ("glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf")
)
MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(place: Path) -> str | None:
    """The kind of network file system that a directory lies on; None for a local one, or if nobody can tell.

    Only Linux says what is mounted where.
    """
    try:
        mounts = MOUNTS.read_text(errors="replace")
        kind = file_system(place.resolve(), mounts)
    except OSError:
        return None
    return kind if kind in NETWORK else None


def file_system(place: Path, mounts: str) -> str | None:
    """The kind of the file system that an absolute path lies on, by the text of ``/proc/self/mountinfo``."""
    best, kind = -1, None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(_unescaped(before.split(" ")[4]))
        # A later mount at the same place hides the earlier one.
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind


def _unescaped(name: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), name)
