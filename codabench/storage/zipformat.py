"""The directory of a zip, read strictly: one parser for check and use (security.md Z01-Z13).

Python's `zipfile` takes more than it should: entries that share bytes, local headers that disagree with the directory.
What is listed here has been compared with the local headers, lies inside the file and overlaps nothing.
"""

from __future__ import annotations

import io
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from codabench.core.errors import ArchiveError
from codabench.core.problems import Problem, Severity
from codabench.core.text import human_size, plural
from codabench.storage.names import folded, safe_path, shown
from codabench.storage.ranges import RandomAccess, Window
from codabench.storage.tree import LESS, ArchiveLimits, SourceEntry

STORED, DEFLATED = 0, 8
_END, _END64, _LOCATOR64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s2B4HL2L2H")
_LARGE = 0xFFFFFFFF
_UTF8, _ENCRYPTED = 0x800, 0x1 | 0x40 | 0x2000
_KINDS = {
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFSOCK: "socket",
}


class Member(NamedTuple):
    """One file or folder of an archive.

    Attributes
    ----------
    header, end
        Where its local header begins, and what it must not reach beyond: the next header, or the directory.
    start
        Where its packed bytes begin; -1 if its local header has not been read yet.
    raw
        Its name as the directory has it, while `start` is not known.
    """

    entry: SourceEntry
    header: int
    end: int
    start: int
    packed: int
    crc: int
    method: int
    flags: int
    raw: bytes


def read_directory(
    file: RandomAccess, name: str, limits: ArchiveLimits, *, allow_twins: bool
) -> tuple[dict[str, Member], list[Problem]]:
    """The members of an archive by path, and what was odd about them.

    Where reading is costly, local headers are left for `located`, when a member is read.

    Raises
    ------
    ArchiveError
        The archive is damaged or unsafe.
    """
    size = file.size
    if size == 0:
        raise ArchiveError(
            f"{shown(name)} is empty (0 bytes)", code="CB022", hint="it may have been cut off while it was sent"
        )
    if size > limits.archive_bytes:
        raise ArchiveError(f"{shown(name)} is larger than {human_size(limits.archive_bytes)}", code="CB029", hint=LESS)
    count, start, end, shift = _end_record(file, size, name)
    limits.check_entries(count, name)
    odd: list[Problem] = []
    if shift:
        odd.append(
            _warn(
                "CB036",
                f"{plural(shift, 'byte')} before the archive in {shown(name)} are ignored",
                "pack it again, if they are not meant",
            )
        )
    listed = list(_central(file, start, end, count, shift, name, limits, odd))
    _set_ends(listed, start)
    if not file.far:
        _locate_all(file, listed, name)
    limits.check_total(sum(m.entry.size for m in listed), name)
    return _by_path(listed, odd, name, allow_twins), odd


def damaged(name: str, why: str) -> ArchiveError:
    """The archive contradicts itself."""
    return ArchiveError(
        f"{shown(name)} is damaged: {why}",
        code="CB024",
        hint="pack it again; it may have been changed while it was sent",
    )


