"""``codabench check --fix``: what is wrong with a bundle and can be mended is mended in its description."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from codabench.bundle.datasets import Datasets
from codabench.bundle.edits import apply_edits, overlap
from codabench.bundle.load import Bundle, read_bundle
from codabench.core.base import Record
from codabench.core.errors import StorageError, UsageError
from codabench.core.problems import Edit, Problem
from codabench.core.report import Report
from codabench.core.text import printable

_ROUNDS = 100
"""One mended problem can bring another to light; no bundle has so many one behind the other."""
_BROKEN = "CB00"
"""Codes of a file that is no YAML any more."""


class Fixed(Record):
    """What was mended.

    Attributes
    ----------
    applied
        The problems that are gone, each with its fix, in the order in which they were mended.
    diff
        The change of the text, as a unified diff; empty if there was nothing to mend.
    written
        Whether the file was changed.
    report
        Every problem that is left.
    """

    applied: tuple[Problem, ...] = ()
    diff: str = ""
    written: bool = False
    report: Report


def fix(
    source: str | os.PathLike[str],
    *,
    unsafe: bool = False,
    dry_run: bool = False,
    target: str = "local",
    datasets: Datasets | None = None,
) -> Fixed:
    """Mend what can be mended in the description of a bundle or task archive, by edits as small as possible.

    Comments, quotes, indentation, line ends and everything else that is not wrong keep their bytes. A fix that would
    make the file unreadable, or that would bring an error into a bundle without errors, is not applied. The file is
    replaced at once by a complete one with its mode; a second call changes nothing.

    Parameters
    ----------
    source
        A directory; with `dry_run` anything that `load` takes.
    unsafe
        Apply also guesses, and what changes rankings or when submissions are taken.
    dry_run
        Write nothing.
    target, datasets
        As for `check`.

    Raises
    ------
    UsageError
        ``CB359``: `source` is no directory, or its ``competition.yaml`` is a link.
    BundleError
        `source` cannot be read at all.
    StorageError
        ``CB704``: the file cannot be written, or somebody else changed it meanwhile.
    """
    place = None if dry_run else _folder(source)
    with read_bundle(source, target=target, datasets=datasets) as bundle:
        before, file = bundle.text, bundle.place
        if before is None or file is None or not _is_text(before):
            return Fixed(report=bundle.report)
        text, applied, report = _mended(bundle, before, unsafe)
    if place is not None and text != before:
        _write(place, file, before, text)
    written = place is not None and text != before
    return Fixed(applied=applied, diff=_diff(file, before, text), written=written, report=report)


def _is_text(data: bytes) -> bool:
    """Whether it can be edited as text at all."""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def _mended(bundle: Bundle, text: bytes, unsafe: bool) -> tuple[bytes, tuple[Problem, ...], Report]:
    """All fixes that go together at once, then what comes to light; one at a time where that fails."""
    applied: list[Problem] = []
    report = bundle.report
    seen = {text}
    for _ in range(_ROUNDS):
        fixable = [p for p in report if p.fix and all(edit.file == bundle.file for edit in p.fix.edits)]
        wanted = [p for p in fixable if unsafe or (p.fix and p.fix.safe)]
        for chosen in (_together(wanted), *([problem] for problem in wanted)):
            edits = dict.fromkeys(edit for p in chosen if p.fix for edit in p.fix.edits)
            changed = apply_edits(text, edits)
            if changed in seen:
                continue
            after = bundle.reread(changed).report
            if not _worse(report, after):
                break
        else:
            break
        seen.add(changed)
        applied += chosen
        text, report = changed, after
    return text, tuple(applied), report


def _together(wanted: Iterable[Problem]) -> list[Problem]:
    """Those whose edits do not touch one another, the first first."""
    chosen: list[Problem] = []
    taken: list[Edit] = []
    for problem in wanted:
        edits = problem.fix.edits if problem.fix else ()
        if not any(overlap(edit, taken) for edit in edits):
            taken += edits
            chosen.append(problem)
    return chosen


def _worse(before: Report, after: Report) -> bool:
    """Whether the file cannot be read any more, or has errors that it had not."""
    return not after.ok if before.ok else any(p.code.startswith(_BROKEN) for p in after.errors)


def _diff(file: str, before: bytes, after: bytes) -> str:
    """Short, for people: the lines that change, and one around them."""
    old, new = (data.decode("utf-8-sig").splitlines() for data in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{file}", f"b/{file}", n=1, lineterm="")
    return "\n".join(printable(line) for line in lines)


# ---------------------------------------------------------------------- writing
def _folder(source: str | os.PathLike[str]) -> Path:
    text = os.fspath(source)
    folder = Path(text.removeprefix("file://"))
    if not folder.is_dir():
        hint = "unpack it first, or look with --diff; codabench convert writes a new bundle"
        raise UsageError(f"{printable(text)} is no directory: only those are mended", code="CB359", hint=hint)
    return folder


def _write(folder: Path, name: str, before: bytes, after: bytes) -> None:
    """Replace the file by a complete one with the same mode, if it is still what was read."""
    place, made = folder / name, None
    try:
        status = place.lstat()
        if not stat.S_ISREG(status.st_mode) or (place.parent != folder and place.parent.is_symlink()):
            hint = "mend the file that it leads to"
            raise UsageError(f"{printable(str(place))} is a link, which is not followed", code="CB359", hint=hint)
        descriptor, made = tempfile.mkstemp(prefix=".codabench-", dir=place.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            os.fsync(file.fileno())
        if _read(place) != before:
            hint = "run the command again"
            raise StorageError(f"{place} was changed by somebody else meanwhile", code="CB704", hint=hint)
        os.replace(made, place)
        made = None
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{place} cannot be written: {error.strerror or error}", code="CB704") from error
    finally:
        if made is not None:
            os.unlink(made)


def _read(place: Path) -> bytes:
    with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return file.read()
