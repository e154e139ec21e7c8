"""Twins of Z01-Z13: what the same archives do to readers that believe them."""

from __future__ import annotations

import struct
import tarfile
import unicodedata
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from test_z_archives import BOMB, NFC, NFD, everything, naive_unpack, refused, save
from zip_maker import Entry, make_zip


def believe(data: bytes) -> list[tuple[bytes, bytes]]:
    """Name and content of every entry as its local header has it: no checksum, no size, no flag is looked at."""
    found, at = [], 0
    while (at := data.find(b"PK\1\2", at)) >= 0:
        (offset,) = struct.unpack_from("<I", data, at + 42)
        method, _, _, _, packed, _, name, extra = struct.unpack_from("<HHHIIIHH", data, offset + 8)
        start = offset + 30 + name + extra
        body = data[start : start + packed]
        found.append((data[offset + 30 : offset + 30 + name], zlib.decompress(body, -15) if method == 8 else body))
        at += 4
    return found


@pytest.mark.twin("Z02")
def test_an_absolute_name_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    naive_unpack(save(tmp_path, make_zip((str(outside), b"slipped"))))
    assert outside.read_bytes() == b"slipped"


@pytest.mark.row("Z04")
def test_a_tar_is_not_read(tmp_path: Path) -> None:
    refused(hard_link(tmp_path), tmp_path, "CB023")


@pytest.mark.twin("Z04")
def test_a_tar_is_read_and_its_hard_link_is_the_file_outside(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with tarfile.open(fileobj=BytesIO(hard_link(tmp_path))) as archive:
        # What every reader did before there were filters, and Python's did by default until 3.14.
        trusting: Any = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
        archive.extractall(target, **trusting)
    assert (target / "link").read_text() == "the truth"


def hard_link(folder: Path) -> bytes:
    (folder.parent / "truth").write_text("the truth")
    data = BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = tarfile.LNKTYPE, "../../truth"
        archive.addfile(entry)
    return data.getvalue()


@pytest.mark.twin("Z06")
def test_shared_bytes_are_inflated_again_and_again() -> None:
    data = make_zip(Entry(b"a", BOMB), *(Entry(b"a", BOMB, offset=0) for _ in range(5)))
    assert len(data) < len(BOMB) // 100
    assert sum(len(content) for _, content in believe(data)) == 6 * len(BOMB)


@pytest.mark.twin("Z07")
def test_archives_in_archives_are_unpacked_until_nothing_is_small() -> None:
    def unpacked(data: bytes) -> int:
        return sum(unpacked(d) if n.endswith(b".zip") else len(d) for n, d in believe(data))

    outer = make_zip(*((f"{n}.zip", make_zip(("zeros", BOMB))) for n in range(3)))
    assert unpacked(outer) == 3 * len(BOMB) > 200 * len(outer)


@pytest.mark.twin("Z08")
def test_every_entry_is_listed_before_they_are_counted() -> None:
    data = make_zip(*(Entry(b"%d" % n, method=0) for n in range(3000)))
    assert len(zipfile.ZipFile(BytesIO(data)).infolist()) == 3000


@pytest.mark.twin("Z09")
@pytest.mark.parametrize("names", [("Data", "data"), (NFC, NFD), ("a", "a")])
def test_a_file_system_that_takes_names_for_one_loses_a_file(names: tuple[str, str]) -> None:
    entries = zipfile.ZipFile(BytesIO(make_zip(*((n, b"1") for n in names)))).namelist()
    assert len(entries) == 2
    assert len({unicodedata.normalize("NFC", n).casefold() for n in entries}) == 1


@pytest.mark.twin("Z10")
def test_odd_names_become_files(tmp_path: Path) -> None:
    target = naive_unpack(
        save(tmp_path, make_zip(Entry(b"a\nb", b"1"), Entry(b"...", b"1"), Entry(b"c\x1b[31m", b"1")))
    )
    assert everything(target) == {"a\nb", "...", "c\x1b[31m"}


@pytest.mark.twin("Z11")
def test_a_name_that_lies_ends_in_a_traceback() -> None:
    with pytest.raises(UnicodeDecodeError):
        zipfile.ZipFile(BytesIO(make_zip(Entry(b"\xff\xfe", b"1"))))


@pytest.mark.twin("Z12")
def test_lies_are_taken_for_content() -> None:
    listed = make_zip(Entry(b"a", b"1234", crc=1), Entry(b"good", b"1234", size=3, local_name=b"../evil"))
    assert believe(listed) == [(b"a", b"1234"), (b"../evil", b"1234")]


@pytest.mark.twin("Z13")
def test_encrypted_bytes_are_taken_for_content() -> None:
    assert believe(make_zip(Entry(b"a", b"not the content", method=0, flags=1))) == [(b"a", b"not the content")]
