"""Who carries out what where, what waits and why; seen from a process that carries out nothing."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from test_workspace_shared import LEASE, ON_BOTH, Lab, lab, schema, until
from tiny import answer, bundle

import codabench as cb
from codabench.core.markup import LIMIT
from codabench.core.records import Status
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.status import BackendNow, DispatcherNow, RunNow, WorkerNow, WorkspaceStatus

__all__ = ["lab", "schema"]  # fixtures


def test_nobody_drives_and_nothing_waits(tmp_path: Path) -> None:
    with cb.Workspace(tmp_path / "lab", dispatch=False) as ws:
        found = ws.status()
        assert (found.runs, found.last_hour, found.dispatchers, found.workers) == ({}, {}, (), ())
        assert "no process drives this workspace" in str(found)
        assert "nothing is waiting" in found._repr_html_()


@ON_BOTH
def test_what_another_process_does(lab: Lab) -> None:
    subs = [lab.submit(f"s{n}", sleep=30 if n else 0) for n in range(6)]
    waits = lab.ws.status()
    assert [run.id for run in waits.waiting] == [sub.run.id for sub in subs]
    assert "no process drives this workspace" in waits.waiting[0].why
    with lab.driver(lease=30) as process:
        until(lambda: len(lab.marks("s1")) + len(lab.marks("s2")) == 2)
        until(lambda: [d.backends for d in lab.ws.status().dispatchers] != [()])
        found = lab.ws.status()
        (driver,) = found.dispatchers
        assert driver.name == f"{os.uname().nodename}:{process.pid}"
        assert (driver.state, driver.here, driver.running) == ("alive", False, 4)
        assert found.last_hour == driver.ended == {Status.FINISHED: 1}
        assert [(b.name, b.engine, b.slots) for b in driver.backends] == [("local", "process", 2)]
        assert found.runs == {
            Status.FINISHED: 1, Status.SCORING: 2, Status.PREPARING: 2, Status.SUBMITTED: 1
        }  # fmt: skip
        busy, ready = (next(r for r in found.under_way if r.status is s) for s in (Status.SCORING, Status.PREPARING))
        assert (busy.status, busy.engine, busy.dispatcher) == (Status.SCORING, "process", driver.name)
        assert "the programs of the scoring step run for" in busy.why
        assert "a process has taken it" in ready.why
        assert (found.at - busy.since) < timedelta(seconds=60)
        assert len(lab.ws.status(limit=1).under_way) == 1
        text = str(found)
        assert "1 process drives this workspace" in text
        assert "4 runs under way" in text
        process.send_signal(signal.SIGKILL)
        process.wait()
        (driver,) = lab.ws.status().dispatchers
        assert driver.state == "dead"
        assert "which has died" in lab.ws.status().under_way[0].why


def test_a_process_that_is_not_heard_of_is_silent(lab: Lab) -> None:
    lab.submit("s", sleep=60)
    with lab.driver() as process:
        until(lambda: lab.marks("s"))
        process.send_signal(signal.SIGSTOP)
        until(lambda: lab.ws.status().dispatchers[0].state == "silent", LEASE + 10)
        assert "another process may take it over" in lab.ws.status().under_way[0].why


def test_what_this_process_does(tmp_path: Path) -> None:
    with cb.load(bundle(tmp_path / "bundle")) as made, cb.Workspace(tmp_path / "lab", backend="process", jobs=1) as ws:
        comp = ws.add(made)
        subs = [ws.submit(comp, answer(tmp_path / "mine", '{"score": 1, "sleep": 60}')) for _ in range(3)]
        until(lambda: subs[0].status is Status.SCORING)
        found = ws.status()
        assert [each.here for each in found.dispatchers] == [True]
        until(lambda: "no slot is free" in ws.status().under_way[1].why)
        assert "no slot is free" in subs[1].run.explain().why
        for sub in subs:
            sub.cancel()
        assert ws.status().last_hour == {Status.CANCELLED: 3}


def many(texts: int) -> WorkspaceStatus:
    """A status with names that mean harm."""
    name, at = "<script>\x1b[2J\u202e", utc_now()
    run = RunNow(id="r" * 32, submission=name, task=name, status=Status.SCORING, since=at, why=name, next=name)
    worker = WorkerNow(name=name, address=name, slots=2, engine=name, ended={Status.FAILED: 2})
    backend = BackendNow(name=name, engine=name, dashboard="http://127.0.0.1/status?<script>")
    driver = DispatcherNow(name=name, state="alive", expires_at=at, backends=(backend,) * 3)
    return WorkspaceStatus(
        url=name, db="sqlite://", at=at, runs={Status.SCORING: texts}, last_hour={}, dispatchers=(driver,) * texts,
        workers=(worker,) * texts, under_way=(run,) * texts, waiting=(run,) * texts,
    )  # fmt: skip


@pytest.mark.parametrize("texts", [1, 3, 500])
def test_it_shows_itself_small_and_harmless(texts: int) -> None:
    found = many(texts)
    page, text = found._repr_html_(), found.text(100)
    assert len(page.encode()) < LIMIT
    for shown in (page, text):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "<script>" not in page
    assert max(map(len, text.splitlines())) <= 100 or texts == 0
    assert found.to_dict()["runs"] == {"Scoring": texts}


def test_what_another_version_says_of_itself_harms_nobody(tmp_path: Path) -> None:
    with cb.Workspace(tmp_path / "lab", dispatch=False) as ws:
        for number, about in enumerate(
            ("[]", "5", '{"backends": 5}', '{"backends": [5, {"slots": "many", "workers": [5, {"name": []}]}]}',
             '{"backends": [{"name": "dask", "slots": 1, "details": 5, "dashboard": "javascript:alert(1)"}]}')
        ):  # fmt: skip
            ws.db.heartbeat(f"holder {number}", now=utc_now(), seconds=60, about=about)
        found = ws.status()
        assert len(found.dispatchers) == 5
        assert (found.workers, found.dashboards) == ((), ())
        assert "javascript" not in found._repr_html_()
        assert "another version" in str(found)
