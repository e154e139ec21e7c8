"""Where a database in a file can lie, and what is said when the disk is full."""

from __future__ import annotations

from pathlib import Path

import pytest
from db_samples import AT, admitted
from sqlalchemy import event

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import StorageError
from codabench.db import places
from codabench.db.database import Database
from codabench.db.places import file_system, network_file_system

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /home rw - nfs4 server:/home rw
31 30 0:31 / /home/ada/disk rw - xfs /dev/sdb rw
32 22 0:32 / /mnt/my\\040share rw - cifs //server/share rw
33 22 0:33 / /twice rw - nfs a:/ rw
34 22 0:34 / /twice rw - tmpfs none rw
"""


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("/", "ext4"),
        ("/srv/lab", "ext4"),
        ("/home", "nfs4"),
        ("/home/ada", "nfs4"),
        ("/home/ada/disk/lab", "xfs"),
        ("/homes", "ext4"),
        ("/mnt/my share/x", "cifs"),
        ("/twice/x", "tmpfs"),
    ],
)
def test_the_file_system_of_a_place(place: str, found: str) -> None:
    assert file_system(Path(place), MOUNTS) == found


def test_a_database_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(places, "MOUNTS", mounts)
    line = f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:30 / {tmp_path}/lab rw - %s server:/lab rw\n"
    (tmp_path / "lab").mkdir()
    mounts.write_text(line % "nfs4")
    with pytest.raises(StorageError, match=r"network file system \(nfs4\)") as caught:
        Database(f"sqlite:///{tmp_path}/lab/x.db")
    assert caught.value.code == "CB724"
    assert list((tmp_path / "lab").iterdir()) == []
    Database("sqlite://").close()
    mounts.write_text(line % "xfs")
    Database(f"sqlite:///{tmp_path}/lab/x.db").close()


def test_where_nobody_says_what_is_mounted_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOUNTS", tmp_path / "nothing")
    assert network_file_system(tmp_path) is None


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.db")
    db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    admitted(db, "before")

    @event.listens_for(db._engine, "begin")
    def shrink(connection: object) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    with pytest.raises(StorageError, match="disk is full") as caught:
        any(admitted(db, f"s{n}", participant="x" * 4000) is None for n in range(200))
    assert caught.value.code == "CB707"
    event.remove(db._engine, "begin", shrink)
    written = len(db.submissions("c"))
    db.close()
    again = Database(f"sqlite:///{tmp_path}/x.db")
    assert len(again.submissions("c")) == written
    assert again.submissions("c")[0].id == "before"
    again.close()
