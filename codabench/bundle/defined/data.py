"""Data of a competition that is defined in Python: arrays, frames, texts and paths as files.

What is written depends on the name it is given: ``X.npy``, ``train.csv``, ``config.json``. Equal values give equal
bytes.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from codabench.bundle.fields import shorten, spelled
from codabench.core.errors import ArchiveError, BundleError, UsageError
from codabench.storage.names import safe_path
from codabench.storage.overlay import Content, Overlay
from codabench.storage.sources import ArchiveLimits, EmptySource, TreeSource, open_source


def made(
    name: str, files: Mapping[str, bytes | Content], folders: Mapping[str, TreeSource] | None = None
) -> TreeSource:
    """A tree of files in memory or elsewhere, and of whole trees as folders; `name` is for messages."""
    contents = {path: Content.of_bytes(file) if isinstance(file, bytes) else file for path, file in files.items()}
    return Overlay(EmptySource(name), files=contents, folders=folders)


def tree_of(data: Any, name: str) -> TreeSource:
    """Data as a tree of files.

    Parameters
    ----------
    data
        A mapping of file names to values, or the path of a directory, a zip or one file.
    name
        For messages.

    Raises
    ------
    UsageError
        ``CB324``: a value cannot be written under its name; the message lists every one that cannot.
    BundleError
        A path cannot be read.
    """
    if isinstance(data, TreeSource):
        return data
    if isinstance(data, (str, os.PathLike)):
        place = Path(data).expanduser()
        if place.is_file() and place.suffix.lower() != ".zip":
            return made(name, {place.name: Content.of_path(place.absolute())})
        return open_source(place.absolute() if "://" not in os.fspath(data) else data)
    if not isinstance(data, Mapping):
        kind = _kind(data)
        hint = 'write {"X.npy": array} or "folder/"'
        raise UsageError(f"{name} is a mapping of names to values, or a path; it is {kind}", code="CB324", hint=hint)
    return _written(data, name)


def _written(data: Mapping[Any, Any], name: str) -> TreeSource:
    files: dict[str, bytes | Content] = {}
    folders: dict[str, TreeSource] = {}
    wrong: list[str] = []
    for key, value in data.items():
        try:
            path = safe_path(str(key), ArchiveLimits.OWN)
            found = _file(path, value)
            if isinstance(found, TreeSource):
                folders[path] = found
            else:
                files[path] = found
        except (UsageError, BundleError) as error:
            if error.code == "CB370":
                raise
            wrong.append(f"{error.message}; {error.hint}" if error.hint else error.message)
    if wrong:
        raise UsageError(f"{name}: {'; '.join(wrong)}", code="CB324")
    if not files and not folders:
        raise ArchiveError(f"{name} holds nothing", code="CB026")
    return made(name, files, folders)


def _file(path: str, value: Any) -> bytes | Content | TreeSource:
    if isinstance(value, os.PathLike):
        place = Path(value).expanduser().absolute()
        if place.is_dir():
            return open_source(place)
        if not place.is_file():
            raise _unusable(path, f"there is no file {shorten(str(place))}")
        return Content.of_path(place)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return _text(path, value)
    writer = _WRITERS.get(os.path.splitext(path)[1].lower())
    if writer is None:
        hint = f"write it as {spelled(sorted(_WRITERS))}; give anything else as text, bytes or a pathlib.Path"
        raise _unusable(path, f"nothing writes what is {_kind(value)} under that name", hint)
    return writer(path, value)


def _text(path: str, value: str) -> bytes:
    if os.path.splitext(path)[1].lower() in (".npy", ".npz"):
        raise _unusable(path, "a text is no array", "for a file write pathlib.Path(...)")
    if "\n" not in value and len(value) < 1024 and "\0" not in value and os.path.isfile(value):
        raise _unusable(path, f"{shorten(value)} is the name of a file", "for its content write pathlib.Path(...)")
    return value.encode("utf-8", "surrogatepass")


# ---------------------------------------------------------------------- one writer for each suffix
def _npy(path: str, value: Any) -> bytes:
    import numpy as np

    out = io.BytesIO()
    np.save(out, _array(path, value), allow_pickle=False)
    return out.getvalue()


def _npz(path: str, value: Any) -> bytes:
    """Members carry no date of today, so equal arrays give equal bytes."""
    import numpy as np

    if not isinstance(value, Mapping):
        raise _unusable(path, f"it is {_kind(value)}", 'an .npz holds several arrays: write {"name": array}')
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **{str(key): _array(path, item) for key, item in value.items()})
    return out.getvalue()


def _array(path: str, value: Any) -> Any:
    import numpy as np

    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise _unusable(path, f"it is {_kind(value)}, and no array: {error}") from None
    if array.dtype.hasobject:
        hint = "it would need a pickle: give numbers or texts of one type, or write it as .csv or .json"
        raise _unusable(path, f"its array holds Python objects ({array.dtype})", hint)
    # Fortran order would be kept, and equal arrays would give other bytes.
    return np.ascontiguousarray(array) if array.ndim else array


def _table(path: str, value: Any) -> bytes:
    comma = "\t" if path.lower().endswith(".tsv") else ","
    if hasattr(value, "to_frame"):
        value = value.to_frame()
    if hasattr(value, "to_csv"):
        plain = type(value.index).__name__ == "RangeIndex" and value.index.name is None
        text: str = value.to_csv(index=not plain, sep=comma, lineterminator="\n")
        return text.encode()
    rows = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(rows, (list, tuple)):
        raise _unusable(path, f"it is {_kind(value)}", "a table is a data frame, an array or a list of rows")
    out = io.StringIO()
    if rows and all(isinstance(row, Mapping) for row in rows):
        head = list(dict.fromkeys(key for row in rows for key in row))
        named = csv.DictWriter(out, head, delimiter=comma, lineterminator="\n")
        named.writeheader()
        named.writerows(rows)
    else:
        listed = [row if isinstance(row, (list, tuple)) else [row] for row in rows]
        csv.writer(out, delimiter=comma, lineterminator="\n").writerows(listed)
    return out.getvalue().encode()


def _json(path: str, value: Any) -> bytes:
    try:
        return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _unusable(path, f"it is {_kind(value)}, and no JSON: {error}") from None


_WRITERS: dict[str, Callable[[str, Any], bytes]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _table,
    ".tsv": _table,
    ".json": _json,
}


def _kind(value: Any) -> str:
    return f"of type {type(value).__name__}"


def _unusable(path: str, why: str, hint: str | None = None) -> UsageError:
    return UsageError(f"{shorten(path)} cannot be written: {why}", code="CB324", hint=hint)
