"""What holds of every storage: a directory of this host, memory, and an S3 server."""

from __future__ import annotations

import hashlib
import io
import os
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codabench.core.errors import ArchiveError, StorageError, UsageError
from codabench.core.trees import BlobRef, TreeRef
from codabench.storage import cache
from codabench.storage.sources import open_source, zip_from_stream
from codabench.storage.store import Storage, Upload
from codabench.storage.sweep import Reachable, sweep

MIB = 1 << 20


class Place:
    """A storage, and how to reach behind it."""

    def __init__(self, kind: str, url: str, cache: Path, options: dict[str, Any] | None) -> None:
        self.kind, self.url, self.cache, self.options = kind, url, cache, options
        self.store = self.open("cache")

    def open(self, cache: str, **more: Any) -> Storage:
        """The same storage for another host."""
        return Storage(self.url, cache=self.cache / cache, options=self.options, **more)

    def names(self) -> set[str]:
        """Everything that is in it."""
        prefixes = ("blobs", "trees", "attempts", "live", "incoming")
        return {found.name for prefix in prefixes for found in self.store.objects.listed(prefix)}

    def spoil(self, name: str, data: bytes) -> None:
        """Write other bytes under a name, as no storage would."""
        self.store.objects.put_bytes(name, data)


@pytest.fixture(scope="module")
def bucket(s3: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    import s3fs

    fs = s3fs.S3FileSystem(**s3.options(), skip_instance_cache=True)
    name = f"contract-{uuid.uuid4().hex[:12]}"
    fs.mkdir(name)
    yield name, s3.options()
    fs.rm(name, recursive=True)


@pytest.fixture(params=["local", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    unique = uuid.uuid4().hex
    if request.param == "s3":
        name, options = request.getfixturevalue("bucket")
        return Place("s3", f"s3://{name}/{unique}", tmp_path, options)
    url = str(tmp_path / "store") if request.param == "local" else f"memory://{unique}"
    return Place(request.param, url, tmp_path, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "sub" / "empty").mkdir(parents=True)
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o755)
    (made / "sub" / "é x.txt").write_bytes(b"\x00data" * 1000)
    return made


def put(store: Storage, path: Path) -> TreeRef:
    with open_source(path) as source:
        return store.put_tree(source)


def blob(ref: BlobRef | TreeRef) -> str:
    sha256 = ref.sha256 if isinstance(ref, BlobRef) else ref.archive
    return f"blobs/{sha256[:2]}/{sha256}"


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


# ---------------------------------------------------------------------- what goes in comes out
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=5000))
def test_bytes_come_back(place: Place, data: bytes) -> None:
    ref = place.store.put(io.BytesIO(data))
    assert ref == BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    assert place.store.get(ref) == data


