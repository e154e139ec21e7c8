"""Data sets and tasks of a server that a bundle names by key, and the files that the caller gives for them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from codabench.bundle.fields import is_uuid, shorten
from codabench.core.errors import UsageError
from codabench.storage.sources import ArchiveLimits, TreeSource, open_source

Given = str | os.PathLike[str] | TreeSource
Datasets = Mapping[str, Given] | Callable[[str], Given | None]
"""What stands for a key: a directory, a zip, a URL of one, or an opened tree; None for a key that is not known."""


def plain_key(text: str) -> str:
    """A UUID as everybody writes it: small letters, with hyphens."""
    return str(uuid.UUID(text))


_HINT = 'datasets={"5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01": "truth.zip"}, or a function from key to path'


class KeyedData:
    """What the caller gives for keys; each is opened when it is first named.

    Parameters
    ----------
    given
        By UUID, in any spelling.
    limits, storage_options
        For opening them.

    Raises
    ------
    UsageError
        ``CB170``: a key of `given` is no UUID, or it is no mapping and no function.
    """

    def __init__(
        self,
        given: Datasets | None = None,
        limits: ArchiveLimits = ArchiveLimits.OWN,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        if given is not None and not isinstance(given, Mapping) and not callable(given):
            raise UsageError(f"datasets is a mapping or a function, not {given!r:.60}", code="CB170", hint=_HINT)
        self._ask = _by_key(given) if isinstance(given, Mapping) else given
        self._limits, self._options = limits, storage_options
        self._found: dict[str, TreeSource | None] = {}
        self._own: list[TreeSource] = []

    def find(self, key: str) -> TreeSource | None:
        """The files of a data set or task, or None if nothing is given for it.

        Raises
        ------
        BundleError
            What is given cannot be used.
        """
        if not is_uuid(key):
            return None
        key = plain_key(key)
        if key not in self._found:
            given = self._ask(key) if self._ask else None
            if given is None or isinstance(given, TreeSource):
                self._found[key] = given
            elif not isinstance(given, (str, os.PathLike)):
                raise UsageError(f"{given!r:.60} is given for {key}: that is no path", code="CB170", hint=_HINT)
            else:
                self._found[key] = opened = open_source(
                    given, limits=self._limits, storage_options=self._options if "://" in os.fspath(given) else None
                )
                self._own.append(opened)
        return self._found[key]

    def close(self) -> None:
        """Release what was opened here, not what was given open."""
        self._found.clear()
        while self._own:
            self._own.pop().close()


def _by_key(given: Mapping[str, Given]) -> Callable[[str], Given | None]:
    wrong = [str(key) for key in given if not is_uuid(str(key))]
    if wrong:
        message = f"{shorten(wrong[0])} is not the key of a data set"
        raise UsageError(message, code="CB170", hint="a key is a UUID such as 5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01")
    return {plain_key(str(key)): value for key, value in given.items()}.get
