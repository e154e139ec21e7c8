"""Small pure functions on text: what people read, what people type."""

from __future__ import annotations

import difflib
import html
import itertools
import re
import unicodedata
from collections.abc import Iterable

_NO_CHARACTER = re.compile("[\ud800-\udfff]")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_SIZE = re.compile(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([kmgt]?)(i?)(b?)\s*", re.IGNORECASE)
_DURATION = re.compile(
    r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*(ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)?\s*", re.IGNORECASE
)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def printable(text: str) -> str:
    """`text` with control, bidirectional and other invisible characters escaped (security.md H07, Z11)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n" else c.encode("unicode_escape").decode() for c in text)


def storable(text: str) -> str:
    """`text` as every database takes it: without zero characters, a sign in place of what is no character."""
    return _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text.replace("\x00", ""))


def file_name(name: str) -> str:
    """What a path says, as text: UTF-8, whatever this process takes file names for; a sign for what is no character."""
    raw = "".join("\N{REPLACEMENT CHARACTER}" if _NO_BYTE.match(c) else c for c in name)
    return storable(raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def plural(count: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names in their order, each once: the second of one name gets ``#2``, or the first number that is free."""
    used = set(taken)
    found = []
    for name in names:
        free = next(n for k in itertools.count(1) if (n := name if k == 1 else f"{name} #{k}") not in used)
        used.add(free)
        found.append(free)
    return found


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """The known name that `wrong` most likely stands for, or None."""
    choices = [str(k) for k in known]
    folded = {_fold(k): k for k in reversed(choices)}
    if _fold(wrong) in folded:
        return folded[_fold(wrong)]
    close = difflib.get_close_matches(_fold(wrong), folded, n=5, cutoff=0.6)
    if close:
        return folded[next((name for name in close if is_slip(_fold(wrong), name)), close[0])]
    prefixed = [k for k in choices if _fold(k) and _fold(wrong).startswith(_fold(k))]
    return prefixed[0] if prefixed else None


def is_slip(wrong: str, right: str) -> bool:
    """Whether only a slip of the pen lies between them: one letter, or the order of two.

    Case, and what joins words, do not count.
    """
    wrong, right = (_fold(text).replace("_", "") for text in (wrong, right))
    for _ in range(2):
        alike = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(wrong, right, strict=False)))
        wrong, right = wrong[alike:][::-1], right[alike:][::-1]
    return max(len(wrong), len(right)) <= 1 or (len(wrong) == 2 and wrong == right[::-1])


def _fold(text: str) -> str:
    return re.sub(r"[\s_\-]+", "_", text.strip().lower())


def parse_size(value: int | str) -> int:
    """Bytes from ``1073741824``, ``"1 GiB"``, ``"512m"``; units are powers of 1024, as container engines read them.

    Raises
    ------
    ValueError
        If it is no size.
    """
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(value)
    if not match:
        raise ValueError(f"not a size: {value!r} (write 512m or 4 GiB)")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


def parse_duration(value: float | str) -> float:
    """Seconds from ``90``, ``"90"``, ``"20 min"``, ``"1.5 h"``.

    Raises
    ------
    ValueError
        If it is no duration.
    """
    if isinstance(value, (int, float)):
        return float(value)
    match = _DURATION.fullmatch(value)
    if not match:
        raise ValueError(f"not a duration: {value!r} (write 90, 20 min or 1.5 h)")
    unit = (match[2] or "s").lower()
    return float(match[1]) * _SECONDS["ms" if unit == "ms" else unit[0]]


def span(seconds: float) -> str:
    """``4.2 s``, ``2 min 5 s``, ``3 h 2 min``."""
    whole = int(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def text_width(text: str) -> int:
    """Columns of a terminal that `text` takes: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns of a terminal; what is left out is shown by an ellipsis."""
    if text_width(text) <= width:
        return text
    kept = ""
    for c in text:
        if text_width(kept + c) > width - 1:
            break
        kept += c
    return kept + "…"


def human_size(size: float) -> str:
    """``1.2 kB``, ``4.0 GiB``: for people, not for programs."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def preformatted(text: str, kind: str) -> str:
    """Text as a notebook shows it: escaped, in columns; `kind` is a class for style sheets."""
    return f'<pre class="{kind}" style="line-height:1.3">{html.escape(text)}</pre>'