def test_a_tree_comes_back_and_its_archive_is_what_was_uploaded(place: Place, folder: Path, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    with zip_from_stream(io.BytesIO(packed.getvalue()), name="upload") as source:
        ref = place.store.put_tree(source)
    assert put(place.store, folder).digest == ref.digest
    assert place.store.get(BlobRef(sha256=ref.archive, size=ref.size)) == packed.getvalue()
    out = tmp_path / "out"
    out.mkdir()
    place.open("another").materialise(ref, out)
    assert content(out) == content(folder)
    with place.store.cached(ref) as held:
        assert content(held.path) == content(folder)


def test_many_bytes_pass_through_little_memory(place: Place, tmp_path: Path) -> None:
    import tracemalloc

    if place.kind == "memory":
        pytest.skip("that is where they are kept")
    size = 160 * MIB  # several requests of S3
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    ref = place.store.put(tmp_path / "big")
    place.store.save(ref, tmp_path / "back")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ref.size == (tmp_path / "back").stat().st_size == size
    assert peak < 110 * MIB, peak
    (tmp_path / "back").unlink()


def test_what_is_there_is_not_written_again(place: Place) -> None:
    ref = place.store.put(b"once")
    (before,) = [f for f in place.store.objects.listed("blobs") if f.name == blob(ref)]
    assert place.store.put(b"once") == ref
    assert place.store.objects.look(blob(ref)) == before


def test_what_is_there_in_part_is_written_again(place: Place) -> None:
    ref = place.store.put(b"all of it")
    place.spoil(blob(ref), b"all")
    assert place.store.put(b"all of it") == ref
    assert place.store.get(ref) == b"all of it"


# ---------------------------------------------------------------------- nothing wrong is given out
@pytest.mark.parametrize(
    "wrong", [b"the truthX", b"the trut", b"THE TRUTH", b""], ids=["more", "less", "other", "none"]
)
def test_a_changed_blob_is_found(place: Place, wrong: bytes, tmp_path: Path) -> None:
    ref = place.store.put(b"the truth")
    place.spoil(blob(ref), wrong)
    for read in (lambda: place.store.get(ref), lambda: place.store.save(ref, tmp_path / "copy")):
        with pytest.raises(StorageError) as caught:
            read()
        assert caught.value.code == "CB702"
    assert not (tmp_path / "copy").exists()


def test_a_changed_archive_is_not_extracted(place: Place, folder: Path, tmp_path: Path) -> None:
    ref = put(place.store, folder)
    good = place.store.get(BlobRef(sha256=ref.archive, size=ref.size))
    # Another name for a file: the archive is sound in itself, only its digest tells.
    place.spoil(blob(ref), good.replace(b"run.sh", b"RUN.sh"))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(StorageError) as caught:
        place.open("fresh").materialise(ref, out)
    assert caught.value.code == "CB702"
    with pytest.raises((StorageError, ArchiveError)):
        place.open("fresh").cached(ref)
    assert list(out.iterdir()) == []


@pytest.mark.row("G05")
@pytest.mark.parametrize("how", ["flipped", "truncated", "gone"])
def test_a_cached_archive_that_was_changed_is_fetched_again(place: Place, folder: Path, how: str) -> None:
    if place.kind == "local":
        pytest.skip("archives of local storage are not copied")
    ref = put(place.store, folder)
    place.store.cached(ref).release()
    kept = place.store.cache / "archives" / ref.archive
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    if how == "gone":
        kept.unlink()
    else:
        kept.write_bytes(data if how == "flipped" else data[:100])
    with place.store.open_tree(ref) as tree:
        assert tree.read_bytes("sub/é x.txt") == b"\x00data" * 1000
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == ref.archive


@pytest.mark.row("G05")
@pytest.mark.parametrize("how", ["written", "added", "removed", "mode"])
def test_a_cached_tree_that_was_changed_is_made_again(place: Place, folder: Path, how: str) -> None:
    ref = put(place.store, folder)
    with place.store.cached(ref, mounted=True) as held:
        path = held.path / "sub" / "é x.txt"
    if how == "written":
        path.write_bytes(b"\x00dada" * 1000)
    elif how == "added":
        (path.parent / "more").touch()
    elif how == "removed":
        path.unlink()
    else:
        path.chmod(0o777)
    with place.store.cached(ref, mounted=True) as held:
        assert content(held.path) == content(folder)
        assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.twin("G05")
def test_twin_a_cache_that_is_believed_gives_what_was_changed(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = put(place.store, folder)
    monkeypatch.setattr(cache, "_unchanged", lambda tree: tree.is_dir())
    with place.store.cached(ref, mounted=True) as held:
        (held.path / "run.sh").write_text("#!/bin/sh\nanother\n")
    with place.store.cached(ref, mounted=True) as held:
        assert "another" in (held.path / "run.sh").read_text()
    if place.kind == "local":
        return  # archives of local storage are not copied
    kept = place.store.cache / "archives" / ref.archive
    other = kept.with_name("other")
    other.write_bytes(zip_of({"run.sh": b"another"}))
    other.replace(kept)
    monkeypatch.setattr(cache, "digest_of", lambda file: ref.archive)
    with place.store.open_tree(ref) as tree:
        assert tree.read_bytes("run.sh") == b"another"


def zip_of(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_a_reader_that_breaks_off_leaves_nothing(place: Place) -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise ConnectionResetError("gone")

    with pytest.raises(OSError, match="gone"):
        place.store.put(io.BufferedReader(Broken()))
    assert place.names() == set()


def test_what_is_not_there_says_so(place: Place, tmp_path: Path) -> None:
    missing = BlobRef(sha256="0" * 64, size=1)
    for read in (lambda: place.store.get(missing), lambda: place.store.save(missing, tmp_path / "copy")):
        with pytest.raises(StorageError, match="cannot be read") as caught:
            read()
        assert caught.value.code == "CB701"


# ---------------------------------------------------------------------- what nobody needs goes
def none_needed() -> Reachable:
    return Reachable((), ())


def test_pieces_of_what_an_attempt_reports(place: Place) -> None:
    """One host writes, another one reads them as they come; afterwards they go, and a sweep takes what was left."""
    other = place.open("other")
    assert other.get_piece("a", 1) is None
    for number, data in enumerate((b"one", b"two", b"left"), 1):
        place.store.put_piece("a", number, data)
        assert other.get_piece("a", number) == data
        assert other.get_piece("a", number + 1) is None
    place.store.drop_pieces("a", 2)
    assert [other.get_piece("a", number) for number in (1, 2, 3)] == [None, None, b"left"]
    assert "live/a/3" in place.names()
    swept = sweep(place.store, lambda: Reachable(set(), set()), older_than=-1, dry_run=False)
    assert "live" in {item.kind for item in swept.items}
    assert other.get_piece("a", 3) is None


def test_a_sweep_removes_what_is_not_named_and_old(place: Place, folder: Path) -> None:
    store = place.store
    kept, gone = put(store, folder), store.put(b"nobody needs this")
    store.put_result("run", "known", {})
    store.put_result("run", "unknown", {})
    store.cached(kept).release()
    everything = place.names()

    def needed() -> Reachable:
        return Reachable({kept.archive, kept.digest.partition(":")[2]}, {"known"})

    time.sleep(1.1)  # S3 counts whole seconds
    assert sweep(store, needed, dry_run=False).items == ()  # all of it is young
    dry = sweep(store, needed, older_than=0)
    assert {item.name for item in dry.items} == {blob(gone), "attempts/run/unknown"}
    assert dry.size == gone.size + 2
    assert place.names() == everything
    done = sweep(store, needed, older_than=0, dry_run=False)
    assert [item.name for item in done.items] == [item.name for item in dry.items]
    assert place.names() == everything - {blob(gone), "attempts/run/unknown"}
    sweep(store, none_needed, older_than=0, dry_run=False)
    assert place.names() == set()
    assert list(store.kept.kept()) == []


def test_what_is_put_again_during_a_sweep_stays(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codabench.storage.store._YOUNG", 0.0)
    ref = place.store.put(b"known for long")
    time.sleep(2.1)

    def meanwhile() -> Reachable:
        place.store.put(b"known for long")
        return none_needed()

    assert sweep(place.store, meanwhile, older_than=1, dry_run=False).items == ()
    assert place.store.get(ref) == b"known for long"


def test_a_sweep_verifies(place: Place, folder: Path) -> None:
    store = place.store
    ref, other = put(store, folder), store.put(b"sound")
    with store.cached(ref) as held:
        path = held.path / "sub" / "é x.txt"
    status = path.stat()
    assert sweep(store, none_needed, verify=True).damaged == ()
    path.chmod(0o644)
    path.write_bytes(b"\x00dada" * 1000)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # a stat does not tell
    place.spoil(blob(other), b"tiny!")
    found = sweep(store, none_needed, verify=True, dry_run=False)
    assert {item.kind for item in found.damaged} == {"cache", "blob"}
    with store.cached(ref) as held:
        assert content(held.path) == content(folder)


# ---------------------------------------------------------------------- what others do with URLs
def test_a_store_that_cannot_sign_says_so(place: Place) -> None:
    if place.kind == "s3":
        pytest.skip("it can")
    assert place.store.get_url(place.store.put(b"x")) is None
    assert place.store.put_url(1) is None


@pytest.mark.parametrize("seconds", [0, -1, 10**9])
def test_a_url_is_good_for_a_sensible_time(place: Place, seconds: int) -> None:
    for ask in (
        lambda: place.store.get_url(BlobRef(sha256="0" * 64, size=1), seconds),
        lambda: place.store.put_url(1, expires=seconds),
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        assert caught.value.code == "CB355"


def send(url: str, data: bytes | None, method: str, content_type: str = "application/zip") -> int | bytes:
    headers = {"Content-Type": content_type} if data is not None else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
            return bytes(answer.read()) if method == "GET" else int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def signing(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    name, options = request.getfixturevalue("bucket")
    return Storage(f"s3://{name}/{uuid.uuid4().hex}", cache=tmp_path / "cache", options=options)


@pytest.mark.row("G01")
def test_a_url_reads_one_object_for_a_while(signing: Storage) -> None:
    ref, other = signing.put(b"for you"), signing.put(b"for others")
    url = signing.get_url(ref, 2)
    assert url
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert send(url, None, "GET") == b"for you"
    assert send(url.replace(blob(ref), blob(other)), None, "GET") == 403
    assert send(url, b"mine", "PUT") == 403
    assert send(url, None, "DELETE") == 403
    time.sleep(3.1)
    assert send(url, None, "GET") == 403


@pytest.mark.row("G01")
def test_a_url_takes_one_file_of_one_size_and_type(signing: Storage) -> None:
    upload = signing.put_url(5, expires=2)
    assert upload
    assert upload.url not in repr(upload)
    with pytest.raises(StorageError, match="nothing was uploaded"):
        signing.take(upload)
    assert send(upload.url, b"123456", "PUT") == 403
    assert send(upload.url, b"12345", "PUT", "text/html") == 403
    assert send(upload.url.replace(upload.key, upload.key[:-1] + "_"), b"12345", "PUT") == 403
    assert send(upload.url, None, "GET") == 403
    assert send(upload.url, b"12345", "PUT") == 200
    ref = signing.take(upload)
    assert signing.get(ref) == b"12345"
    assert not list(signing.objects.listed("incoming"))
    time.sleep(3.1)
    assert send(upload.url, b"54321", "PUT") == 403


@pytest.mark.twin("G01")
def test_twin_a_url_that_is_bound_to_nothing_takes_anything(signing: Storage) -> None:
    """Signed for the object and the verb only, as clients of S3 do by themselves."""
    key = f"incoming/{uuid.uuid4().hex}"
    url = signing.objects._fs.url(signing.objects.path(key), expires=60, client_method="put_object")  # type: ignore[attr-defined]
    assert send(url, b"123456", "PUT", "text/html") == 200
    assert send(url, b"12345" * 1000, "PUT") == 200


@pytest.mark.parametrize("key", ["blobs/00/00", "incoming/../blobs/x", "incoming/", "attempts/r/a"])
def test_only_uploads_are_taken(signing: Storage, key: str) -> None:
    with pytest.raises(UsageError, match="not the key of an upload"):
        signing.take(Upload(url="", headers={}, key=key, size=1))
