"""Trees of files: directories, zips and URLs are read alike, packed alike, extracted alike."""

from __future__ import annotations

import gc
import io
import os
import stat
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codabench.core.errors import ArchiveError, BundleError, CodabenchError, NotFound, StorageError
from codabench.core.trees import tree_digest
from codabench.storage.extract import full_disk
from codabench.storage.sources import (
    ArchiveLimits,
    DirectorySource,
    TreeSource,
    ZipSource,
    extract,
    manifest,
    open_archive,
    open_source,
    remove_tree,
    write_zip,
    zip_from_stream,
)

FILES = {"a.txt": b"a", "sub/b.bin": b"\0" * 300_000, "sub/deep/c~ +.txt": b"c", "tool.sh": b"#!/bin/sh\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "tool.sh").chmod(0o700)
    (root / "empty" / "inside").mkdir(parents=True)
    return root


def packed(source: TreeSource, **options: Any) -> bytes:
    stream = io.BytesIO()
    write_zip(source, stream, **options)
    return stream.getvalue()


def content(source: TreeSource) -> dict[str, bytes]:
    return {e.path: source.read_bytes(e.path) for e in source.entries() if e.kind == "file"}


# ---------------------------------------------------------------------- all kinds agree
def test_a_directory_its_zip_and_what_is_extracted_are_one_tree(folder: Path, tmp_path: Path) -> None:
    with DirectorySource(folder) as source:
        assert content(source) == FILES
        assert [e.path for e in source.entries() if e.kind == "dir"] == ["empty/inside"]
        assert [e.path for e in source.entries() if e.executable] == ["tool.sh"]
        expected = manifest(source)
        stream = io.BytesIO()
        assert write_zip(source, stream) == expected
    stream.seek(0)
    (tmp_path / "out").mkdir()
    with zip_from_stream(stream, name="x.zip") as again:
        assert manifest(again) == expected
        extract(again, tmp_path / "out")
    with open_source(tmp_path / "out") as out:
        assert tree_digest(manifest(out)) == tree_digest(expected)


def test_a_url_is_a_tree_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    memory = fsspec.filesystem("memory")
    memory.pipe({f"/trees/one/{name}": data for name, data in FILES.items()})
    memory.pipe("/trees/one.zip", packed(DirectorySource(folder)))
    with open_source("memory://trees/one") as directory, open_source("memory://trees/one.zip") as archive:
        assert content(directory) == content(archive) == FILES
        (kept,) = private.iterdir()
        assert kept.read_bytes() == memory.cat("/trees/one.zip")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not kept.exists()


def test_packing_is_deterministic(folder: Path, tmp_path: Path) -> None:
    first = packed(DirectorySource(folder))
    os.utime(folder / "a.txt", (0, 0))
    (folder / "a.txt").chmod(0o640)
    assert packed(DirectorySource(folder)) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == sorted(archive.namelist())
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {oct(i.external_attr >> 16) for i in archive.infolist()} == {"0o100644", "0o100755", "0o40755"}
        assert archive.testzip() is None


def test_subtrees(folder: Path) -> None:
    with DirectorySource(folder) as source:
        sub = source.subtree("sub/")
        assert content(sub) == {"b.bin": FILES["sub/b.bin"], "deep/c~ +.txt": b"c"}
        assert content(sub.subtree("deep")) == {"c~ +.txt": b"c"}
        assert sub.is_dir("deep")
        assert not sub.exists("a.txt")
        assert sub.random_access("b.bin") is not None
        assert list(source.subtree("empty/inside").entries()) == []
        with pytest.raises(NotFound):
            source.subtree("a.txt")
        with pytest.raises(NotFound):
            source.open("sub")


# ---------------------------------------------------------------------- extraction
def test_modes_owner_and_read_only(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    me = (os.geteuid(), os.getegid())
    with DirectorySource(folder) as source:
        extract(source, out, owner=me, read_only=True)
    modes = {str(p.relative_to(out)): stat.S_IMODE(p.stat().st_mode) for p in out.rglob("*")}
    assert modes["tool.sh"] == modes["sub"] == modes["empty/inside"] == 0o555
    assert modes["a.txt"] == 0o444
    remove_tree(out)
    assert not out.exists()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    data = bytearray(packed_of({"a": b"1" * 100, "b/c": b"2" * 100, "d": b"damaged" * 100}))
    at = data.rfind(b"PK\3\4") + 31
    data[at + 3] ^= 0xFF
    out = tmp_path / "out"
    out.mkdir()
    with zip_from_stream(io.BytesIO(bytes(data)), name="x") as source, pytest.raises(ArchiveError) as caught:
        extract(source, out)
    assert caught.value.code == "CB025"
    assert list(out.iterdir()) == []


def test_more_folders_than_descriptors(tmp_path: Path) -> None:
    files = {f"{n}/x": b"" for n in range(3000)}
    out = tmp_path / "out"
    out.mkdir()
    with zip_from_stream(io.BytesIO(packed_of(files)), name="x") as source:
        extract(source, out)
    assert len(list(out.iterdir())) == 3000


def test_extraction_does_not_overwrite(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").symlink_to(tmp_path / "elsewhere")
    with DirectorySource(folder) as source, pytest.raises(FileExistsError):
        extract(source, out)
    assert not (tmp_path / "elsewhere").exists()


def packed_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


# ---------------------------------------------------------------------- directories
def test_links_inside_a_directory_stand_for_what_they_name(folder: Path) -> None:
    (folder / "link.txt").symlink_to("a.txt")
    (folder / "again").symlink_to("sub")
    (folder / "sub" / "chain").symlink_to("../link.txt")
    with DirectorySource(folder) as source:
        found = content(source)
    assert found["link.txt"] == found["sub/chain"] == found["again/chain"] == b"a"
    assert found["again/deep/c~ +.txt"] == b"c"


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "nowhere", ".", "../tree", "loop"])
def test_other_links_are_refused_by_name(folder: Path, target: str) -> None:
    (folder.parent / "outside").write_text("secret")
    (folder / "loop").symlink_to(target)
    (folder / "pipe").symlink_to("/dev/null")
    with pytest.raises(ArchiveError, match="loop") as caught:
        DirectorySource(folder)
    assert caught.value.code == "CB028"
    assert caught.value.report is not None
    assert len(caught.value.report) == 2


def test_in_what_a_program_left_links_stand_for_nothing(folder: Path) -> None:
    """Not even for what lies inside: a thousand links to one large file would be a thousand copies of it."""
    with DirectorySource(folder) as source:
        honest = {e.path for e in source.entries()}
    (folder / "link.txt").symlink_to("a.txt")
    (folder / "again").symlink_to("sub")
    with DirectorySource(folder, hostile=True) as source:
        assert {e.path for e in source.entries()} == honest
        assert [p.code for p in source.problems] == ["CB037", "CB037"]


def test_a_link_to_the_folder_above_does_not_go_on_for_ever(folder: Path) -> None:
    (folder / "sub" / "deep" / "up").symlink_to("..")
    with pytest.raises(ArchiveError, match="lies in"):
        DirectorySource(folder)


def test_special_files_and_odd_names_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "a\\b").write_text("")
    (folder / "new\nline").write_text("")
    with pytest.raises(ArchiveError) as caught:
        DirectorySource(folder)
    assert caught.value.report is not None
    assert sorted(p.code for p in caught.value.report) == ["CB027", "CB027", "CB028"]


