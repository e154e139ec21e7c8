"""A logo for a competition that has none."""

from __future__ import annotations

import zlib

_SIDE, _CELL = 120, 24
_PAPER = b"\xf3\xf6\xfa"


def placeholder_logo(title: str) -> bytes:
    """A PNG with a symmetric pattern and a color that depend on the title only."""
    bits = zlib.crc32(title.encode("utf-8", "replace"))
    ink = bytes(60 + (bits >> shift) % 120 for shift in (0, 8, 16))
    rows = b"".join(b"\0" + _row(bits, y // _CELL) for y in range(_SIDE))
    # One bit for each pixel, which names a color of the palette.
    header = _SIDE.to_bytes(4, "big") * 2 + bytes((1, 3, 0, 0, 0))
    chunks = ((b"IHDR", header), (b"PLTE", _PAPER + ink), (b"IDAT", _stored(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _row(bits: int, line: int) -> bytes:
    cells = (bits >> (3 * line + abs(2 - x // _CELL)) & 1 for x in range(_SIDE))
    return int("".join(map(str, cells)), 2).to_bytes(_SIDE // 8, "big")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _stored(data: bytes) -> bytes:
    """A zlib stream of one block that is not compressed: its bytes depend on no version of a compressor."""
    size = len(data).to_bytes(2, "little")
    inverted = (len(data) ^ 0xFFFF).to_bytes(2, "little")
    return b"\x78\x01\x01" + size + inverted + data + zlib.adler32(data).to_bytes(4, "big")
