"""The pure decisions of dispatchers: which backend is full, what a stored result is worth, how long to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from codabench.backends.backend import BackendInfo
from codabench.core.errors import EngineUnavailable, ImageNotFound
from codabench.core.events import EventKind, StatusEvent
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Outcome, Run, Status
from codabench.workspace import endings
from codabench.workspace.load import Flight, Load

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Place:
    def __init__(self, slots: int) -> None:
        self.slots = slots

    def info(self) -> BackendInfo:
        return BackendInfo(name="p", slots=self.slots, engine="none")

    submit: Any = None
    close: Any = None


def run(**fields: Any) -> Run:
    return Run(id="r", submission="s", task=0, position=0, created_at=NOW, **fields)


def flight(word: Any = None) -> Flight:
    return Flight(run(backend=word), Attempt(id="a", run="r", number=1, token="t", started_at=NOW))


def full(load: Load) -> list[Any]:
    """Words whose runs are not to be taken now."""
    return [word for word, runs in load.rooms() if not runs]


# ---------------------------------------------------------------- load
def test_a_backend_gets_twice_its_slots() -> None:
    load, place = Load(), Place(2)
    flights = [flight() for _ in range(4)]
    assert full(load) == []
    for each in flights:
        assert full(load) == []
        load.add(each, place)
    assert full(load) == [None]
    load.remove(flights[0])
    load.remove(flights[0])
    assert full(load) == []


def test_room_is_what_a_backend_does_not_have_yet() -> None:
    load = Load()
    assert load.rooms() == []
    load.add(flight("docker"), Place(3))
    load.shun("podman")
    assert load.rooms() == [("docker", 5), ("podman", 0)]
    assert (load.shunned("podman"), load.shunned("docker")) == (True, False)


@pytest.mark.parametrize(("each", "ready"), [(0.01, 8), (0.12, 5), (0.4, 2), (10.0, 1)])
def test_of_long_runs_few_are_ready_so_that_others_come_soon(
    each: float, ready: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, place, now = Load(), Place(8), 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    flights = [flight() for _ in range(24)]
    for made in flights[:9]:
        load.add(made, place)
    assert load.rooms() == [(None, 7)]  # nothing is known yet
    for done, made in enumerate(flights[9:]):
        now += each
        load.remove(flights[done])
        load.add(made, place)
    now += each
    assert load.rooms() == [(None, max(0, 8 + ready - 9))]
    for made in flights:
        load.remove(made)
    load.add(flight(), place)
    assert load.rooms() == [(None, 15)]


def test_words_are_full_on_their_own_and_objects_are_words_too() -> None:
    load = Load()
    for word in (None, "docker", {"object": "DockerEngine"}):
        for _ in range(2):
            load.add(flight(word), Place(0) if word == "docker" else Place(5))
    assert full(load) == ["docker"]


def test_two_backends_of_one_word_have_room_together() -> None:
    load, one, two = Load(), Place(1), Place(1)
    for place in (one, one, two):
        load.add(flight(), place)
    assert full(load) == []
    load.add(flight(), two)
    assert full(load) == [None]


def test_what_does_not_answer_is_left_alone_longer_each_time_until_it_answers() -> None:
    load = Load()
    assert [load.shun("podman") for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert full(load) == ["podman"]
    load.add(flight("podman"), Place(5))
    assert full(load) == []
    assert load.shun("podman") == 1


def test_others_are_looked_for_now_and_then() -> None:
    load = Load()
    assert [load.look_elsewhere() for _ in range(3)] == [True, False, False]


# ---------------------------------------------------------------- what a lost attempt left
STOPPED = {
    "status": "Cancelled",
    "problem": {"code": "CB615", "severity": "error", "message": "m", "fault": "operator"},
}


@pytest.mark.parametrize(
    ("result", "row", "status"),
    [
        (None, run(), None),
        ({"status": "Finished", "scores": {"x": 1.0}}, run(), Status.FINISHED),
        ({"status": "Failed"}, run(), Status.FAILED),
        (STOPPED, run(), None),
        (STOPPED, run(cancel_reason="no", cancel_fault=Fault.ORGANIZER), Status.CANCELLED),
        ({"scores": "of another version"}, run(), None),
    ],
)
def test_what_a_stored_result_is_worth(result: Any, row: Run, status: Status | None) -> None:
    found = endings.counts(result, row)
    assert (found.status if found else None) is status
    if status is Status.CANCELLED:
        assert found is not None
        assert found.problem is not None
        assert found.problem.fault is Fault.ORGANIZER


def test_only_losses_with_their_reason_count_and_each_waits_longer() -> None:
    lost = [
        StatusEvent(run="r", sequence=n, kind=EventKind.ATTEMPT_LOST, at=NOW, data={"why": why})
        for n, why in enumerate((endings.GONE, endings.CLOSED, endings.SILENT, endings.NO_PLACE), 1)
    ]
    assert endings.losses(lost, endings.GONE, endings.SILENT) == 2
    assert endings.losses(lost, endings.NO_PLACE) == 1
    assert [endings.back_off(n) for n in range(4)] == [0, 5, 15, 35]


# ---------------------------------------------------------------- ends
@pytest.mark.parametrize(
    ("status", "outcome", "kinds"),
    [
        (Status.SCORING, Status.FINISHED, ["RunFinished"]),
        (Status.PREPARING, Status.FINISHED, ["ScoringStarted", "RunFinished"]),
        (Status.RUNNING, Status.FAILED, ["RunFailed"]),
        (Status.SUBMITTED, Status.CANCELLED, ["RunCancelled"]),
    ],
)
def test_what_is_recorded_at_the_end(status: Status, outcome: Status, kinds: list[str]) -> None:
    assert endings.closing_events(status, Outcome(status=outcome)) == kinds


def test_whose_fault_a_machine_is() -> None:
    assert endings.machine_problem(ImageNotFound("no image")).fault is Fault.ORGANIZER
    assert endings.machine_problem(EngineUnavailable("no")).fault is Fault.OPERATOR
    assert endings.machine_problem(ZeroDivisionError("x")).code == "CB699"
    cancelled = endings.cancelled_before("enough", Fault.PARTICIPANT)
    assert cancelled.problem is not None
    assert (cancelled.problem.fault, cancelled.problem.code) == (Fault.PARTICIPANT, "CB630")
    finished = Outcome(status=Status.FINISHED)
    assert endings.blamed(finished, Fault.PARTICIPANT) is finished
    assert endings.blamed(cancelled, None) is cancelled
