"""Processes that share a workspace and its work: each run is done once, whatever becomes of who drives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from tiny import FILES, alive, answer, bundle

import codabench as cb
from codabench.core.events import EventKind
from codabench.core.problems import Fault
from codabench.core.records import Status
from codabench.workspace.addresses import usual_database

LEASE = 2.0
COUNTS = b"""import json, os, pathlib, sys, time
given, truth, output = map(pathlib.Path, sys.argv[1:4])
answer = json.loads((given / "answer.json").read_text())
with open(answer["mark"], "a") as file:
    file.write(f"{os.getpid()} {os.getppid()}\\n")
time.sleep(answer.get("sleep", 0))
(output / "scores.json").write_text(json.dumps({"score": 1, "time": 1}))
"""
DRIVER = """
import sys
import codabench as cb
place, db, backend, lease = sys.argv[1:5]
with cb.Workspace(place, db=db, backend=backend, jobs=2, lease=float(lease)) as ws:
    print("ready", flush=True)
    ws.dispatch()
"""


class Lab:
    """A workspace in which this process only queues."""

    def __init__(self, place: Path, db: str | None = None, backend: str = "process") -> None:
        self.place, self.backend = place, backend
        self.db = db or usual_database(str(place / "lab"))
        self.ws = cb.Workspace(place / "lab", db=self.db, backend=backend, dispatch=False)
        self.comp = self.ws.add(cb.load(bundle(place / "bundle", None, {**FILES, "scoring/score.py": COUNTS})))

    def submit(self, name: str = "s", *, sleep: float = 0) -> cb.SubmissionHandle:
        mark = self.place / f"{name}.mark"
        text = f'{{"mark": "{mark}", "sleep": {sleep}}}'
        return self.ws.submit(self.comp, answer(self.place / name, text), enforce=False)

    def marks(self, name: str = "s") -> list[int]:
        """The processes that carried it out."""
        file = self.place / f"{name}.mark"
        return [int(line.split()[0]) for line in file.read_text().splitlines()] if file.exists() else []

    @contextmanager
    def driver(self, lease: float = LEASE) -> Iterator[subprocess.Popen[str]]:
        """Another process that carries out what is queued."""
        command = [sys.executable, "-c", DRIVER, str(self.place / "lab"), self.db, self.backend, str(lease)]
        process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()


@pytest.fixture
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    kind = getattr(request, "param", "sqlite")
    made = Lab(tmp_path, request.getfixturevalue("schema") if kind == "postgres" else None)
    yield made
    for file in tmp_path.glob("*.mark"):
        for pid in made.marks(file.stem):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
    made.comp.close()
    made.ws.close()


@pytest.fixture
def schema(postgres: str) -> Iterator[str]:
    """A database of its own in the server."""
    name = f"shared_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        yield f"{postgres}?options=-csearch_path%3D{name}"
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


ON_BOTH = pytest.mark.parametrize(
    "lab", ["sqlite", pytest.param("postgres", marks=[pytest.mark.engine, pytest.mark.once])], indirect=True
)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def kinds(sub: cb.SubmissionHandle) -> list[EventKind]:
    return [event.kind for event in sub.run.history()]


def test_who_only_queues_carries_out_nothing(lab: Lab) -> None:
    sub = lab.submit()
    with pytest.raises(TimeoutError):
        sub.wait(timeout=0.6)
    assert "no process drives this workspace" in str(sub.run.explain())
    with pytest.raises(cb.errors.UsageError, match="CB693"):
        lab.ws.submit(lab.comp, answer(lab.place / "x"), backend="inline", enforce=False)
    for word in ("dask://", "nothing"):
        with pytest.raises(cb.errors.UsageError):
            lab.ws.submit(lab.comp, answer(lab.place / "x"), backend=word, enforce=False)
    queued = lab.ws.submit(lab.comp, answer(lab.place / "y"), backend="dask://10.0.0.1:8786", enforce=False)
    assert queued.run.record.backend == "dask://10.0.0.1:8786"
    queued.cancel("not needed")
    sub.cancel("not needed")
    assert sub.status is Status.CANCELLED


@ON_BOTH
def test_processes_share_the_work_and_do_each_run_once(lab: Lab) -> None:
    with lab.driver(), lab.driver():
        subs = [lab.submit(f"s{n}", sleep=0.5) for n in range(10)]
        for sub in subs:
            assert sub.wait(60).status is Status.FINISHED
    assert [len(lab.marks(f"s{n}")) for n in range(10)] == [1] * 10
    holders = {attempt.holder for sub in subs for attempt in lab.ws.db.attempts(sub.run.id)}
    assert len(holders) == 2
    assert lab.ws.db.check() == []


@ON_BOTH
def test_another_process_finishes_what_a_killed_one_has_begun(lab: Lab) -> None:
    """The lease is long: its process is dead for certain, so nobody waits for the end of the lease."""
    sub = lab.submit(sleep=60)
    with lab.driver(lease=3600) as first:
        until(lab.marks)
        assert f":{first.pid} drives it" in str(sub.run.explain())
        first.kill()
        first.wait()
        assert "has died: another process takes it over" in str(sub.run.explain())
    with lab.driver():
        until(lambda: len(lab.marks()) == 2)
        lost = sub.run.history()[kinds(sub).index(EventKind.ATTEMPT_LOST)]
        assert lost.data["why"] == "gone"
        assert str(lost.data["holder"]).endswith(f":{first.pid}")
        sub.cancel()
    assert kinds(sub).count(EventKind.ATTEMPT_STARTED) == 2


@ON_BOTH
def test_a_process_that_was_suspended_has_lost_its_run_and_its_word_counts_for_nothing(lab: Lab) -> None:
    sub = lab.submit(sleep=3 * LEASE)
    with lab.driver() as first:
        until(lab.marks)
        first.send_signal(signal.SIGSTOP)
        with lab.driver():
            until(lambda: len(lab.marks()) == 2)
            assert next(e.data["why"] for e in sub.run.history() if e.kind is EventKind.ATTEMPT_LOST) == "silent"
            first.send_signal(signal.SIGCONT)
            until(lambda: not alive(lab.marks()[0]))  # it stops what it does not own any more
            assert sub.wait(60).status is Status.FINISHED
    assert len(lab.marks()) == 2
    assert kinds(sub).count(EventKind.RUN_FINISHED) == 1
    counting = sub.run.record.attempt
    assert [a.id for a in lab.ws.db.attempts(sub.run.id)].index(str(counting)) == 1
    assert {e.attempt for e in sub.run.history() if e.kind is EventKind.RUN_FINISHED} == {counting}
    assert lab.ws.db.check() == []


def test_cancelling_what_another_process_drives(lab: Lab) -> None:
    sub = lab.submit(sleep=60)
    with lab.driver():
        until(lab.marks)
        lab.ws.cancel([sub.run.id], "the organizer said so", fault=Fault.ORGANIZER)
        assert sub.wait(30).status is Status.CANCELLED
        assert sub.problem is not None
        assert sub.problem.fault is Fault.ORGANIZER
        until(lambda: not alive(lab.marks()[0]))


def test_what_a_dead_process_has_in_hand_can_be_cancelled_by_who_only_queues(lab: Lab) -> None:
    sub = lab.submit(sleep=60)
    with lab.driver(lease=3600) as process:
        until(lab.marks)
        process.kill()
        process.wait()
        sub.cancel("enough")
    assert sub.status is Status.CANCELLED
    assert sub.problem is not None
    assert (sub.problem.fault, "enough" in sub.problem.message) == (Fault.PARTICIPANT, True)
