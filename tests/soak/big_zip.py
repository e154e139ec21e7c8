"""Bundles of 10 GB are loaded and checked without being unpacked, below 256 MiB of memory, and written in a stream.

Each case is a zip that is cheap to make: most of its bytes are zeros that take no room on the disk, or one packed piece
over and over.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import _fresh

SIZE = 10_000_000_000
ENTRIES = 200_000
MOST_MIB = 256
MOST_SECONDS = 60.0
"""For one case: reading all of it would take longer than that on most disks, unpacking it longer than that on any."""
LIMIT = 240

_PIECE = 1 << 20
_TEXTS = {
    "competition.yaml": """\
version: 2
title: Large
image: logo.png
terms: terms.md
docker_image: python:3.12-slim
pages: [{title: Overview, file: terms.md}]
tasks:
  - {index: 0, name: Only, scoring_program: scorer, reference_data: reference, input_data: DATA}
phases:
  - {index: 0, name: Only, start: 2026-01-01, tasks: [0]}
leaderboards:
  - {title: Only, key: only, columns: [{title: Score, key: score, index: 0, sorting: desc}]}
""",
    "logo.png": "\x89PNG\r\n\x1a\n",
    "terms.md": "Be kind.\n",
    "scorer/metadata.yaml": "command: python3 /app/program/score.py\n",
    "scorer/score.py": 'import json\njson.dump({"score": 1.0}, open("/app/output/scores.json", "w"))\n',
    "reference/truth.csv": "1\n" * 100,
}


# ---------------------------------------------------------------------- zips that are cheap to make
class Maker:
    """Writes a zip in which what is large costs nothing; every size and checksum is right, zip64 throughout."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._central = file, bytearray()
        self._count = 0

    def add(self, name: str, data: bytes) -> None:
        """A stored file."""
        self._begin(name, 0, zlib.crc32(data), len(data), len(data))
        self._file.write(data)

    def add_zeros(self, name: str, size: int) -> None:
        """A stored file of zeros: a hole in the archive."""
        self._begin(name, 0, crc_of(_zeros(size)), size, size)
        self._file.seek(size, 1)

    def add_packed_zeros(self, name: str, size: int) -> None:
        """A deflated file of zeros, a whole number of mebibytes: one packed mebibyte over and over."""
        packer = zlib.compressobj(1, zlib.DEFLATED, -15)
        piece = packer.compress(bytes(_PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
        last = packer.flush()
        times = size // _PIECE
        self._begin(name, 8, crc_of(_zeros(times * _PIECE)), times * len(piece) + len(last), times * _PIECE)
        for _ in range(times):
            self._file.write(piece)
        self._file.write(last)

    def add_file(self, name: str, path: Path) -> None:
        """A stored file that is a file here; holes stay holes."""
        size = path.stat().st_size
        with path.open("rb") as other:
            self._begin(name, 0, crc_of(iter(lambda: other.read(_PIECE), b"")), size, size)
            other.seek(0)
            while piece := other.read(_PIECE):
                if piece.count(0) == len(piece):
                    self._file.seek(len(piece), 1)
                else:
                    self._file.write(piece)

    def _begin(self, name: str, method: int, crc: int, packed: int, size: int) -> None:
        raw, at = name.encode(), self._file.tell()
        large = struct.pack("<2H2Q", 1, 16, size, packed)
        common = (45, 0x800, method, 0, 33, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(raw))
        self._file.write(struct.pack("<4s5H3L2H", b"PK\3\4", *common, len(large)) + raw + large)
        large = struct.pack("<2H3Q", 1, 24, size, packed, at)
        head = struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 45 | 3 << 8, *common, len(large), 0, 0, 0, 0o100644 << 16, 0xFFFFFFFF
        )
        self._central += head + raw + large
        self._count += 1

    def finish(self) -> None:
        at = self._file.tell()
        self._file.write(self._central)
        n, length, end = self._count, len(self._central), self._file.tell()
        self._file.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, n, n, length, at))
        self._file.write(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
        self._file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def crc_of(pieces: Iterator[bytes]) -> int:
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return crc


def _zeros(size: int) -> Iterator[bytes]:
    for at in range(0, size, _PIECE):
        yield bytes(min(_PIECE, size - at))


def make(case: str, path: Path, size: int, entries: int) -> None:
    """The bundle of one case."""
    data = "data.zip" if case == "inner" else "data"
    with path.open("wb") as file:
        maker = Maker(file)
        for name, text in _TEXTS.items():
            maker.add(name, text.replace("DATA", data).encode("latin-1"))
        if case == "stored":
            maker.add_zeros("data/zeros.bin", size)
        elif case == "zip64":
            maker.add_packed_zeros("data/zeros.bin", size)
        elif case == "many":
            for n in range(entries):
                maker.add(f"data/{n % 1000}/{n}.txt", b"%d\n" % n)
        else:
            inner = path.with_name("inside")
            with inner.open("wb") as packed:
                other = Maker(packed)
                other.add_zeros("zeros.bin", size)
                other.add("small.csv", b"1,2,3\n")
                other.finish()
            maker.add_file("data.zip", inner)
            inner.unlink()
        maker.finish()


CASES = ("stored", "zip64", "many", "inner")


# ---------------------------------------------------------------------- what is done with them, in a process of its own
def check(path: str) -> str:
    import codabench as cb

    return str(cb.check(path))


def load(path: str) -> str:
    """Load it, and look into its data."""
    import codabench as cb

    with cb.load(path) as comp:
        data = comp.tree(comp.tasks[0].input_data)
        assert data.entries(), "the data is empty"
        return str(comp.title)


def save(path: str, dest: str) -> int:
    import codabench as cb

    with cb.load(path) as comp:
        comp.save(dest)
    return Path(dest).stat().st_size


def soak(scale: float, folder: Path) -> dict[str, Any]:
    size, entries = int(SIZE * scale), int(ENTRIES * scale)
    failed: list[str] = []
    figures: dict[str, Any] = {"size": size, "entries": entries}
    for case in CASES:
        path = folder / f"{case}.zip"
        make(case, path, size, entries)
        for work in (check, load):
            ended = _fresh.call(work, str(path))
            figures[f"{case}_{work.__name__}"] = {"seconds": ended.seconds, "peak_mib": ended.peak_mib}
            failed += [f"{work.__name__} of {case}: {why}" for why in _missed(ended)]
        if case == "inner":
            copy = path.with_name("saved.zip")
            ended = _fresh.call(save, str(path), str(copy))
            figures["inner_save"] = {"seconds": ended.seconds, "peak_mib": ended.peak_mib, "bytes": ended.value}
            failed += [f"save of {case}: {why}" for why in _missed(ended, seconds=None)]
            copy.unlink()
        path.unlink()
    return {**figures, "failed": failed}


def _missed(ended: _fresh.Ended, seconds: float | None = MOST_SECONDS) -> Iterator[str]:
    if ended.peak_mib >= MOST_MIB:
        yield f"{ended.peak_mib} MiB of memory, below {MOST_MIB} is allowed"
    if seconds is not None and ended.seconds > seconds:
        yield f"{ended.seconds} s, at most {seconds:g} are allowed"
