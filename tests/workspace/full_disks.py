"""Backs up to disks of all sizes, and restores from a backup to them; see test_workspace_backup.py.

full_disks.py backup|restore FOLDER     in a name space of its own (unshare -Urm); prints how often it was full, and not
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import answer, bundle

import codabench as cb
from codabench.core.errors import StorageError

PAGES = [*range(1, 40, 6), *range(40, 260, 22)]


def mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def restored(source: Path, place: Path) -> int:
    """How many submissions a workspace has that is made of a backup; what is not whole is refused."""
    with cb.Workspace.restore(source, place, backend="process") as ws:
        assert ws.db.check() == []
        found = ws.gc(verify=True).damaged
        assert found == (), found
        return len(ws.db.submissions(ws.db.competitions()[0][0]))


def main(which: str, folder: Path) -> None:
    disk, full, done = folder / "disk", 0, 0
    disk.mkdir()
    with cb.load(bundle(folder / "bundle")) as comp, cb.Workspace(folder / "lab") as ws:
        ws.add(comp)
        text = '{"score": 1, "more": "' + "x" * 100_000 + '"}'
        ws.submit(comp, answer(folder / "mine", text), backend="process")
        ws.backup(folder / "good")
        for pages in PAGES:
            mount(disk, f"size={4 * pages}k")
            try:
                if which == "backup":
                    ws.backup(disk / "kept")
                else:
                    restored(folder / "good", disk / "new")
                done += 1
            except StorageError as error:
                if error.code != "CB707" or not error.hint:
                    raise
                full += 1
                refused(which, disk, folder)
            else:
                assert which == "restore" or restored(disk / "kept", folder / f"new{pages}") == 1
            # With room, in another place, it is done.
            mount(disk, "remount,size=32m")
            if which == "backup":
                ws.backup(disk / "again")
            assert restored(disk / "again" if which == "backup" else folder / "good", disk / "other") == 1
            shutil.rmtree(disk / "other")
            subprocess.run(["umount", disk], check=True)
    print(full, done)


def refused(which: str, disk: Path, folder: Path) -> None:
    """Half a backup is none."""
    if which == "restore":
        return
    with pytest.raises(StorageError) as caught:
        restored(disk / "kept", folder / "never")
    assert caught.value.code == "CB730"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