def test_limits_of_a_directory(folder: Path) -> None:
    for limits in (ArchiveLimits(entries=3), ArchiveLimits(inflated_bytes=1000)):
        with pytest.raises(ArchiveError) as caught:
            DirectorySource(folder, limits=limits)
        assert caught.value.code == "CB029"


def test_a_file_that_may_not_be_read_is_found_at_once(nobody: Any) -> None:
    """Not when it is copied: others that were named together with it can run."""

    def work(folder: Path) -> None:
        for name, mode in (("ours", 0o600), ("not ours", 0)):
            (folder / name).write_text("x")
            (folder / name).chmod(mode)
        with pytest.raises(ArchiveError, match="not ours") as caught:
            DirectorySource(folder)
        assert caught.value.code == "CB038"
        assert caught.value.report is not None
        assert len(caught.value.report) == 1

    assert nobody.does(work)


# ---------------------------------------------------------------------- what cannot be opened
@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("empty.zip", b"", "CB022"),
        ("text.zip", b"hello", "CB023"),
        ("tar.zip", b"ustar" * 1000, "CB023"),
        ("nothing.zip", packed_of({}), "CB026"),
        ("cut.zip", packed_of({"a": b"1"})[:-5], "CB023"),
    ],
    ids=["empty", "text", "tar", "nothing", "cut"],  # an archive's bytes hold the time of day
)
def test_files_that_are_no_archive(name: str, data: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ArchiveError, match=name) as caught:
        open_source(tmp_path / name)
    assert caught.value.code == code


@pytest.mark.parametrize("where", ["/nowhere/at/all", "memory://nowhere", "nosuch://thing", "a\0b"])
def test_what_is_not_there(where: str) -> None:
    with pytest.raises(BundleError) as caught:
        open_source(where)
    assert caught.value.code == "CB021"
    assert caught.value.report is not None


def test_a_store_that_does_not_answer() -> None:
    options = {
        "key": "k",
        "secret": "s",
        "endpoint_url": "http://127.0.0.1:9",
        "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1},
    }
    with pytest.raises(BundleError, match=r"127\.0\.0\.1:9") as caught:
        open_source("s3://bucket/bundle.zip", storage_options=options)
    assert caught.value.code == "CB042"
    assert isinstance(caught.value, StorageError)


