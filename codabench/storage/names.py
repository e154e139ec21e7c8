"""Which names of files are taken, and how they are shown (security.md Z01, Z02, Z10, Z11)."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from codabench.core.errors import ArchiveError
from codabench.core.text import printable

if TYPE_CHECKING:
    from codabench.storage.tree import ArchiveLimits

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHOWN = 80


def shown(name: str) -> str:
    """`name` in quotes, fit for a terminal: invisible characters escaped, the middle of a long one left out."""
    text = printable(name.replace("\n", "\\n"))
    if len(text) > _SHOWN:
        text = f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 4 :]}"
    return f"'{text}'"


def safe_path(name: str, limits: ArchiveLimits) -> str:
    """The POSIX path that `name` stands for; ``""`` for the root itself.

    Nothing is repaired: a name that leaves its tree, or could on some system, is refused. Only ``.`` between slashes
    and one slash at the end mean nothing and are dropped.

    Raises
    ------
    ArchiveError
        ``CB027``, saying what is wrong with the name.
    """
    wrong = _wrong(name)
    parts = [part for part in name.removesuffix("/").split("/") if part != "."]
    if not wrong and any(not part.strip(". ") for part in parts):
        wrong = "it leaves the tree" if ".." in parts else "a part of it has no letters"
    if not wrong:
        wrong = _too_long(parts, limits)
    if wrong:
        raise ArchiveError(
            f"the name {shown(name)} is refused: {wrong}",
            code="CB027",
            hint="rename the file and pack again; names are relative to the top, with / between folders",
        )
    return "/".join(parts)


def _wrong(name: str) -> str | None:
    if not name:
        return "it is empty"
    if name.startswith("/"):
        return "it is absolute"
    if _DRIVE.match(name):
        return "it names a drive"
    if _CONTROL.search(name):
        return "it holds a control character"
    return None


def _too_long(parts: list[str], limits: ArchiveLimits) -> str | None:
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if len(parts) > limits.depth:
        return f"it is {len(parts)} folders deep, at most {limits.depth} are taken"
    if max(sizes, default=0) > limits.component_bytes:
        return f"a part of it is longer than {limits.component_bytes} bytes"
    if sum(sizes) + len(sizes) > limits.path_bytes:
        return f"it is longer than {limits.path_bytes} bytes"
    return None


def folded(path: str) -> str:
    """Equal for names that some file systems cannot tell apart: case and the way an accent is written."""
    return (
        path.lower() if path.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    )
