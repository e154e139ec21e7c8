"""A gigabyte into storage on this host and out of it, against copying it and counting its sha256."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import Benchmark, Side, milliseconds

SIZE = 1 << 30
LEAST = 0.7
"""Of the throughput of copy and sha256."""
_PIECE = 1 << 20


def write(path: Path) -> None:
    """Bytes that no file system stores in less room."""
    with path.open("wb") as file:
        for _ in range(SIZE // _PIECE):
            file.write(os.urandom(_PIECE))


def bare(source: Path, target: Path) -> None:
    """Copy a file, and read the copy again for its digest."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def _sides(prepare: Callable[[Path, Path], Callable[[Path], object]]) -> Iterator[tuple[Side, Side]]:
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text:
        folder = Path(text)
        source, target = folder / "source", folder / "target"
        write(source)
        ours = prepare(source, folder)

        def measured(action: Callable[[Path], object]) -> float:
            try:
                return milliseconds(lambda: action(target))
            finally:
                shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)

        yield lambda: measured(ours), lambda: measured(lambda target: bare(source, target))


def _putting(source: Path, folder: Path) -> Callable[[Path], object]:
    from codabench.storage.store import Storage

    return lambda target: Storage(target).put(source)


def _getting(source: Path, folder: Path) -> Callable[[Path], object]:
    from codabench.storage.store import Storage

    storage = Storage(folder / "store")
    ref = storage.put(source)
    return lambda target: storage.save(ref, target)


def _putting_a_tree(source: Path, folder: Path) -> Callable[[Path], object]:
    from codabench.storage.sources import open_source
    from codabench.storage.store import Storage

    packed = folder / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(source, "data.bin")

    def put(target: Path) -> None:
        with open_source(packed) as tree:
            Storage(target).put_tree(tree)

    return put


put = Benchmark(
    name="storage_gigabyte_put",
    about="a file of 1 GiB put into a storage, on the disk when it ends, against copying it and counting its sha256",
    unit="ms",
    sides=contextmanager(lambda: _sides(_putting)),
    must=("ratio", 1 / LEAST),
    most=7,
)
get = Benchmark(
    name="storage_gigabyte_get",
    about="a file of 1 GiB got from a storage, verified, against copying it and counting its sha256",
    unit="ms",
    sides=contextmanager(lambda: _sides(_getting)),
    must=("ratio", 1 / LEAST),
    most=7,
)
tree = Benchmark(
    name="storage_gigabyte_tree",
    about="a zip with a file of 1 GiB put into a storage: both have a sha256; against copying and one sha256",
    unit="ms",
    sides=contextmanager(lambda: _sides(_putting_a_tree)),
    most=5,
)
