"""What processes that were killed have left among the temporary files of this host."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from codabench.backends.scratch import OWNER, abandoned
from codabench.storage.sources import remove_tree


@functools.cache
def clear_left(parent: Path) -> None:
    """Remove what was left in a directory; once in a process, and nobody waits for it, for it may be much."""
    if left := abandoned(parent):
        threading.Thread(target=remove, args=(left,), name="codabench-leftovers", daemon=True).start()


def remove(places: Iterable[Path]) -> None:
    """Remove directories. What says whose they are goes last: whoever is killed meanwhile leaves them to the next."""
    for place in places:
        with suppress(OSError):  # somebody else removes it, too, or something in it is not ours
            for each in place.iterdir():
                if each.is_dir() and not each.is_symlink():
                    remove_tree(each)
                elif each.name != OWNER:
                    each.unlink()
            remove_tree(place)
