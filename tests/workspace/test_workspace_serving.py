"""``ws.dispatch()``: when it ends, and what it survives."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from machines import AtOnce
from test_workspace_takeover import Away, submit, until
from tiny import bundle

import codabench as cb
from codabench.core.errors import StorageError
from codabench.core.records import Status


@pytest.fixture
def place(tmp_path: Path) -> Path:
    bundle(tmp_path / "bundle")
    return tmp_path


def test_a_database_that_comes_back_finds_the_dispatcher_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, backend = threading.Event(), AtOnce()
    with (
        cb.Workspace(place / "lab", dispatch=False) as queue,
        cb.Workspace(place / "lab", backend=backend, lease=0.5) as ws,
    ):
        thread = threading.Thread(target=lambda: ws.dispatch(stop=stop))
        thread.start()
        assert submit(queue, place).wait(30).status is Status.FINISHED
        with monkeypatch.context() as patch:
            patch.setattr(ws.db, "_engine", Away(ws.db._engine))
            later = submit(queue, place)
            until(lambda: ws._dispatcher._fatal is not None)
        assert later.wait(60).status is Status.FINISHED
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
    assert backend.taken == 2


def test_what_is_no_matter_of_time_is_raised(place: Path) -> None:
    ws = cb.Workspace(place / "lab", backend=AtOnce())
    ws.close()
    with pytest.raises(StorageError, match="is closed"):
        ws.dispatch(drain=True)


def test_who_only_queues_drives_while_asked_to_and_no_longer(place: Path) -> None:
    backend = AtOnce()
    with cb.Workspace(place / "lab", backend=backend, dispatch=False) as ws:
        first = submit(ws, place)
        ws.dispatch(drain=True)
        assert first.status is Status.FINISHED
        later = submit(ws, place)
        with pytest.raises(TimeoutError):
            later.wait(1.5)
        assert backend.taken == 1
