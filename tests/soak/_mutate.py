"""Bytes and YAML texts spoiled at random; the same `Random` spoils in the same way."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

_WORDS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_MAGIC = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08")


# ---------------------------------------------------------------------- any bytes
def _flip(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set_byte(data: bytearray, random: Random) -> None:
    data[random.randrange(len(data))] = random.choice(
        (0, 9, 10, 13, 0x20, 0x7F, 0x80, 0xFE, 0xFF, random.randrange(256))
    )


def _truncate(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def _remove(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    del data[at : at + random.choice((1, 2, 4, 16, 100))]


def _repeat(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data))
    piece = data[at : at + random.choice((1, 4, 30, 200))]
    data[at:at] = piece * random.choice((1, 2, 50))


def _insert(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.randbytes(random.choice((1, 2, 4, 22, 100)))


def _swap(data: bytearray, random: Random) -> None:
    one, two = sorted(random.randrange(len(data)) for _ in range(2))
    size = min(two - one, random.choice((1, 4, 30)))
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]


def _number(data: bytearray, random: Random) -> None:
    """A number of two, four or eight bytes that is the least, the most or beside them."""
    shape = random.choice("HIQ")
    size = struct.calcsize(shape)
    if len(data) >= size:
        at = random.randrange(len(data) - size + 1)
        word = random.choice(_WORDS) & ((1 << 8 * size) - 1)
        data[at : at + size] = struct.pack(f"<{shape}", 2**63 if shape == "Q" and random.random() < 0.3 else word)


_BYTES: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip, _set_byte, _truncate, _remove, _repeat, _insert, _swap, _number,
)  # fmt: skip


def spoil(data: bytes, random: Random) -> bytes:
    """One to six changes to any bytes."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        if changed:
            random.choice(_BYTES)(changed, random)
    return bytes(changed)


