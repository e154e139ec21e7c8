"""Trees that a stranger packed, and trees with hostile modes."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codabench.backends.cargo import make_accessible, pack, unpack


def packed(*members: tuple[str, bytes | None], links: tuple[tuple[str, str, bytes], ...] = ()) -> bytes:
    """An archive of files, directories (no content), and links (name, target, type)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, target, kind in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mode = 0
            if content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def chunks(data: bytes, size: int = 7) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    (tmp_path / "outside").mkdir()
    return tmp_path / "target"


def names(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*")}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 9000, 100_000])
def test_nothing_follows_the_end_mark_of_an_archive(target: Path, size: int) -> None:
    """Podman breaks the pipe of who still sends when it has read the end mark."""
    (target / "file").write_bytes(b"x" * size)
    with pack(str(target), "tree", None) as file:
        archive = file.read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
    assert [m.name for m in members] == ["tree", "tree/file"]
    end = members[-1].offset_data + -(-size // 512) * 512
    assert archive[end:] == bytes(1024)


def test_files_and_directories_replace_what_was_there(target: Path) -> None:
    (target / "old").mkdir()
    (target / "old/x").write_text("x")
    (target / "link").symlink_to(target.parent / "outside")
    (target.parent / "outside/kept").write_text("kept")
    unpack(chunks(packed(("0", None), ("0/a", None), ("0/a/b", b"deep"), ("0/c", b""), ("0/d/e", b"e"))), str(target))
    assert names(target) == {"a", "a/b", "c", "d", "d/e"}
    assert (target / "a/b").read_bytes() == b"deep"
    assert names(target.parent / "outside") == {"kept"}


HOSTILE = [
    (("0/../../outside/x", b"x"),),
    (("0/a/../../../outside/x", b"x"),),
    (("0//../outside/x", b"x"),),
]


@pytest.mark.parametrize("members", HOSTILE)
def test_no_name_leads_out(target: Path, members: tuple[tuple[str, bytes | None], ...]) -> None:
    unpack(chunks(packed(*members)), str(target))
    assert not names(target.parent / "outside")


@pytest.mark.parametrize("members", HOSTILE)
def test_the_same_names_lead_out_of_an_unguarded_extraction(
    target: Path, members: tuple[tuple[str, bytes | None], ...]
) -> None:
    inner = target / "0" if "0//" not in members[0][0] else target
    inner.mkdir(exist_ok=True)
    (target / "0/a").mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed(*members))) as tar:
        tar.extraction_filter = lambda member, _: member  # what Python did before 3.14
        tar.extractall(target)
    assert list(target.parent.rglob("outside/x"))


def test_links_are_not_made(target: Path) -> None:
    outside = str(target.parent / "outside")
    links = (
        ("0/folder", outside, tarfile.SYMTYPE),
        ("0/hard", "/etc/passwd", tarfile.LNKTYPE),
        ("0/pipe", "", tarfile.FIFOTYPE),
        ("0/disk", "", tarfile.BLKTYPE),
    )
    unpack(chunks(packed(("0/folder/x", b"x"), links=links)), str(target))
    assert names(target) == {"folder", "folder/x"}
    assert not (target / "folder").is_symlink()
    assert not names(target.parent / "outside")


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no permission")
def test_hostile_modes(target: Path) -> None:
    _lock_away(target)
    make_accessible(str(target))
    assert (target / "a/b/x").read_text() == "x"
    shutil.rmtree(target)


def test_modes_change_beneath_only(target: Path) -> None:
    outside = target.parent / "outside"
    (outside / "x").write_text("x")
    outside.chmod(0o500)
    (outside / "x").chmod(0)
    (target / "folder").symlink_to(outside)
    (target / "file").symlink_to(outside / "x")
    _lock_away(target)
    make_accessible(str(target))
    assert outside.stat().st_mode & 0o777 == 0o500
    assert (outside / "x").stat().st_mode & 0o777 == 0
    assert (target / "a").stat().st_mode & 0o700 == 0o700
    assert (target / "a/b/x").stat().st_mode & 0o400 == 0o400


@pytest.mark.parametrize("mode", [0, 0o100, 0o500])
def test_the_mode_of_a_mounted_directory_itself(nobody: Any, mode: int) -> None:
    """A program may lock the very directory that it was given."""

    def work(folder: Path) -> None:
        given = folder / "output"
        given.mkdir()
        _lock_away(given)
        given.chmod(mode)
        make_accessible(str(given))
        assert (given / "a/b/x").read_text() == "x"
        shutil.rmtree(given)

    assert nobody.does(work)


def _lock_away(target: Path) -> None:
    (target / "a/b").mkdir(parents=True)
    (target / "a/b/x").write_text("x")
    for name in ("a/b/x", "a/b", "a"):
        (target / name).chmod(0)
