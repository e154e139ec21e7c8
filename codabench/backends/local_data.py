"""Directories of a host that programs may be given by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from codabench.core.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class LocalData(Mapping[str, Path]):
    """Name -> directory. A name is one component of a path inside a container, so that it can only lie there.

    Raises
    ------
    UsageError
        ``CB353``: a name that cannot be one, or a directory that is not there.
    """

    def __init__(self, directories: Mapping[str, str | os.PathLike[str]]) -> None:
        self._directories: dict[str, Path] = {}
        self.offer(directories)

    def offer(self, directories: Mapping[str, str | os.PathLike[str]]) -> None:
        """Offer these, too."""
        found = {}
        for name, directory in directories.items():
            if not _NAME.fullmatch(name):
                hint = "letters, digits, dot, dash and underscore, as in imagenet-2012"
                raise UsageError(f"local data cannot be called {name!r}", code="CB353", hint=hint)
            place = Path(directory).expanduser().resolve()
            if not place.is_dir():
                raise UsageError(f"the directory of the local data {name} is not there: {place}", code="CB353")
            found[name] = place
        self._directories |= found

    def __getitem__(self, name: str) -> Path:
        return self._directories[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._directories)

    def __len__(self) -> int:
        return len(self._directories)
