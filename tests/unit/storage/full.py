"""Stores on disks of all sizes, from too small for anything on, and looks at what is left; see test_cache.py.

full.py store|cache|spool|taken FOLDER      in a name space of its own (unshare -Urm); prints how often a disk was full
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codabench.core.errors import StorageError
from codabench.core.trees import BlobRef, TreeRef
from codabench.storage.sources import open_source
from codabench.storage.store import Storage
from codabench.storage.sweep import Reachable, sweep

DATA = random.Random(1).randbytes(150_000)


def mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def opened(which: str, disk: Path, name: str, folder: Path) -> Storage:
    if which == "store":
        return Storage(disk / "store", cache=folder / name)
    if which == "spool":
        os.environ["TMPDIR"] = tempfile.tempdir = str(disk)
        return Storage(f"memory://{name}", cache=folder / name)
    return Storage(f"memory://{name}", cache=disk / "cache")


def taken_out(folder: Path, disk: Path) -> tuple[int, int]:
    """What is taken out of a storage to such disks: how often one was full, and not. Half a file is not left."""
    full, kept = 0, 0
    store = Storage(folder / "store")
    ref = store.put(DATA)
    with open_source(folder / "tree") as source:
        tree = store.put_tree(source)
    for pages in [*range(1, 40, 2), *range(40, 100, 5)]:
        mount(disk, f"size={4 * pages}k")
        (disk / "place").mkdir()
        for take, found in (
            (lambda: store.save(ref, disk / "file"), disk / "file"),
            (lambda: store.materialise(tree, disk / "place"), disk / "place" / "data.bin"),
        ):
            try:
                take()
                assert found.read_bytes() == DATA
                found.unlink()
                kept += 1
            except StorageError as error:
                if error.code != "CB707" or not error.hint:
                    raise
                assert found.name != "file" or not found.exists()
                found.unlink(missing_ok=True)
                full += 1
        subprocess.run(["umount", disk], check=True)
    assert sweep(store, lambda: Reachable((), ()), verify=True).damaged == ()
    return full, kept


def main(which: str, folder: Path) -> None:
    (folder / "tree").mkdir()
    (folder / "tree" / "data.bin").write_bytes(DATA)
    disk, full, kept = folder / "disk", 0, 0
    disk.mkdir()
    if which == "taken":
        print(*taken_out(folder, disk))
        return
    for pages in [*range(1, 40, 2), *range(40, 240, 8)]:
        mount(disk, f"size={4 * pages}k")
        store = opened(which, disk, f"{which}{pages}", folder)
        trees: list[TreeRef] = []
        blobs: list[BlobRef] = []

        def put_tree() -> None:
            with open_source(folder / "tree") as tree:
                trees.append(store.put_tree(tree))  # noqa: B023 - called at once

        def use(**how: Any) -> None:
            for ref in trees:  # noqa: B023
                with store.cached(ref, **how) as held:  # noqa: B023
                    assert (held.path / "data.bin").read_bytes() == DATA

        actions: list[Callable[[], object]] = [
            lambda: blobs.append(store.put(DATA[:70_000])),  # noqa: B023
            put_tree,
            lambda: store.put_result("run", "attempt", {"n": 1}),  # noqa: B023
            use,
            lambda: use(mounted=True),
        ]
        for action in actions:
            try:
                action()
                kept += 1
            except StorageError as error:
                if error.code != "CB707" or not error.hint:
                    raise
                full += 1
        mount(disk, "remount,size=16m")
        assert all(store.get(ref) == DATA[:70_000] for ref in blobs)
        assert sweep(store, lambda: Reachable((), ()), verify=True).damaged == ()
        for action in actions:
            action()
        if which == "store":
            assert list((disk / "store" / "incoming").iterdir()) == []
        subprocess.run(["umount", disk], check=True)
    print(full, kept)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
