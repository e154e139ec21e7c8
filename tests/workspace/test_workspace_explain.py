"""Where a run stands, in words."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import Watcher, answer, bundle

import codabench as cb
from codabench.core.events import EventKind
from codabench.core.records import Status
from codabench.workspace.dispatcher import utc_now

SLEEPS = '{"score": 1, "sleep": 60}'


@pytest.fixture
def comp(tmp_path: Path) -> Iterator[cb.Competition]:
    with cb.load(bundle(tmp_path / "bundle")) as made, cb.Workspace(tmp_path / "lab", backend="process", jobs=1) as ws:
        yield ws.add(made)


def said(run: cb.RunHandle) -> str:
    return str(run.explain())


def test_from_the_queue_to_the_end(comp: cb.Competition, tmp_path: Path) -> None:
    watcher = Watcher()
    comp.workspace.observe(watcher.event)
    runs = [comp.workspace.submit(comp, answer(tmp_path / "mine", SLEEPS), time_limit=90).run for _ in range(4)]
    assert watcher.sleeping.wait(30)
    running = said(runs[0])
    assert running.startswith("Scoring  since 20")
    assert re.search(r"the programs of the scoring step run for [\d.]+ s; their limit is 1 min 30 s", running)
    assert re.search(r"or are killed in (8\d|1 min 2\d)", running)
    last = runs[-1]
    while last.status is not Status.SUBMITTED or "1 run of this workspace is before it" not in said(last):
        time.sleep(0.05)  # two are under way at most: one runs, one waits at the backend
    assert re.search(r"is before it; \S+:\d+ drives this workspace", said(last))
    for run in reversed(runs):
        run.cancel("the organizer asked for it")
    assert "the organizer asked for it" in said(last)
    assert "cancelled" in said(runs[0])


def test_nobody_drives_a_workspace(comp: cb.Competition, tmp_path: Path) -> None:
    ws, done = comp.workspace, comp.run(answer(tmp_path / "mine"), progress="none")
    while ws.db.present(utc_now()):
        time.sleep(0.05)
    record = done.record.model_copy(update={"id": "another"})
    row = done.run.record.model_copy(update={"id": "queued", "submission": "another", "outcome": None})
    ws.db.add_submission(record, [row], kind=EventKind.RUN_QUEUED)
    said = str(ws.run("queued").explain())
    assert "no process drives this workspace; 0 runs of this workspace are before it" in said


@pytest.mark.parametrize(
    ("text", "status", "why", "then"),
    [
        ('{"score": 1}', Status.FINISHED, "it was scored", "leaderboard"),
        ('{"exit": 3}', Status.FAILED, "the scoring program exited with 3", "organizer"),
        ('{"score": "a"}', Status.FAILED, "CB643", "organizer"),
    ],
)
def test_the_end(comp: cb.Competition, tmp_path: Path, text: str, status: Status, why: str, then: str) -> None:
    found = comp.run(answer(tmp_path / "mine", text), progress="none").run.explain()
    assert found.status is status
    assert why in found.why
    assert then in found.next
    assert "<pre" in found._repr_html_()
