"""Directories of root, put where an ordinary user can name them: in a mount namespace that only one thread sees.

The run directories of root are root's alone, and the sandbox is started as another user, who could not walk to them.
So the thread that starts it leaves the mounts of the process, binds each directory to a short path, and starts it
there. Nothing of this is seen from elsewhere, and all of it is gone when the thread and what it started have ended.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_NEW_MOUNTS = 0x00020000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_NO_SUID, _NO_DEVICES = 0x2, 0x4


def stage(sources: Iterable[str], place: Path) -> dict[str, str]:
    """Give this thread mounts of its own and bind `sources` below `place`.

    Parameters
    ----------
    sources
        Directories and files.
    place
        An empty directory that every user can walk to; it is covered, not written to.

    Returns
    -------
    dict
        Source -> path where this thread, and what it starts, finds it.

    Raises
    ------
    OSError
        If the kernel does not let us.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        words = (None if word is None else os.fsencode(word) for word in (source, target, kind))
        if libc.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode()):
            number = ctypes.get_errno()
            raise OSError(number, f"mount: {os.strerror(number)}", target)

    if libc.unshare(_NEW_MOUNTS):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
    mount("none", "/", None, _RECURSIVE | _PRIVATE)  # what is mounted from here on stays here
    mount("codabench", str(place), "tmpfs", _NO_SUID | _NO_DEVICES, "mode=0711")
    staged = {}
    for number, source in enumerate(dict.fromkeys(sources)):
        target = place / str(number)
        if os.path.isdir(source):
            target.mkdir()
        else:
            target.touch()
        mount(source, str(target), None, _BIND | _RECURSIVE)
        staged[source] = str(target)
    return staged
