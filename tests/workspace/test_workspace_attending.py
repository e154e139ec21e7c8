"""Submissions that nobody waits for, and those that somebody attends to later."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from tiny import Watcher, alive, answer, bundle

import codabench as cb
from codabench.workspace.running import attend


@pytest.fixture
def competition(tmp_path: Path) -> cb.Competition:
    return cb.load(bundle(tmp_path / "bundle"))


def test_nobody_has_to_wait(competition: cb.Competition, tmp_path: Path) -> None:
    with competition:
        long = answer(tmp_path / "long", '{"score": 1, "sleep": 60}')
        handle = competition.run(long, backend="process", wait=False)
        assert not handle.status.is_final
        handle.cancel()
        assert handle.status.value == "Cancelled"
        (other,) = competition.run_many([answer(tmp_path / "short")], backend="process", wait=False)
        watcher = Watcher()
        attend(competition.workspace, [other], watcher)
        assert other.status.value == "Finished"
        assert watcher.statuses(other.run.id)[-1:] in ([], ["Finished"])  # it may have been over before


class Impatient(Watcher):
    """Interrupts the main thread as soon as a program sleeps."""

    def event(self, event: dict[str, Any]) -> None:
        slept = self.sleeping.is_set()
        super().event(event)
        if self.sleeping.is_set() and not slept:
            signal.raise_signal(signal.SIGINT)


def test_an_interrupt_cancels_what_is_attended_to(competition: cb.Competition, tmp_path: Path) -> None:
    watcher = Impatient()
    with competition:
        long = answer(tmp_path / "long", '{"score": 1, "sleep": 60}')
        handle = competition.run(long, backend="process", wait=False)
        with pytest.raises(KeyboardInterrupt):
            attend(competition.workspace, [handle], watcher)
        assert handle.status.value == "Cancelled"
        assert len(watcher.pids) == 1
        assert not alive(watcher.pids[0])
