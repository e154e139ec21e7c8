"""The cache of a host: a cap, locks among processes, and what is left when one is killed or a disk is full."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import killed
import pytest

from codabench.core.errors import StorageError
from codabench.core.trees import TreeRef
from codabench.storage.cache import Cache
from codabench.storage.extract import remove_tree
from codabench.storage.locks import FileLock
from codabench.storage.store import Storage

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def trees(store: Storage, folder: Path, count: int, size: int = 1000) -> list[TreeRef]:
    from codabench.storage.sources import open_source

    found = []
    for n in range(count):
        place = folder / f"source{n}"
        place.mkdir()
        (place / "data").write_bytes(bytes([n]) * size)
        with open_source(place) as tree:
            found.append(store.put_tree(tree))
    return found


def names(cache: Cache) -> set[str]:
    return {kept.name.removeprefix("sha256-") for kept in cache.kept() if kept.kind == "trees"}


def named(*refs: TreeRef) -> set[str]:
    return {ref.digest.removeprefix("sha256:") for ref in refs}


# ---------------------------------------------------------------------- the cap
def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    store = Storage(tmp_path / "store", cap=2500)
    first, second, third = trees(store, tmp_path, 3)
    for ref in (first, second, first, third):
        store.cached(ref).release()
        time.sleep(0.02)
    assert names(store.kept) == named(first, third)


def test_what_is_used_stays_whatever_the_cap(tmp_path: Path) -> None:
    store = Storage(tmp_path / "store", cap=500)
    first, second = trees(store, tmp_path, 2)
    with store.cached(first) as held:
        store.cached(second).release()
        Storage(tmp_path / "store", cap=0).kept.trim()
        assert names(store.kept) == named(first)
        assert (held.path / "data").read_bytes() == bytes(1000)
    store.kept.trim()
    assert names(store.kept) == set()
    assert list(tmp_path.joinpath("store/cache/trees").iterdir()) == []


def test_archives_of_a_remote_store_count(tmp_path: Path) -> None:
    store = Storage(f"memory://{tmp_path.name}", cache=tmp_path / "cache", cap=3000)
    for ref in trees(store, tmp_path, 4):
        store.open_tree(ref).close()
    assert sum(kept.size for kept in store.kept.kept()) <= 3000
    assert len(list(store.kept.kept())) > 1


# ---------------------------------------------------------------------- several processes
def ask(url: str, ref: TreeRef, begin: Any, answers: Any) -> None:
    made: list[int] = []
    store = Storage(url)
    extract = store.materialise
    store.materialise = lambda *a, **k: (made.append(1), extract(*a, **k))  # type: ignore[method-assign,assignment,return-value,func-returns-value]
    begin.wait()
    with store.cached(ref) as held:
        answers.put((len(made), (held.path / "data").read_bytes() == bytes(3_000_000)))


def test_processes_make_a_tree_once(tmp_path: Path) -> None:
    (ref,) = trees(Storage(tmp_path / "store"), tmp_path, 1, 3_000_000)
    context = multiprocessing.get_context("spawn")
    begin, answers = context.Barrier(3), context.Queue()
    url = str(tmp_path / "store")
    asking = [context.Process(target=ask, args=(url, ref, begin, answers)) for _ in range(3)]
    for process in asking:
        process.start()
    found = [answers.get(timeout=60) for _ in asking]
    for process in asking:
        process.join()
    assert sorted(found) == [(0, True), (0, True), (1, True)]


def test_a_lock_whose_file_was_removed_is_another_lock(tmp_path: Path) -> None:
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire()
    assert not other.acquire(wait=False)
    one.path.unlink()
    assert other.acquire(wait=False)
    one.release()
    assert not FileLock(tmp_path / "lock").acquire(wait=False, shared=True)
    other.release()
    assert one.acquire(shared=True)
    assert other.acquire(shared=True)


# ---------------------------------------------------------------------- what is left
def works_alone(file: str, *arguments: object, within: tuple[str, ...] = ()) -> list[int]:
    argv = [*within, sys.executable, "-B", str(HERE / file), *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=200, check=False)
    assert ended.returncode == 0, ended.stderr
    return [int(word) for word in ended.stdout.split()]


@pytest.mark.parametrize("work", killed.WORKS)
def test_killed_at_each_step_nothing_wrong_is_left(work: str, tmp_path: Path) -> None:
    (times,) = works_alone("killed.py", work, tmp_path)
    assert times > 15


@pytest.mark.skipif(sys.platform != "linux", reason="needs name spaces")
@pytest.mark.parametrize("which", ["store", "cache", "spool", "taken"])
def test_a_full_disk_is_said_at_each_step_and_nothing_is_corrupt(which: str, tmp_path: Path) -> None:
    inside = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no name spaces for users here")
    full, kept = works_alone("full.py", which, tmp_path, within=inside)
    assert full > 20
    assert kept > 20


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no permission")
def test_a_cache_that_may_not_be_written(tmp_path: Path) -> None:
    store = Storage(tmp_path / "store")
    (ref,) = trees(store, tmp_path, 1)
    store.cache.mkdir(mode=0o500)
    with pytest.raises(StorageError) as caught:
        store.cached(ref)
    assert caught.value.code == "CB703"
    remove_tree(store.cache)