def _field(data: bytearray, random: Random) -> None:
    """A number in one of the headers of a zip."""
    places = [at for magic in _MAGIC for at in _places(data, magic)]
    if places:
        at = random.choice(places) + random.randrange(4, 46)
        size = random.choice((1, 2, 4))
        value = random.choice((*_WORDS, random.randrange(1 << 16), len(data), random.randrange(len(data))))
        data[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def _places(data: bytearray, magic: bytes) -> list[int]:
    found, at = [], data.find(magic)
    while at >= 0 and len(found) < 50:
        found.append(at)
        at = data.find(magic, at + 1)
    return found


def spoil_zip(data: bytes, random: Random) -> bytes:
    """Changes to the headers of a zip, sometimes to any of its bytes."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        if changed:
            _field(changed, random)
    return spoil(bytes(changed), random) if random.random() < 0.4 else bytes(changed)


# ---------------------------------------------------------------------- lines of YAML
def _laughs(random: Random) -> str:
    levels = random.choice((3, 9, 20))
    lines = ["a0: &a0 lol"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels + 1)]
    return "\n".join(lines)


def _merges(random: Random) -> str:
    lines = ["m0: &m0 {k: v}"]
    lines += [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}], k{n}: v}}" for n in range(1, random.choice((3, 24)))]
    return "\n".join(lines)


def _deep(random: Random) -> str:
    depth = random.choice((10, 63, 64, 65, 3000))
    return random.choice(("x: " + "[" * depth + "]" * depth, "x: " + "{a: " * depth, "- " * depth, "? " * depth))


def _long(random: Random) -> str:
    size = random.choice((5000, 199_999, 200_001, 1_100_000))
    return f"{random.choice(('title', 'x', 'description'))}: {random.choice('a9é-[')}" + random.choice("a9é -") * size


def _many(random: Random) -> str:
    item = random.choice(("- {a: b}\n", "- \n", "- [[], {}]\n", f"k{random.random()}: v\n"))
    return "many:\n" + item * random.choice((100, 20_000, 60_000))


def _names(random: Random) -> str:
    name = "n" * random.choice((50, 1020, 5000))
    return random.choice((f"x: !{name} y", f"x: *{name}", f"x: &{name} [*{name}]", f"{name}: 1\n{name}: 2"))


ODD_LINES: Sequence[Callable[[Random], str]] = (_laughs, _merges, _deep, _long, _many, _names, _names, _names)
_TAGS = (
    "!!python/object/apply:os.system [x]", "!!python/name:os.system", "!!binary aGk=", "!!set {a}", "!x y", "!<y> z",
    "!!int x", "!!float .nan", "!!timestamp 2001-01-01", "!!str 1", "!!map []", "!!seq {}", "!!null x", "! x",
)  # fmt: skip
ODD_SCALARS = (
    "0x" + "f" * 30, "9" * 400, "-" + "9" * 5000, "1e999", "-1e999", ".nan", ".inf", "-.inf", "0o17", "017", "1_000",
    "190:20:30", "yes", "No", "~", "null", "''", "' '", '"\\0"', '"\\ud800"', '"\\u202e"', "\u2028", "\ufeff", "\x85",
    "\U0001f600", "e\u0301", "2026-13-45", "0000-00-00", "9999-12-31T23:59:59-14:00", "0001-01-01 00:00:00+14:00",
    "99999-01-01", "32-1-2026", "2026-02-30", "1-1-1", "20260101", "'20260101'", "3 Aug 2020 10 PM XYZ", "-1",
    "2147483648", "1e3", "4.0", "+5", "٣", "²",
    "../../etc/passwd", "/etc/passwd", "C:\\x", "file:///etc/passwd", ".", "a/../b", "x" * 300, "<b>", "{{ x }}",
    "*unknown", "&a x", "<<", "=", "[", "}", "%", "@x", "`", "|", ">", "? x", ": x", "- - -", "a: b: c", "#", "'", '"',
    "b8a25ab3-5b0a-4a44-8d0e-6b4d1dcb2c2a", "[0, 0]", "[1000000000]", "{a: {b: [c]}}", "[[[]]]", "{}", "[]",
)  # fmt: skip


def spoil_yaml(text: str, random: Random) -> bytes:
    """One to four changes to the lines of a YAML text, then to its encoding."""
    lines = text.split("\n")
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(lines))
        what = random.randrange(11)
        key, colon, _ = lines[at].partition(": ")
        if what < 3 and colon:
            lines[at] = f"{key}: {random.choice(ODD_SCALARS)}"
        elif what == 3 and colon:
            lines[at] = f"{key}: {random.choice(_TAGS)}"
        elif what == 4:
            lines.insert(at, random.choice(lines))
        elif what == 5:
            lines.pop(at) if len(lines) > 1 else None
        elif what == 6:
            lines[at] = random.choice(("  ", "\t", " ", "- ", "---", "...", "# ", "\0")) + lines[at]
        elif what == 7 and random.random() < 0.15:
            lines.insert(random.choice((0, at, len(lines))), random.choice(ODD_LINES)(random))
        elif what == 8:
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif what == 9 and colon:
            lines[at] = f"{key}: &x {lines[at][len(key) + 2 :]}"
            lines.append(f"{random.choice(('again', 'tasks', 'phases', '<<', 'leaderboard'))}: *x")
        else:
            lines[at] = lines[at][: random.randrange(len(lines[at]) + 1)]
    return _encoded("\n".join(lines), random)


def _encoded(text: str, random: Random) -> bytes:
    choice = random.randrange(24)
    if choice == 0:
        return b"\xef\xbb\xbf" + text.encode("utf-8", "surrogatepass")
    if choice == 1:
        return text.replace("\n", random.choice(("\r\n", "\r", "\u2028", "\x85"))).encode("utf-8", "surrogatepass")
    if choice == 2:
        return text.encode(random.choice(("utf-16", "utf-32-le", "utf-16-be")), "surrogatepass")
    if choice == 3:
        return text.encode("latin-1", "replace")
    data = text.encode("utf-8", "surrogatepass")
    return spoil(data, random) if choice < 9 else data
