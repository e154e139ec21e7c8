"""Zips: sound ones, and ones that lie about themselves in every field that there is."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from random import Random
from typing import Any

_MODES = (0o100644, 0o100755, 0, 0o120777, 0o010644, 0o020644, 0o040755, 0o104755, 0xFFFF)
_NAMES = (
    "a.txt", "A.TXT", "a", "a/", "a/b", "a/b/c.txt", "dir/", "../x", "/abs", "C:\\x", "a\\b", "..", ".", "", "./a",
    "a//b", "x" * 300, "/".join("d" * 40), "e\u0301", "\u00e9", "\u202etxt.exe", "nul\0x", "new\nline", "metadata",
    "__MACOSX/._a.txt", "\U0001f600", "competition.yaml", "terms.md", "scoring/metadata", " ", "a ", "a.", "con",
)  # fmt: skip


class _Stream(io.RawIOBase):
    """Cannot be sought, so that `zipfile` writes sizes behind the bytes."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def pack(files: dict[str, bytes], method: int = 8, *, streamed: bool = False, comment: bytes = b"") -> bytes:
    target: Any = _Stream() if streamed else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, data)
        archive.comment = comment
    return bytes(target.data) if streamed else target.getvalue()


def sound(files: dict[str, bytes]) -> list[bytes]:
    """The same files in the forms that programs write."""
    big = io.BytesIO()
    with zipfile.ZipFile(big, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as target:
                target.write(data)
    return [
        pack(files),
        pack(files, 0),
        pack(files, streamed=True),
        pack(files, 0, streamed=True),
        pack(files, comment=b"PK\5\6 a comment"),
        b"#!/bin/sh\n" + pack(files),
        big.getvalue(),
        _with_end64(pack(files)),
        pack({f"bundle/{name}": data for name, data in files.items()} | {"__MACOSX/._x": b"x"}),
    ]


def _with_end64(data: bytes) -> bytes:
    """The same with an end record of zip64 before the usual one."""
    at = data.rindex(b"PK\5\6")
    count, length, offset = struct.unpack_from("<H2L", data, at + 10)
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    small = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:at] + large + locator + small


# ---------------------------------------------------------------------- lies
def _lie(random: Random, truth: int, bits: int = 32, chance: float = 0.12) -> int:
    if random.random() >= chance:
        return truth
    top = (1 << bits) - 1
    return random.choice((0, 1, truth + 1, max(0, truth - 1), truth * 2, top, top - 1, 1 << (bits - 1))) & top


def lying(random: Random, files: dict[str, bytes]) -> bytes:
    """An archive of a few files and odd names, some of whose headers lie."""
    chosen = random.sample(sorted(files), min(len(files), random.randrange(4)))
    listed = [(name.encode(), files[name]) for name in chosen]
    for _ in range(random.choice((0, 1, 2, 3))):
        data = random.choice(
            (b"", b"x", b"text\n" * 20, bytes(100_000), random.randbytes(50), pack({"inner.txt": b"x"}))
        )
        listed.append((random.choice(_NAMES).encode("utf-8", "surrogatepass"), data))
    if listed and random.random() < 0.2:
        listed.append(random.choice(listed))
    random.shuffle(listed)
    body, central, offsets = bytearray(random.choice((b"", b"", b"", b"prefix"))), bytearray(), [0]
    for name, data in listed:
        head, middle = _entry(random, name, data, len(body), offsets)
        offsets.append(len(body))
        body += head
        central += middle
    return bytes(body + central + _end(random, len(listed), len(body), len(central)))


def _entry(random: Random, name: bytes, data: bytes, at: int, offsets: list[int]) -> tuple[bytes, bytes]:
    method = random.choice((8, 8, 8, 0, 0, 12, 14, 9, 99))
    packed = data
    if method == 8:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
    flags = random.choice((0x800, 0x800, 0, 0x808, 0x1, 0x2000, 0x40, 0xFFFF) if random.random() < 0.3 else (0x800,))
    crc, small, full = (_lie(random, v) for v in (zlib.crc32(data), len(packed), len(data)))
    place = random.choice(offsets) if random.random() < 0.08 else _lie(random, at, chance=0.05)
    extra = b""
    if random.random() < 0.15:
        large = [_lie(random, v, 64, 0.4) for v in (len(data), len(packed), at)][: random.randrange(4)]
        extra = struct.pack(f"<2H{len(large)}Q", 1, _lie(random, 8 * len(large), 16), *large)
        small = full = 0xFFFFFFFF
    inside = name if random.random() < 0.95 else random.choice(_NAMES).encode()
    local = struct.pack(
        "<4s5H3L2H", b"PK\3\4", 20, flags, _lie(random, method, 16, 0.03), 0, 33, crc, small, full,
        _lie(random, len(inside), 16, 0.03), _lie(random, 0, 16, 0.03),
    ) + inside + packed  # fmt: skip
    middle = struct.pack(
        "<4s2B5H3L5H2L", b"PK\1\2", 20, random.choice((3, 3, 0, 255)), 20, flags, method, 0, 33, crc, small, full,
        _lie(random, len(name), 16, 0.03), _lie(random, len(extra), 16, 0.03), 0, 0, 0,
        random.choice(_MODES) << 16 if random.random() < 0.3 else 0o100644 << 16, place,
    )  # fmt: skip
    if flags & 8 and random.random() < 0.7:
        local += struct.pack("<4s3L", b"PK\7\x08", crc, small & 0xFFFFFFFF, full)
    return local, middle + name + extra


def _end(random: Random, count: int, at: int, length: int) -> bytes:
    end = b""
    if random.random() < 0.15:
        large = [_lie(random, v, 64) for v in (count, count, length, at)]
        end += struct.pack("<4sQ2H2L4Q", b"PK\6\6", _lie(random, 44, 64), 45, 45, 0, 0, *large)
        end += struct.pack("<4sLQL", b"PK\6\7", 0, _lie(random, at + length, 64), _lie(random, 1))
        count, length, at = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    counts = (_lie(random, count, 16, 0.05), _lie(random, count, 16, 0.05))
    note = random.choice((b"", b"", b"", b"note", b"PK\5\6" + bytes(18), random.randbytes(30)))
    end += struct.pack(
        "<4s4H2LH", b"PK\5\6", _lie(random, 0, 16, 0.03), 0, *counts, _lie(random, length, chance=0.05),
        _lie(random, at, chance=0.05), _lie(random, len(note), 16, 0.05),
    )  # fmt: skip
    return end + note
