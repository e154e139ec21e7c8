"""Archives that mean harm, byte by byte: `zipfile` would not write most of them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

REGULAR = 0o100644 << 16
LINK = 0o120777 << 16


@dataclass
class Entry:
    """One entry; what is None is computed from `data`, anything else is written as it stands."""

    name: bytes
    data: bytes = b""
    mode: int = REGULAR
    method: int = 8
    flags: int = 0x800
    size: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    offset: int | None = None

    def packed(self) -> bytes:
        if self.method != 8:
            return self.data
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.data) + packer.flush()


def make_zip(*entries: Entry | tuple[str, bytes], count: int | None = None, prefix: bytes = b"") -> bytes:
    """An archive of these entries; `count` is what its end record promises."""
    local, central = b"", b""
    listed = [e if isinstance(e, Entry) else Entry(e[0].encode(), e[1]) for e in entries]
    for entry in listed:
        body = entry.packed()
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.size is None else entry.size
        offset = len(local) if entry.offset is None else entry.offset
        name = entry.name if entry.local_name is None else entry.local_name
        local += struct.pack(
            "<4sHHHHHIIIHH", b"PK\3\4", 20, entry.flags, entry.method, 0, 33, crc, len(body), size, len(name), 0
        )
        local += name + body
        central += struct.pack(
            "<4sBBHHHHHIIIHHHHHII", b"PK\1\2", 20, 3, 20, entry.flags, entry.method, 0, 33, crc, len(body), size,
            len(entry.name), 0, 0, 0, 0, entry.mode, offset,
        ) + entry.name  # fmt: skip
    n = len(listed) if count is None else count
    return prefix + local + central + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, n, n, len(central), len(local), 0)