def test_what_is_closed_is_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(packed(DirectorySource(folder)))
    for source in (DirectorySource(folder), ZipSource(tmp_path / "x.zip")):
        with source.open("sub/b.bin") as file:
            first = file.read(10)
            source.close()
            assert first == FILES["sub/b.bin"][:10]
        with pytest.raises(ValueError, match="closed"):
            source.read_bytes("a.txt")


def test_a_file_outlives_the_source_it_was_opened_from(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(packed(DirectorySource(folder)))
    for path in (folder, tmp_path / "x.zip"):
        file = open_source(path).open("sub/b.bin")
        gc.collect()
        with file:
            assert file.read() == FILES["sub/b.bin"]


def test_descriptors_are_given_back(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(packed(DirectorySource(folder)))
    before = len(os.listdir("/dev/fd"))
    for path in (folder, tmp_path / "x.zip"):
        content(open_source(path))
        (tmp_path / "bad.zip").write_bytes(b"PK bad")
        with pytest.raises(ArchiveError):
            open_source(tmp_path / "bad.zip")
    gc.collect()
    assert len(os.listdir("/dev/fd")) == before


def test_an_empty_directory_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as caught:
        open_source(tmp_path)
    assert caught.value.code == "CB026"


def test_what_is_packed_already_is_stored_as_it_is(tmp_path: Path) -> None:
    names = ("inner.zip", "sub/PICTURE.PNG", "x.csv.gz", "plain.csv", "zip")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(10_000))
    first, again = (packed(DirectorySource(tmp_path)) for _ in range(2))
    assert first == again
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        stored = {info.filename for info in archive.infolist() if info.compress_type == zipfile.ZIP_STORED}
        assert stored == {"inner.zip", "sub/PICTURE.PNG", "x.csv.gz"}
        assert all(archive.read(name) == bytes(10_000) for name in names)


def test_packing_holds_no_file_in_memory(tmp_path: Path) -> None:
    with open(tmp_path / "large.bin", "wb") as file:
        file.truncate(64 << 20)
    with open(tmp_path / "large.zip", "wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    with open(tmp_path.with_suffix(".out"), "wb") as out, DirectorySource(tmp_path) as source:
        write_zip(source, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_names_that_only_some_file_systems_tell_apart_come_back_from_our_own_store(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "a").write_text("small")
    (folder / "A").write_text("large")
    archive = tmp_path / "own.zip"
    with DirectorySource(folder) as source, archive.open("wb") as stream:
        write_zip(source, stream)
    with open_archive(archive) as own:
        assert content(own) == {"a": b"small", "A": b"large"}
    with pytest.raises(ArchiveError):
        ZipSource(archive)


# ---------------------------------------------------------------------- properties
names = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0:"), min_size=1, max_size=8)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)


@given(st.dictionaries(paths, st.binary(max_size=200), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_archive_is_refused_or_read_as_zipfile_reads_it(files: dict[str, bytes]) -> None:
    data = packed_of(files)
    try:
        source = zip_from_stream(io.BytesIO(data), name="x")
    except CodabenchError:
        return
    with source, zipfile.ZipFile(io.BytesIO(data)) as other:
        expected = {name.replace("/./", "/").removeprefix("./"): other.read(name) for name in other.namelist()}
        assert all(value in expected.values() for value in content(source).values())


def _sound() -> bytes:
    return packed_of({"a.txt": b"hello " * 50, "b/c.txt": b"x" * 100, "b/d": b""})


@given(st.lists(st.tuples(st.integers(0, len(_sound()) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.data())
@settings(deadline=None, max_examples=300)
def test_a_changed_archive_is_refused_or_read_to_the_end(changes: list[tuple[int, int]], data: st.DataObject) -> None:
    archive = bytearray(_sound())
    for at, byte in changes:
        archive[at] = byte
    cut = data.draw(st.sampled_from([len(archive), len(archive), len(archive) // 2]))
    try:
        with zip_from_stream(io.BytesIO(bytes(archive[:cut])), name="x") as source:
            assert all(len(source.read_bytes(e.path)) == e.size for e in source.entries() if e.kind == "file")
    except ArchiveError:
        pass  # refused is as good as read


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        zip_from_stream(io.BytesIO(data), name="x")


def test_a_disk_that_fills_up_is_said_in_words(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is always full")
    with pytest.raises(StorageError, match="no more room for here") as caught, full_disk("here"):
        full.write_bytes(b"x")
    assert caught.value.code == "CB707"
    with pytest.raises(FileNotFoundError), full_disk("here"):
        (tmp_path / "nothing").read_bytes()


@pytest.mark.parametrize("name", ["~nobody-of-that-name", "~"])
def test_a_name_with_a_tilde(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the beginning it stands for a home, after ``./`` for itself; what is nobody's home is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(BundleError) as caught:
        open_source(f"{name}/inside")
    assert caught.value.code == "CB021"
    place = tmp_path / name / "inside"
    place.mkdir(parents=True)
    (place / "a.txt").touch()
    with open_source(f"./{name}/inside") as source:
        assert [e.path for e in source.entries()] == ["a.txt"]
