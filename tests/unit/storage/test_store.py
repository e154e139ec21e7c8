"""Storage over a local directory and in memory: what goes in comes out, and what was changed is found."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from codabench.core.errors import ArchiveError, StorageError
from codabench.core.trees import BlobRef, TreeRef
from codabench.storage.sources import open_source, remove_tree
from codabench.storage.store import Storage


@pytest.fixture(params=["local", "memory", "file-url"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    url = {
        "local": str(tmp_path / "store"),
        "memory": f"memory://{request.node.name}",
        "file-url": f"file://{tmp_path}/store",
    }[request.param]
    return Storage(url, cache=tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "tree"
    (place / "sub" / "empty").mkdir(parents=True)
    (place / "run.sh").write_text("#!/bin/sh\n")
    (place / "run.sh").chmod(0o755)
    (place / "sub" / "é x.txt").write_bytes(b"\x00data" * 1000)
    return place


def put(store: Storage, path: Path) -> TreeRef:
    with open_source(path) as source:
        return store.put_tree(source)


def zipped(folder: Path, target: Path, *, directories: bool = False, level: int = 0) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*"), reverse=True):
            empty = path.is_dir() and not any(path.iterdir())
            if path.is_file() or directories or empty:
                archive.write(path, path.relative_to(folder))
    return target


def listed(place: Path) -> dict[str, tuple[str, bytes]]:
    return {
        str(p.relative_to(place)): (
            "dir" if p.is_dir() else oct(p.stat().st_mode),
            b"" if p.is_dir() else p.read_bytes(),
        )
        for p in place.rglob("*")
    }


@pytest.mark.parametrize("data", [b"", b"x", b"\x00" * 3_000_000])
def test_blobs_come_back(store: Storage, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    refs = {store.put(data), store.put(io.BytesIO(data)), store.put(tmp_path / "file")}
    assert len(refs) == 1
    (ref,) = refs
    assert ref.size == len(data)
    assert store.get(ref) == data


def test_what_is_not_stored_says_so(store: Storage) -> None:
    with pytest.raises(StorageError, match="cannot be read") as caught:
        store.get(BlobRef(sha256="0" * 64, size=1))
    assert caught.value.code == "CB701"


def test_digests_agree_whatever_the_archive(store: Storage, folder: Path, tmp_path: Path) -> None:
    refs = [
        put(store, folder),
        put(store, zipped(folder, tmp_path / "a.zip")),
        put(store, zipped(folder, tmp_path / "b.zip", directories=True)),
        put(store, zipped(folder, tmp_path / "c.zip", level=9)),
    ]
    assert len({r.digest for r in refs}) == 1
    assert len({r.archive for r in refs}) >= 3
    (folder / "sub" / "empty").rmdir()
    assert put(store, folder).digest != refs[0].digest


def test_a_download_returns_the_bytes_of_the_upload(store: Storage, folder: Path, tmp_path: Path) -> None:
    archive = zipped(folder, tmp_path / "a.zip", directories=True, level=3)
    ref = put(store, archive)
    assert store.get(BlobRef(sha256=ref.archive, size=ref.size)) == archive.read_bytes()
    assert (ref.size, ref.files) == (archive.stat().st_size, 2)


@pytest.mark.parametrize("packed", [False, True])
def test_a_tree_comes_out_as_it_went_in(store: Storage, folder: Path, tmp_path: Path, packed: bool) -> None:
    ref = put(store, zipped(folder, tmp_path / "a.zip") if packed else folder)
    out = tmp_path / "out"
    out.mkdir()
    store.materialise(ref, out)
    assert listed(out) == listed(folder)
    assert {e.path for e in store.entries(ref)} == {"run.sh", "sub/é x.txt", "sub/empty"}
    assert put(store, out).digest == ref.digest


def test_a_read_only_copy_for_somebody_else(store: Storage, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    owner = (1234, 5678) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    store.materialise(put(store, folder), out, owner=owner, read_only=True)
    for path in out.rglob("*"):
        assert not path.stat().st_mode & 0o222
        assert (path.stat().st_uid, path.stat().st_gid) == owner
    remove_tree(out)
    assert not out.exists()


def blob_path(store: Storage, sha256: str) -> Path:
    return Path(store.url.removeprefix("file://")) / "blobs" / sha256[:2] / sha256


@pytest.mark.parametrize("store", ["local"], indirect=True)
def test_a_changed_blob_is_found(store: Storage) -> None:
    ref = store.put(b"the truth")
    blob_path(store, ref.sha256).write_bytes(b"the truth!")
    with pytest.raises(StorageError, match="does not have its digest") as caught:
        store.get(ref)
    assert caught.value.code == "CB702"


@pytest.mark.parametrize("store", ["local"], indirect=True)
def test_a_changed_tree_is_found(store: Storage, folder: Path, tmp_path: Path) -> None:
    ref = put(store, folder)
    place = blob_path(store, ref.archive)
    place.write_bytes(place.read_bytes().replace(b"\x00data", b"\x00dada", 1))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises((StorageError, ArchiveError)):
        store.materialise(ref, out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("store", ["memory"], indirect=True)
def test_a_changed_tree_of_a_remote_store_is_found(store: Storage, folder: Path) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    ref = put(store, folder)
    (path,) = (p for p in MemoryFileSystem.store if p.endswith(ref.archive) and store.objects.path("") in p)
    content = bytearray(MemoryFileSystem.store[path].getvalue())
    content[50] ^= 1
    MemoryFileSystem.store[path].seek(0)
    MemoryFileSystem.store[path].write(bytes(content))
    with pytest.raises(StorageError, match="does not have its digest"):
        store.cached(ref)
    assert [p for p in store.cache.rglob("[!.]*") if p.is_file()] == []


def test_a_cached_tree_is_made_once(store: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = put(store, folder)
    together, found = threading.Barrier(8), []

    def ask() -> None:
        together.wait()
        found.append(store.cached(ref).path)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert (found[0] / "run.sh").read_text() == "#!/bin/sh\n"
    assert [p.name for p in found[0].parent.glob("[!.]*")] == [found[0].name]
    monkeypatch.setattr(store, "materialise", None)  # what is there is not made again
    assert store.cached(ref).path == found[0]


def test_a_cached_tree_may_not_be_written(store: Storage, folder: Path) -> None:
    place = store.cached(put(store, folder)).path
    assert all(not p.stat().st_mode & 0o222 for p in place.rglob("*"))
    assert place.stat().st_mode & 0o005 == 0o005


def test_what_is_mounted_has_the_modes_that_a_copy_of_it_needs(store: Storage, folder: Path) -> None:
    ref = put(store, folder)
    place = store.cached(ref, mounted=True).path
    assert all(p.stat().st_mode & 0o200 for p in (place, *place.rglob("*")))
    assert place != store.cached(ref).path
    assert place == store.cached(ref, mounted=True).path


def test_results_of_attempts(store: Storage) -> None:
    assert store.get_result("run", "attempt") is None
    store.put_result("run", "attempt", {"a": [1, "é"]})
    assert store.get_result("run", "attempt") == {"a": [1, "é"]}
    assert store.get_result("run", "other") is None


def test_nothing_is_left_in_between(store: Storage, folder: Path) -> None:
    put(store, folder)
    store.put_result("r", "a", {})
    if "memory" not in store.url:
        root = Path(store.url.removeprefix("file://"))
        assert list((root / "incoming").iterdir()) == []
        assert not list(root.rglob(".*"))


def test_a_directory_opened_again_has_everything(tmp_path: Path, folder: Path) -> None:
    ref = put(Storage(tmp_path / "store"), folder)
    out = tmp_path / "out"
    out.mkdir()
    Storage(tmp_path / "store").materialise(ref, out)
    assert listed(out) == listed(folder)


@pytest.mark.parametrize("url", ["nosuch://x", "/proc/nothing/here", "/dev/null/x"])
def test_a_place_that_cannot_store(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        Storage(url)
    assert caught.value.code == "CB704"


def test_a_full_or_closed_place_is_named(tmp_path: Path) -> None:
    store = Storage(tmp_path / "store")
    (tmp_path / "store" / "blobs").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        store.put(b"x")
    assert caught.value.hint


def test_a_cache_of_its_own_goes_with_the_store(folder: Path) -> None:
    store = Storage("memory://own-cache")
    place = store.cached(put(store, folder)).path
    store.close()
    assert not place.exists()
    assert not store.cache.exists()


def modes(place: Path) -> None:
    (place / "a" / "b").mkdir(parents=True)
    (place / "a" / "b" / "file").write_text("x")
    (place / "link").symlink_to("/etc")
    os.mkfifo(place / "fifo")
    for path, mode in (("a/b/file", 0), ("a/b", 0), ("a", 0o111), (".", 0o500)):
        (place / path).chmod(mode)


def make_and_remove(folder: Path) -> None:
    place = folder / "odd"
    place.mkdir()
    modes(place)
    remove_tree(place)
    assert not place.exists()
    remove_tree(place)  # what is gone stays gone


def test_odd_modes_are_removed(tmp_path: Path) -> None:
    make_and_remove(tmp_path)
    assert Path("/etc").is_dir()


def test_odd_modes_are_removed_by_an_ordinary_user(nobody: Any) -> None:
    assert nobody.does(make_and_remove)
