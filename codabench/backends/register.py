"""Which containers of an engine without a daemon there are: one small file each, so that others can clean up."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from codabench.backends.owner import Owner
from codabench.core.base import Record
from codabench.core.errors import EngineError, UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Entry(Record):
    """One container.

    Attributes
    ----------
    cgroups
        Directories that are removed with it.
    """

    owner: Owner
    cgroups: tuple[str, ...] = ()


class Register:
    """The files, in a directory that only this user can write to."""

    def __init__(self, engine: str) -> None:
        # Not TMPDIR, which differs from one process to the next: the point is to be found by others.
        top = "/tmp" if os.geteuid() else "/run"  # noqa: S108 - who owns it is looked at
        self.directory = Path(f"{top}/codabench-{engine}-{os.geteuid()}")

    def add(self, name: str, entry: Entry) -> None:
        """Take a name.

        Raises
        ------
        UsageError
            If it cannot be a name.
        EngineError
            If there is one of that name, or nothing can be written.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot be the name of a container: letters, digits, '_', '.' and '-'")
        try:
            self._open()
            with open(self.directory / name, "x", encoding="utf-8") as file:
                file.write(entry.model_dump_json())
        except FileExistsError:
            raise EngineError(f"there is a container {name!r} already") from None
        except OSError as error:
            raise EngineError(f"{self.directory}: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Give a name back."""
        (self.directory / name).unlink(missing_ok=True)

    def of_the_dead(self) -> Iterator[tuple[str, Entry]]:
        """Containers whose owner is certainly gone."""
        for file in sorted(self.directory.glob("*")):
            try:
                entry = Entry.model_validate_json(file.read_bytes())
            except (OSError, ValidationError):
                continue  # just being written, or just gone
            if entry.owner.is_dead():
                yield file.name, entry

    def _open(self) -> None:
        self.directory.mkdir(mode=0o700, exist_ok=True)
        found = self.directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise EngineError(
                f"{self.directory} belongs to somebody else (uid {found.st_uid})",
                hint="have it removed: the engine notes there which containers are yours",
            )
