"""Garbage collection: what no row of the database names, and is older than a grace period, goes.

What is written before its row is named by nothing for a while; the grace period is for that. Content that comes again
is renewed when it is put (`Storage.put`), and each object is looked at once more right before it is removed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from codabench.core.base import Record
from codabench.core.errors import StorageError
from codabench.core.text import human_size, plural
from codabench.core.trees import BlobRef
from codabench.storage.objects import INCOMING, LIVE, Found

if TYPE_CHECKING:
    import pandas as pd

    from codabench.storage.store import Storage

GRACE = 24 * 3600.0
"""Seconds for which nothing is removed that was written, renewed or used."""


class Reachable(NamedTuple):
    """What must stay.

    Attributes
    ----------
    digests
        Hexadecimal sha256 of blobs, archives and trees.
    attempts
        Identifiers of attempts.
    """

    digests: Collection[str]
    attempts: Collection[str]


class Item(Record):
    """Something in the storage or in the cache of this host.

    Attributes
    ----------
    kind
        ``blob``, ``tree`` (a manifest), ``attempt``, ``live``, ``incoming``, ``cache``.
    age
        Seconds since it was written, renewed or used.
    why
        Empty if nothing names it; else what is wrong with it.
    """

    kind: str
    name: str
    size: int
    age: float
    why: str = ""


class Sweep(Record):
    """What a collection removed, or would remove.

    Attributes
    ----------
    dry_run
        Nothing was removed.
    items
        What is not needed any more.
    damaged
        What has not the digest that is its name. In the cache it was removed; in the storage it is left as it is.
    kept
        Objects of the storage that stay, and their bytes.
    """

    dry_run: bool
    items: tuple[Item, ...]
    damaged: tuple[Item, ...] = ()
    kept: tuple[int, int] = (0, 0)

    @property
    def size(self) -> int:
        """Bytes of what goes."""
        return sum(item.size for item in self.items)

    def to_frame(self) -> pd.DataFrame:
        """One row for each thing, the damaged ones last."""
        import pandas as pd

        return pd.DataFrame([item.model_dump() for item in (*self.items, *self.damaged)], columns=[*Item.model_fields])

    def __str__(self) -> str:
        kinds = dict.fromkeys(item.kind for item in self.items)
        lines = [_line(kind, [item for item in self.items if item.kind == kind]) for kind in kinds]
        lines += [f"damaged: {item.kind} {item.name}: {item.why}" for item in self.damaged]
        done = "would be removed" if self.dry_run else "removed"
        count = plural(len(self.items), "object")
        return "\n".join([*lines, f"{count} {done}, {human_size(self.size)}; {self.kept[0]} stay"])

    __repr__ = __str__


def _line(kind: str, items: list[Item]) -> str:
    return f"{kind:10} {len(items):7}  {human_size(sum(item.size for item in items))}"


def sweep(
    storage: Storage,
    reachable: Callable[[], Reachable],
    *,
    older_than: float = GRACE,
    dry_run: bool = True,
    verify: bool = False,
) -> Sweep:
    """Remove what is not reachable and older than so many seconds, from the storage and from the cache of this host.

    Parameters
    ----------
    reachable
        Called once, after the storage was listed: what was put before is then either named, or young.
    older_than
        Below an hour only while nobody else writes: what is put meanwhile, and was there, might go.
    verify
        Read every blob and every cached tree, and compare them with their digests.

    Raises
    ------
    StorageError
        The storage cannot be listed, or something cannot be removed.
    """
    now = time.time()
    before = now - older_than
    listed = [(kind, found) for kind, prefix in _PREFIXES.items() for found in storage.objects.listed(prefix)]
    needed = reachable()
    gone: list[Item] = []
    kept: list[tuple[str, Found]] = []
    for kind, found in listed:
        if found.at >= before or _NEEDED[kind](found.name, needed):
            kept.append((kind, found))
        elif dry_run or storage.objects.remove(found.name, before):
            gone.append(_item(kind, found, now))
    for found, abort in storage.objects.unfinished(before):
        gone.append(_item("incoming", found, now))
        if not dry_run:
            abort()
    damaged = [*_damaged_blobs(storage, kept, now)] if verify else []
    damaged += _damaged_cache(storage, now, dry_run=dry_run) if verify else []
    gone += _unused(storage, needed, now, before, dry_run=dry_run)
    sizes = [found.size for _, found in kept]
    return Sweep(dry_run=dry_run, items=tuple(gone), damaged=tuple(damaged), kept=(len(sizes), sum(sizes)))


_PREFIXES = {"blob": "blobs", "tree": "trees", "attempt": "attempts", "live": LIVE, "incoming": INCOMING}
_NEEDED: dict[str, Callable[[str, Reachable], bool]] = {
    "blob": lambda name, needed: name.rpartition("/")[2] in needed.digests,
    "tree": lambda name, needed: name.rpartition("/")[2].removesuffix(".json") in needed.digests,
    "attempt": lambda name, needed: name.rpartition("/")[2] in needed.attempts,
    "live": lambda name, needed: False,
    "incoming": lambda name, needed: False,
}


def _item(kind: str, found: Found, now: float, why: str = "") -> Item:
    return Item(kind=kind, name=found.name, size=found.size, age=round(now - found.at, 1), why=why)


def _unused(storage: Storage, needed: Reachable, now: float, before: float, *, dry_run: bool) -> Iterator[Item]:
    for kept in storage.kept.kept():
        digest = kept.name.removeprefix("sha256-")
        if kept.used < before and digest not in needed.digests and (dry_run or storage.kept.remove(kept)):
            yield _item("cache", Found(f"{kept.kind}/{kept.name}", kept.size, kept.used), now)


def _damaged_cache(storage: Storage, now: float, *, dry_run: bool) -> Iterator[Item]:
    for kept in storage.kept.changed():
        found = Found(f"{kept.kind}/{kept.name}", kept.size, kept.used)
        went = not dry_run and storage.kept.remove(kept)
        yield _item("cache", found, now, "it was changed" + ("; removed" if went else ""))


def _damaged_blobs(storage: Storage, kept: list[tuple[str, Found]], now: float) -> Iterator[Item]:
    for kind, found in kept:
        sha256 = found.name.rpartition("/")[2]
        if kind != "blob":
            continue
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            yield _item(kind, found, now, "its name is not a digest")
            continue
        why = _wrong(storage, BlobRef(sha256=sha256, size=found.size))
        if why:
            yield _item(kind, found, now, why)


def _wrong(storage: Storage, ref: BlobRef) -> str:
    if ref.size == 0:
        return "" if ref.sha256 == hashlib.sha256().hexdigest() else "it is empty"
    try:
        with storage.open(ref) as stream:
            while stream.read(1 << 20):
                pass
    except StorageError as error:
        return error.message
    return ""
