"""Kills a process with SIGKILL at each thing that it asks of the system, and looks at what is left; see test_cache.py.

killed.py NAME FOLDER       NAME of `WORKS`; prints how many were killed
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from codabench.core.trees import TreeRef
from codabench.storage.sources import open_source
from codabench.storage.store import Storage
from codabench.storage.sweep import Reachable, sweep

FILES = {"a.txt": b"a" * 5000, "sub/b.txt": b"b"}


def source(folder: Path) -> Path:
    for name, data in FILES.items():
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "tree" / name).write_bytes(data)
    return folder / "tree"


def put(store: Storage, folder: Path) -> TreeRef:
    with open_source(folder / "tree") as tree:
        return store.put_tree(tree)


def whole(place: Path) -> bool:
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()} == FILES


def putting(store: Storage, folder: Path, ref: TreeRef) -> None:
    put(store, folder)
    store.put_result("run", "attempt", {"n": 1})


def caching(store: Storage, folder: Path, ref: TreeRef) -> None:
    store.cached(ref).release()


def caching_again(store: Storage, folder: Path, ref: TreeRef) -> None:
    """With an old copy that was changed in the way."""
    with store.cached(ref, mounted=True) as held:
        (held.path / "a.txt").write_bytes(b"changed")
    store.cached(ref, mounted=True).release()


def trimming(store: Storage, folder: Path, ref: TreeRef) -> None:
    store.cached(ref).release()
    store.kept.cap = 0
    store.kept.trim()


def sweeping(store: Storage, folder: Path, ref: TreeRef) -> None:
    store.put(b"nobody needs this")
    store.cached(ref).release()
    kept = {ref.archive, ref.digest.partition(":")[2]}
    sweep(store, lambda: Reachable(kept, ()), older_than=-1, dry_run=False)


WORKS: dict[str, Callable[[Storage, Path, TreeRef], None]] = {
    each.__name__: each for each in (putting, caching, caching_again, trimming, sweeping)
}


def killed_at(n: int, work: Callable[[], None]) -> bool:
    """Whether a child that does it was killed at its n-th event; False: it came to its end."""
    child = os.fork()
    if child == 0:
        left = n

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event == "open" or event.startswith(("os.", "fcntl.", "shutil.")):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, f"it failed by itself after {n} events"
    return False


def check(name: str, store: Storage, folder: Path, ref: TreeRef) -> None:
    """What is there is right, and what was interrupted can be done again."""
    damaged = sweep(store, lambda: Reachable((), ()), verify=True).damaged
    assert [item for item in damaged if item.kind != "cache" or name != "caching_again"] == []
    assert put(store, folder) == ref
    for mounted in (False, True):
        with store.cached(ref, mounted=mounted) as held:
            assert whole(held.path)
    sweep(store, lambda: Reachable((), ()), older_than=-1, dry_run=False)
    left = [p for p in (Path(store.url)).rglob("*") if p.is_file() and p.name != ".lock"]
    assert left == [], left


def main(name: str, folder: Path) -> None:
    source(folder)
    n = 1
    while True:
        store = Storage(folder / str(n))
        ref = put(store, folder) if name != "putting" else put(Storage(folder / "other"), folder)
        more = killed_at(n, lambda: WORKS[name](store, folder, ref))  # noqa: B023 - called at once
        check(name, Storage(folder / str(n)), folder, ref)
        if not more:
            break
        n += 1
    print(n - 1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
