"""What becomes of runs that a dispatcher has in hand: all of it is recorded, and nothing is kept once they are over."""

from __future__ import annotations

from pathlib import Path

import pytest
from machines import STEPS, AtOnce, Losing, Telling
from tiny import answer, bundle

import codabench as cb
from codabench.core.errors import CodabenchError, EngineError, WorkLost
from codabench.core.events import EventKind
from codabench.core.problems import Fault
from codabench.core.records import Status
from codabench.workspace import dispatcher, endings

GONE, UNBEGUN = WorkLost("it was killed"), WorkLost("it was killed", begun=False)


@pytest.mark.parametrize(
    ("errors", "status", "attempts", "code"),
    [
        ([], Status.FINISHED, 1, None),
        ([GONE], Status.FINISHED, 2, None),
        ([GONE, GONE], Status.FINISHED, 3, None),
        ([GONE] * 3, Status.FAILED, 3, "CB632"),
        # What had not begun there is not the cause, however often that happens.
        ([UNBEGUN] * 5, Status.FINISHED, 6, None),
        ([GONE, UNBEGUN, GONE, UNBEGUN, UNBEGUN], Status.FINISHED, 6, None),
        ([GONE, UNBEGUN, GONE, GONE], Status.FAILED, 4, "CB632"),
        # A machine that says what is wrong would say it again.
        ([EngineError("no luck")], Status.FAILED, 1, "CB600"),
    ],
)
def test_only_what_was_lost_is_tried_again_and_what_kills_its_workers_is_not(
    errors: list[CodabenchError],
    status: Status,
    attempts: int,
    code: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endings, "_BACK_OFF", 0.02)
    monkeypatch.setattr(dispatcher, "SWEEP_SECONDS", 0.05)
    backend = Losing(*errors)
    with cb.Workspace(tmp_path / "lab", backend=backend) as ws:
        sub = submitted(ws, tmp_path).wait(30)
        assert (sub.status, backend.taken) == (status, attempts)
        assert (sub.problem and sub.problem.code) == code
        if code is not None:  # nobody's limit is touched
            assert sub.problem is not None
            assert sub.problem.fault is Fault.OPERATOR
            assert ws.db.submission_times(sub.competition.id, 0, sub.record.participant) == []


@pytest.mark.parametrize("fault", [Fault.PARTICIPANT, Fault.ORGANIZER])
def test_a_program_that_fails_is_not_run_again(tmp_path: Path, fault: Fault) -> None:
    problem = {"code": "CB610", "severity": "error", "message": "m", "fault": fault}
    backend = AtOnce(status="Failed", scores={}, problem=problem)
    with cb.Workspace(tmp_path / "lab", backend=backend) as ws:
        assert submitted(ws, tmp_path).wait(30).status is Status.FAILED
    assert backend.taken == 1


def test_what_comes_at_once_is_recorded_and_told_in_order(tmp_path: Path) -> None:
    told: dict[str, list[str]] = {}
    with cb.Workspace(tmp_path / "lab", backend=Telling()) as ws:
        ws.observe(lambda e: told.setdefault(e["run"], []).append(e["status"]) if e["type"] == "status" else None)
        subs = [submitted(ws, tmp_path) for _ in range(12)]
        for sub in subs:
            assert sub.wait(30).status is Status.FINISHED
            history = sub.run.history()
            assert [event.kind for event in history[2:]] == [*STEPS, EventKind.RUN_FINISHED]
            assert {event.attempt for event in history[1:]} == {sub.run.record.attempt}
            assert [event.data["of"] for event in history[2:-1]] == [sub.run.record.attempt] * len(STEPS)
            assert told[sub.run.id] == ["Preparing", "Running", "Scoring", "Finished"]
            # Also to who asks when it is over: from what was stored of it.
            statuses = [event.status for event in sub.run.events() if event.type == "status"]
            assert statuses == ["Submitted", "Preparing", "Running", "Scoring", "Finished"]
        assert ws.db.check() == []


def test_of_runs_that_are_over_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codabench.workspace.known.KEPT", 5)
    monkeypatch.setattr("codabench.workspace.plans.FACTS", 5)
    with cb.Workspace(tmp_path / "lab", backend=AtOnce()) as ws:
        for sub in [submitted(ws, tmp_path) for _ in range(12)]:
            assert sub.wait(30).status is Status.FINISHED
        hands = ws._dispatcher._hands
        assert [*ws.places._assigned, *ws._feeds._feeds, *hands.flights, *hands._noted, *hands._ending] == []
        assert (len(ws._submissions._found), len(ws.plans._facts)) == (5, 5)


def submitted(ws: cb.Workspace, folder: Path) -> cb.SubmissionHandle:
    comp = ws.add(cb.load(bundle(folder / "bundle")))
    return ws.submit(comp, answer(folder / "mine"), enforce=False)
