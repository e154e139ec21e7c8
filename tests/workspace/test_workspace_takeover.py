"""What processes that are gone have left is finished, given to others, or ended; nothing goes round for ever."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from machines import RESULT, AtOnce
from sqlalchemy.exc import OperationalError
from tiny import Watcher, alive, answer, bundle

import codabench as cb
from codabench.backends.backend import Work
from codabench.backends.handle import WorkHandle
from codabench.backends.owner import myself
from codabench.core.errors import NoRoom, StorageError
from codabench.core.events import EventKind
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Status
from codabench.workspace import load
from codabench.workspace.endings import SILENT
from codabench.workspace.holding import is_dead, new_holder, shown

SLEEPS = '{"score": 1, "sleep": 60}'


def dead_holder() -> str:
    """A process of this machine that is gone: one of an earlier boot."""
    return myself().model_copy(update={"boot": "an earlier one"}).label()


def far_holder() -> str:
    """A process of another machine, of which nothing can be known."""
    return myself().model_copy(update={"machine": "elsewhere:1", "pid": 12}).label()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    bundle(tmp_path / "bundle")
    return tmp_path


@pytest.fixture
def queue(place: Path) -> Iterator[cb.Workspace]:
    """A workspace that only queues."""
    with cb.Workspace(place / "lab", dispatch=False) as ws:
        yield ws


def submit(ws: cb.Workspace, place: Path, text: str = '{"score": 1}', **options: Any) -> cb.SubmissionHandle:
    return ws.submit(ws.add(cb.load(place / "bundle")), answer(place / "mine", text), enforce=False, **options)


def taken(ws: cb.Workspace, holder: str, seconds: float = 3600) -> Attempt:
    ((_, attempt),) = ws.db.take_runs(holder, [(f"a{time.monotonic_ns()}", "t")], now=ws.db.now(), seconds=seconds)
    return attempt


def drained(place: Path, backend: Any) -> None:
    with cb.Workspace(place / "lab", backend=backend) as ws:
        ws.dispatch(drain=True)


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def kinds(sub: cb.SubmissionHandle) -> list[EventKind]:
    return [event.kind for event in sub.run.history()]


def test_a_stored_result_is_recorded_and_nothing_is_carried_out_again(queue: cb.Workspace, place: Path) -> None:
    sub, backend = submit(queue, place), AtOnce(scores={"score": 1.0})
    attempt = taken(queue, dead_holder())
    queue.storage.put_result(sub.run.id, attempt.id, RESULT)
    drained(place, backend)
    assert (sub.status, sub.run.scores, backend.taken) == (Status.FINISHED, {"score": 7.0}, 0)
    assert {event.attempt for event in sub.run.history()[1:]} == {attempt.id}


def test_what_was_cancelled_by_the_end_of_its_process_is_no_result(queue: cb.Workspace, place: Path) -> None:
    sub, backend = submit(queue, place), AtOnce()
    attempt = taken(queue, dead_holder())
    problem = {"code": "CB615", "severity": "error", "message": "cancelled: the workspace was closed"}
    queue.storage.put_result(sub.run.id, attempt.id, {"status": "Cancelled", "problem": problem})
    drained(place, backend)
    assert (sub.status, backend.taken) == (Status.FINISHED, 1)
    assert kinds(sub).count(EventKind.ATTEMPT_LOST) == 1


def test_a_run_of_a_living_process_is_left_alone_until_its_lease_has_expired(queue: cb.Workspace, place: Path) -> None:
    sub, backend = submit(queue, place), AtOnce()
    taken(queue, far_holder(), seconds=2)
    drained(place, backend)
    assert (sub.status, backend.taken) == (Status.PREPARING, 0)
    assert "; elsewhere:12 drives it" in str(sub.run.explain())
    time.sleep(2)
    assert "which was heard of" in str(sub.run.explain())
    drained(place, backend)
    assert (sub.status, backend.taken) == (Status.FINISHED, 1)


def test_a_run_that_kills_its_processes_does_not_go_round_for_ever(queue: cb.Workspace, place: Path) -> None:
    sub, backend = submit(queue, place), AtOnce()
    for _ in range(3):
        attempt = taken(queue, dead_holder())
        queue.db.lose_attempt(
            sub.run.id, attempt.id, at=queue.db.now(), holder=attempt.holder, data={"why": SILENT, "holder": "h:1"}
        )
    drained(place, backend)
    assert (sub.status, backend.taken) == (Status.FAILED, 0)
    assert sub.problem is not None
    assert (sub.problem.code, sub.problem.fault) == ("CB632", Fault.OPERATOR)
    assert "3 attempts were lost" in sub.problem.message


def test_a_second_loss_makes_it_wait(queue: cb.Workspace, place: Path) -> None:
    sub = submit(queue, place)
    first = taken(queue, dead_holder())
    queue.db.lose_attempt(sub.run.id, first.id, at=queue.db.now(), holder=first.holder, data={"why": SILENT})
    taken(queue, dead_holder())
    backend, stop = AtOnce(), threading.Event()
    with cb.Workspace(place / "lab", backend=backend) as ws:
        timer = threading.Timer(1.5, stop.set)
        timer.start()
        ws.dispatch(stop=stop)
    assert (sub.status, backend.taken) == (Status.SUBMITTED, 0)
    assert "it is tried again in" in str(sub.run.explain())
    assert "2 attempts at it were lost" in str(sub.run.explain())


@pytest.mark.parametrize("begun", [True, False])
def test_what_only_a_dead_process_could_do_is_over(queue: cb.Workspace, place: Path, begun: bool) -> None:
    holder = dead_holder()
    queue.word_for = lambda backend, made: ({"object": "AtOnce"}, holder)  # type: ignore[method-assign]
    sub = submit(queue, place)
    assert f"only the process {shown(holder)} can carry it out" in str(sub.run.explain())
    if begun:
        taken(queue, holder)
    drained(place, AtOnce())
    assert sub.problem is not None
    assert (sub.status, sub.problem.code, sub.problem.fault) == (Status.CANCELLED, "CB631", Fault.OPERATOR)


class Never(AtOnce):
    """A backend of one slot that never answers."""

    def submit(self, work: Work, *, key: str, on_done: Any = None, **options: Any) -> WorkHandle:
        handle = WorkHandle(key, None, lambda: on_done(handle))
        return handle


def test_what_only_this_process_can_do_ends_with_it(place: Path) -> None:
    backend = Never(slots=1)
    with cb.Workspace(place / "lab", backend="process") as ws:
        subs = [submit(ws, place, backend=backend) for _ in range(3)]
        assert {sub.run.record.pinned for sub in subs} == {ws._dispatcher.holder}
        until(lambda: [sub.status for sub in subs].count(Status.PREPARING) == 2)
    with cb.Workspace(place / "lab", dispatch=False) as ws:
        runs = [ws.run(sub.run.id) for sub in subs]
        assert {run.status for run in runs} == {Status.CANCELLED}
        assert [run.problem and run.problem.code for run in runs] == ["CB630", "CB630", "CB631"]
        assert {run.problem and run.problem.fault for run in runs} == {Fault.OPERATOR}


def test_closing_gives_back_what_others_can_do(place: Path) -> None:
    watcher = Watcher()
    with cb.Workspace(place / "lab", backend="process") as ws:
        ws.observe(watcher.event)
        sub = submit(ws, place, SLEEPS)
        assert watcher.sleeping.wait(30)
    with cb.Workspace(place / "lab", dispatch=False) as ws:
        run = ws.run(sub.run.id)
        assert run.status is Status.SUBMITTED
        assert [e.data.get("why") for e in run.history()][-1] == "closed"
        assert "attempt" not in run.explain().why
        backend = AtOnce()
        drained(place, backend)
        assert (run.status, backend.taken) == (Status.FINISHED, 1)


def test_the_same_run_is_no_more_driven_here_after_it_was_lost(place: Path) -> None:
    """The process was not heard of, another one has taken the run over: the work here is stopped, its word refused."""
    watcher = Watcher()
    with cb.Workspace(place / "lab", backend="process", lease=1.0) as ws:
        ws.observe(watcher.event)
        sub = submit(ws, place, SLEEPS)
        events: list[Any] = []
        reader = threading.Thread(target=lambda: events.extend(sub.run.events()))
        reader.start()
        assert watcher.sleeping.wait(30)
        first = str(sub.run.record.attempt)
        late = ws.db.now() + timedelta(hours=1)
        ws.db.lose_attempt(sub.run.id, first, at=late, data={"why": SILENT})
        other = taken(ws, far_holder())
        until(lambda: not ws._dispatcher.under_way)
        ws.db.append(sub.run.id, [EventKind.SCORING_STARTED], at=late, attempt=other.id, token="t")
        time.sleep(0.5)
        assert [e.status.value for e in events if e.type == "status"][-2:] == ["Preparing", "Scoring"]
        finished = cb.core.records.Outcome(status=Status.FINISHED)  # type: ignore[attr-defined]
        ws.db.append(sub.run.id, [EventKind.RUN_FINISHED], at=late, attempt=other.id, token="t", outcome=finished)
        reader.join(20)
    found = [e.status.value for e in events if e.type == "status"]
    assert found == ["Submitted", "Preparing", "Scoring", "Submitted", "Preparing", "Scoring", "Finished"]


class Away:
    """What stands for the connections of a database that does not answer."""

    def __init__(self, engine: Any) -> None:
        self.dialect, self.url = engine.dialect, engine.url

    def begin(self) -> Any:
        raise OperationalError("SELECT 1", {}, Exception("the server is restarted"))

    connect = begin


def test_a_database_that_is_away_for_a_moment_costs_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher()
    with cb.Workspace(place / "lab", backend="process") as ws:
        ws.observe(watcher.event)
        sub = submit(ws, place, '{"score": 1, "sleep": 0.5}')
        assert watcher.sleeping.wait(30)
        with monkeypatch.context() as patch:
            patch.setattr(ws.db, "_engine", Away(ws.db._engine))
            with pytest.raises(StorageError, match="the server is restarted"):
                _ = sub.status
            time.sleep(2)
        assert sub.wait(30).status is Status.FINISHED
    assert kinds_of(place, sub).count(EventKind.ATTEMPT_STARTED) == 1
    assert len(watcher.pids) == 1


def test_a_database_that_is_away_for_long_stops_the_work_and_loses_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cb.Workspace(place / "lab", backend="process", lease=1.0) as ws:
        watcher = Watcher()
        ws.observe(watcher.event)
        sub = submit(ws, place, '{"score": 1, "sleep": 4}')
        assert watcher.sleeping.wait(30)
        with monkeypatch.context() as patch:
            patch.setattr(ws.db, "_engine", Away(ws.db._engine))
            until(lambda: not alive(watcher.pids[0]))
            with pytest.raises(StorageError, match="the server is restarted"):
                ws._dispatcher.check()
        assert sub.wait(60).status is Status.FINISHED
        found = sub.run.history()
    assert [e.data.get("why") for e in found if e.kind is EventKind.ATTEMPT_LOST] == ["gone"]
    assert len(watcher.pids) == 2


def kinds_of(place: Path, sub: cb.SubmissionHandle) -> list[EventKind]:
    with cb.Workspace(place / "lab", dispatch=False) as ws:
        assert ws.db.check() == []
        return [event.kind for event in ws.db.events(sub.run.id)]


@pytest.mark.parametrize("others", [False, True])
def test_a_backend_that_is_not_reached_is_left_to_others(queue: cb.Workspace, place: Path, others: bool) -> None:
    sub = submit(queue, place, backend="podman:unix:///nowhere/podman.sock")
    if others:
        queue.db.heartbeat(far_holder(), now=queue.db.now(), seconds=3600)
    stop = threading.Event()
    with cb.Workspace(place / "lab", backend=AtOnce()) as ws:
        thread = threading.Thread(target=lambda: ws.dispatch(stop=stop))
        thread.start()
        fine = submit(ws, place, backend="process")
        assert fine.wait(30).status is Status.FINISHED  # nothing is held up by it
        if others:
            until(lambda: kinds(sub).count(EventKind.ATTEMPT_LOST) == 3)
            assert sub.status is Status.SUBMITTED
            assert "a process could not carry it out: [CB601]" in str(sub.run.explain())
        else:
            assert sub.wait(30).status is Status.FAILED
            assert sub.problem is not None
            assert (sub.problem.code, sub.problem.fault) == ("CB601", Fault.OPERATOR)
            assert kinds(sub).count(EventKind.ATTEMPT_LOST) == 2
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def test_a_cluster_that_does_not_answer_is_waited_for(
    queue: cb.Workspace, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is asked: what fails a run is a backend that is none (above), not one that is away."""
    away = [NoRoom("no Dask scheduler answers")] * 5
    monkeypatch.setattr(load, "_PAUSES", (0.05, 0.1))
    sub = submit(queue, place)
    with cb.Workspace(place / "lab", backend=AtOnce(), dispatch=False) as ws:
        of = ws.places.of

        def asked(run: Any, **options: Any) -> Any:
            if away:
                raise away.pop()
            return of(run, **options)

        monkeypatch.setattr(ws.places, "of", asked)
        ws.dispatch(drain=True)
    assert sub.status is Status.FINISHED
    assert kinds(sub).count(EventKind.ATTEMPT_LOST) == 5


