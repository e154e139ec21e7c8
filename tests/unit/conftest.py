"""Becoming somebody else, for what root is never refused."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534


class Nobody:
    """A user without rights, and a directory that is theirs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def does(self, work: Callable[[Path], object]) -> bool:
        """Do `work` with their directory, in a process of theirs; False if it raised."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                work(self.folder)
                status = 0
            except BaseException:  # noqa: BLE001 - the outermost frame of a process
                traceback.print_exc()
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def nobody() -> Iterator[Nobody]:
    """Needs root: only root can become somebody else."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, NOBODY, NOBODY)
        yield Nobody(Path(name))
