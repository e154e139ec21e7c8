"""Directories for temporary files that say whose they are, so that those of processes that were killed can go."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from codabench.backends.owner import Owner, myself

PREFIX, OWNER = "codabench-", ".owner"
_LONGEST = 4096
"""Bytes of an owner."""


def make_scratch() -> Path:
    """A new directory for temporary files of this process."""
    place = Path(tempfile.mkdtemp(prefix=PREFIX))
    (place / OWNER).write_text(myself().label())
    return place


def disown(place: Path) -> None:
    """Have a directory stay when this process has ended: somebody wants to look at it."""
    (place / OWNER).unlink(missing_ok=True)


def abandoned(parent: Path) -> list[Path]:
    """The directories of this user in `parent` whose process is certainly gone.

    What cannot be known from here, as of another machine or of another namespace of processes, is not among them.
    """
    with suppress(OSError), os.scandir(parent) as listed:
        return [Path(each.path) for each in listed if each.name.startswith(PREFIX) and _is_abandoned(each)]
    return []


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    try:
        # Others may write into the directory for temporary files, too: what they say in theirs is not asked.
        if not entry.is_dir(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_uid != os.geteuid():
            return False
        with open(os.open(Path(entry.path, OWNER), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            owner = Owner.of_label(file.read(_LONGEST).decode("utf-8", "replace"))
    except OSError:
        return False
    return owner is not None and owner.is_dead()