def test_a_reader_in_another_process_gets_each_event_once(queue: cb.Workspace, place: Path) -> None:
    sub = submit(queue, place, '{"score": 1, "sleep": 0.7}')
    events: list[Any] = []
    reader = threading.Thread(target=lambda: events.extend(sub.run.events()))
    reader.start()
    with cb.Workspace(place / "lab", backend="process") as ws:
        thread = threading.Thread(target=lambda: ws.dispatch(drain=True))
        thread.start()
        until(lambda: [e.status.value for e in events if e.type == "status"] == ["Submitted", "Preparing", "Scoring"])
        assert not sub.status.is_final, "statuses come while it runs"
        thread.join(30)
    reader.join(30)
    assert [e.status.value for e in events if e.type == "status"] == ["Submitted", "Preparing", "Scoring", "Finished"]
    printed = b"".join(e.data for e in events if e.type == "log")
    assert printed.endswith(b"scoring {'score': 1, 'sleep': 0.7}\n")
    late = list(sub.run.events())
    assert sorted(map(repr, (e for e in late if e.type != "status"))) == sorted(
        map(repr, (e for e in events if e.type != "status"))
    )


def test_who_is_dead_and_how_holders_are_shown() -> None:
    mine = new_holder()
    assert mine != new_holder()
    assert [is_dead(h) for h in (mine, far_holder(), dead_holder(), None, "somebody")] == [
        False, False, True, False, False,
    ]  # fmt: skip
    assert shown(mine).rpartition(":")[2] == str(json.loads(mine)["pid"])
    assert (shown(far_holder()), shown("h"), shown(None)) == ("elsewhere:12", "h", "somebody")