def _end_record(file: RandomAccess, size: int, name: str) -> tuple[int, int, int, int]:
    """(entries, start and end of the directory, bytes before the archive), from the record at the end."""
    tail_at = max(0, size - 22 - 0xFFFF - 76)
    tail = file.pread(size - tail_at, tail_at)
    at = tail.rfind(_END)
    while at >= 0 and (len(tail) < at + 22 or at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") != len(tail)):
        at = tail.rfind(_END, 0, at)
    if at < 0:
        if file.pread(4, 0) in (b"PK\3\4", _END):
            why = "is cut off: the directory at the end of the zip is missing"
            raise ArchiveError(f"{shown(name)} {why}", code="CB023", hint="send or copy the file again")
        raise ArchiveError(f"{shown(name)} is not a zip file", code="CB023", hint="give a folder or a zip file")
    disks, disk, here, count, length, offset = struct.unpack_from("<4H2L", tail, at + 4)
    end = at
    if at >= 76 and tail[at - 20 : at - 16] == _LOCATOR64:
        if tail[at - 76 : at - 72] != _END64:
            raise damaged(name, "its zip64 end record is not where it should be")
        end = at - 76
        disks, disk, here, count, length, offset = _end64(tail, end, (disks, disk, here, count, length, offset), name)
    if disks or disk or here != count:
        raise damaged(name, "it is one part of an archive in several files")
    shift = tail_at + end - length - offset
    if shift < 0 or count * _CENTRAL.size > length:
        raise damaged(
            name,
            f"its end promises {plural(count, 'entry' if count == 1 else 'entrie')} where there is no room for them",
        )
    return count, offset + shift, offset + shift + length, shift


def _end64(tail: bytes, at: int, small: tuple[int, ...], name: str) -> tuple[int, ...]:
    large = struct.unpack_from("<2L4Q", tail, at + 16)
    tops = (0xFFFF,) * 4 + (_LARGE,) * 2
    if any(s not in (top, big) for s, big, top in zip(small, large, tops, strict=True)):
        raise damaged(name, "its two end records disagree")
    return large


def _central(
    file: RandomAccess,
    start: int,
    end: int,
    count: int,
    shift: int,
    name: str,
    limits: ArchiveLimits,
    odd: list[Problem],
) -> Iterator[Member]:
    """The entries of the directory, without what only their local headers and places say."""
    reader = io.BufferedReader(Window(file, start, end), 1 << 16)
    backslashes = 0
    for _ in range(count):
        head = reader.read(_CENTRAL.size)
        if len(head) < _CENTRAL.size or head[:4] != b"PK\1\2":
            raise damaged(name, "its directory ends before all entries are listed")
        fields = _CENTRAL.unpack(head)
        flags, method, crc, packed, full = fields[5], fields[6], fields[9], fields[10], fields[11]
        raw_size, extra_size, note_size, attributes, header = *fields[12:15], fields[17], fields[18]
        raw = reader.read(raw_size)
        extra = reader.read(extra_size)
        reader.read(note_size)
        if _LARGE in (packed, full, header):
            full, packed, header = _zip64(extra, full, packed, header, name)
        text = _decode(raw, flags)
        if "\\" in text:
            text, backslashes = text.replace("\\", "/"), backslashes + 1
        path = safe_path(text, limits)
        entry = _entry(path, text, attributes, full)
        if flags & _ENCRYPTED:
            raise ArchiveError(
                f"{shown(path)} in {shown(name)} is encrypted", code="CB031", hint="pack it again without a password"
            )
        if method not in (STORED, DEFLATED):
            raise ArchiveError(
                f"{shown(path)} in {shown(name)} is packed with a method ({method}) that is not read",
                code="CB032",
                hint="pack it again with the usual method, deflate",
            )
        if method == STORED and packed != full:
            raise damaged(name, f"the sizes of {shown(path)} contradict each other")
        yield Member(entry, header + shift, -1, -1, packed, crc, method, flags, raw)
    if backslashes:
        message = f"{plural(backslashes, 'name')} with backslashes in {shown(name)} are taken for folders"
        odd.append(_warn("CB035", message, "pack with a program that writes / between folders"))


def _zip64(extra: bytes, full: int, packed: int, header: int, name: str) -> tuple[int, int, int]:
    """Sizes that do not fit 32 bits, from the extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            large = list(struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4))
            sizes = [large.pop(0) if v == _LARGE and large else v for v in (full, packed, header)]
            if _LARGE not in sizes:
                return sizes[0], sizes[1], sizes[2]
        at += 4 + length
    raise damaged(name, "a zip64 size is missing")


def _decode(raw: bytes, flags: int) -> str:
    """Names are UTF-8; without the flag that says so they may also be in the code page of DOS."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        if flags & _UTF8:
            raise ArchiveError(f"a name in the archive is not UTF-8: {raw[:60]!r}", code="CB027") from None
        return raw.decode("cp437")


def _entry(path: str, text: str, attributes: int, size: int) -> SourceEntry:
    mode = attributes >> 16
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind:
        raise ArchiveError(
            f"{shown(path)} in the archive is a {kind}; only files and folders are taken",
            code="CB028",
            hint="pack the file that is meant instead of a link to it",
        )
    if text.endswith("/") or stat.S_ISDIR(mode):
        if size:
            raise damaged(path, "a folder that holds bytes")
        return SourceEntry(path=path, kind="dir")
    if not path:
        raise ArchiveError(f"the name {shown(text)} is refused: it is the top of the archive", code="CB027")
    return SourceEntry(path=path, executable=bool(mode & 0o111), size=size)


def _set_ends(members: list[Member], directory: int) -> None:
    """What each member must not reach beyond, so that no two share bytes."""
    end = directory
    for place in sorted(range(len(members)), key=lambda i: members[i].header, reverse=True):
        members[place] = members[place]._replace(end=end)
        end = members[place].header


def _locate_all(file: RandomAccess, members: list[Member], name: str) -> None:
    for place in sorted(range(len(members)), key=lambda i: members[i].header):
        members[place] = located(file, members[place], name)


def located(file: RandomAccess, member: Member, name: str) -> Member:
    """The member with the start of its bytes, once its local header agrees with the directory."""
    if member.start >= 0:
        return member
    path, raw = member.entry.path, member.raw
    head = file.pread(_LOCAL.size + len(raw), member.header)
    if len(head) < _LOCAL.size + len(raw) or head[:4] != b"PK\3\4":
        raise damaged(name, f"{shown(path)} is not where the directory says")
    fields = _LOCAL.unpack_from(head)
    if head[_LOCAL.size :] != raw or fields[10] != len(raw):
        raise damaged(name, f"{shown(path)} has another name in front of its bytes than in the directory")
    if fields[4] != member.method or (fields[3] ^ member.flags) & _ENCRYPTED:
        raise damaged(name, f"{shown(path)} is described in two ways")
    start = member.header + _LOCAL.size + fields[10] + fields[11]
    if start + member.packed > member.end:
        raise damaged(name, f"{shown(path)} reaches into the directory or another entry")
    return member._replace(start=start, raw=b"")


def _by_path(members: list[Member], odd: list[Problem], name: str, allow_twins: bool) -> dict[str, Member]:
    """Later entries replace earlier ones of the same name; names that only look the same are refused."""
    found: dict[str, Member] = {}
    twice: dict[str, int] = {}
    for member in members:
        path = member.entry.path
        if not path:
            continue
        if path in found and "file" in (kinds := {found[path].entry.kind, member.entry.kind}):
            if len(kinds) == 2:
                raise _clash(path, path, name, "is a file and a folder")
            twice[path] = twice.get(path, 1) + 1
        found[path] = member
    odd += [
        _warn("CB034", f"{shown(path)} stands {n} times in {shown(name)}; the last one is used", "pack it once")
        for path, n in twice.items()
    ]
    _refuse_clashes(found, name, allow_twins)
    return found


def _refuse_clashes(found: dict[str, Member], name: str, allow_twins: bool) -> None:
    folds: dict[str, str] = {}
    parents: set[str] = set()
    for path, member in found.items():
        parent = path.rpartition("/")[0]
        while parent and parent not in parents:
            parents.add(parent)
            parent = parent.rpartition("/")[0]
        if member.entry.kind == "file" and not allow_twins:
            other = folds.setdefault(folded(path), path)
            if other != path:
                raise _clash(path, other, name, "would overwrite one another on some systems")
    for parent in parents:
        clash = found.get(parent)
        if clash is not None and clash.entry.kind == "file":
            raise _clash(parent, parent, name, "is a file and a folder")
        if not allow_twins and (twin := folds.get(folded(parent))):
            raise _clash(parent, twin, name, "would overwrite one another on some systems")


def _clash(one: str, other: str, name: str, why: str) -> ArchiveError:
    both = shown(one) if one == other else f"{shown(other)} and {shown(one)}"
    return ArchiveError(f"{both} in {shown(name)} {why}", code="CB033", hint="rename one of them and pack again")


def _warn(code: str, message: str, hint: str | None = None) -> Problem:
    return Problem(code=code, severity=Severity.WARNING, message=message, hint=hint)
