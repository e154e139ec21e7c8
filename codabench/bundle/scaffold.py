"""A new competition, complete and small, to be changed into one's own: what ``codabench init`` writes."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import unicodedata
from datetime import date
from pathlib import Path

from codabench.bundle.fields import shorten
from codabench.core.errors import StorageError, UsageError
from codabench.core.packaged import packaged

TEMPLATES = {
    "results": ("common", "training", "results"),
    "code": ("common", "training", "code"),
    "inverted": ("common", "inverted"),
}
"""What participants submit (results, code; inverted: data), and the folders of ``templates/`` that make it up."""
_BRACES = re.compile(r"\{(title|heading|today)\}")
_FILLED = (".md", ".yaml")
_MARKS = re.compile(r"([\\`*_{}\[\]<>#&|~])")


def scaffold(name: str, place: Path, *, template: str, today: date) -> list[str]:
    """Write a competition called `name` into a new folder of that name in `place`: all of it, or nothing.

    Parameters
    ----------
    name
        Also the title. Any characters that a file may have in its name and a person can see.
    template
        A key of `TEMPLATES`.
    today
        The day on which the only phase begins.

    Returns
    -------
    list of str
        The files, relative to the new folder.

    Raises
    ------
    UsageError
        `name` is no name for a folder, or something is there (``CB150``).
    StorageError
        The folder cannot be written (``CB704``).
    """
    _check_name(name)
    target = place / name
    try:
        _check_free(target)
        with tempfile.TemporaryDirectory(prefix=".codabench-init-", dir=place) as scratch:
            made = Path(scratch) / "made"
            _write(made, template, _values(name, today))
            files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
            made.rename(target)
    except OSError as error:
        raise StorageError(
            f"{shorten(str(target))} cannot be written: {error.strerror or error}", code="CB704"
        ) from error
    return files


def _check_name(name: str) -> None:
    if not name.strip() or name in (".", "..") or "/" in name or os.sep in name:
        hint = "change to the folder that is to hold it, and give a name only: codabench init NAME"
        raise UsageError(f"{shorten(name)} is no name of a new folder", hint=hint)
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise UsageError(f"{shorten(name)} holds characters that nobody sees", hint="use letters, digits and blanks")


def _check_free(target: Path) -> None:
    empty = target.is_dir() and not target.is_symlink() and not any(target.iterdir())
    if os.path.lexists(target) and not empty:
        raise UsageError(f"{shorten(target.name)} is there already", code="CB150", hint="choose another name")


def _values(name: str, today: date) -> dict[str, str]:
    """What stands for the names in braces of the templates, written as each place needs it."""
    import yaml

    quoted = yaml.safe_dump(name, default_style='"', allow_unicode=True, width=sys.maxsize).strip()
    return {"title": quoted, "heading": _MARKS.sub(r"\\\1", name), "today": today.isoformat()}


def _write(target: Path, template: str, values: dict[str, str]) -> None:
    """The files of all layers, with modes of their own: the package may be installed where nothing can be written."""
    for layer in TEMPLATES[template]:
        source = packaged("_templates", "templates") / layer
        for path in sorted(source.rglob("*")):
            # Installers compile what they install.
            if path.is_file() and path.suffix != ".pyc":
                place = target / path.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                data = path.read_bytes()
                place.write_bytes(_filled(data.decode(), values).encode() if path.suffix in _FILLED else data)


def _filled(text: str, values: dict[str, str]) -> str:
    """In one pass: a title may be ``{today}``."""
    return _BRACES.sub(lambda match: values[match[1]], text)
