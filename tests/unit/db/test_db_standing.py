"""Who does what where, asked from the database."""

from __future__ import annotations

from datetime import timedelta

from db_samples import AT, K, admitted, end, started

from codabench.core.problems import Fault
from codabench.core.records import Outcome, Status
from codabench.db.database import Database
from codabench.db.standing import by_status


def run_at(db: Database, run: str, holder: str, worker: str | None, *, over: float | None) -> None:
    """Take a run, have it scored somewhere, and end it so many seconds after the beginning."""
    db.start_attempt(run, attempt=f"a-{run}", token="t", at=AT, holder=holder, seconds=30)
    who = {"attempt": f"a-{run}", "token": "t"}
    place = {"engine": "docker"} | ({"worker": worker} if worker else {})
    db.append(run, [K.SCORING_STARTED], at=AT, data=place, **who)
    if over is not None:
        kinds = [K.SCORING_FINISHED, K.SCORES_PARSED, K.RUN_FINISHED]
        db.append(run, kinds, at=AT + timedelta(seconds=over), outcome=Outcome(status=Status.FINISHED), **who)


def test_dispatchers_are_there_until_they_leave_and_say_what_they_have(db: Database) -> None:
    assert db.presences() == []
    db.heartbeat("one", now=AT, seconds=30)
    db.heartbeat("two", now=AT, seconds=90, about='{"backends": []}')
    db.heartbeat("two", now=AT + timedelta(seconds=5), seconds=90)
    db.take_lease("other", holder="x", token="x", now=AT, seconds=30)
    found = [(each.holder, (each.expires_at - AT).total_seconds(), each.about) for each in db.presences()]
    assert found == [("one", 30, None), ("two", 95, {"backends": []})]
    db.leave("two")
    assert [each.holder for each in db.presences()] == ["one"]


def test_where_runs_are_and_how_many_ended_how(db: Database) -> None:
    runs = admitted(db, "s", 6)
    run_at(db, runs[0], "one", "gpu-1", over=10)
    run_at(db, runs[1], "one", "gpu-1", over=20)
    run_at(db, runs[2], "two", None, over=20)
    run_at(db, runs[3], "two", "gpu-2", over=None)
    end(db, runs[4], K.RUN_CANCELLED, Fault.PARTICIPANT)
    assert db.status_counts() == {
        Status.FINISHED: 3, Status.SCORING: 1, Status.CANCELLED: 1, Status.SUBMITTED: 1
    }  # fmt: skip
    assert db.places() == {runs[3]: {"engine": "docker", "worker": "gpu-2"}}
    all_of_them = db.ended_since(AT - timedelta(seconds=1))
    said = {(each.holder, each.place.get("worker"), each.status.value): each.many for each in all_of_them}
    assert said == {
        ("one", "gpu-1", "Finished"): 2, ("two", None, "Finished"): 1, (None, None, "Cancelled"): 1
    }  # fmt: skip
    assert by_status(all_of_them) == {Status.FINISHED: 3, Status.CANCELLED: 1}
    assert by_status(db.ended_since(AT + timedelta(seconds=15))) == {Status.FINISHED: 2}
    assert db.ended_since(AT + timedelta(seconds=20)) == []


def test_the_place_is_that_of_the_attempt_that_goes_on(db: Database) -> None:
    (run,) = admitted(db, "s")
    run_at(db, run, "one", "gpu-1", over=None)
    db.lose_attempt(run, f"a-{run}", at=AT, holder="one")
    assert db.places() == {}
    started(db, run, "a2", "t2")
    assert db.places() == {}
    db.append(run, [K.PREDICTION_STARTED], at=AT, attempt="a2", token="t2", data={"worker": "gpu-2"})
    db.append(run, [K.SCORING_STARTED], at=AT, attempt="a2", token="t2", data={"worker": "gpu-3"})
    assert db.places() == {run: {"worker": "gpu-3"}}


def test_who_listens_is_known_for_a_while(db: Database) -> None:
    db.watch("r1", "me", now=AT, seconds=10)
    db.watch("r1", "you", now=AT + timedelta(seconds=5), seconds=10)
    db.watch("r2", "me", now=AT, seconds=10)
    assert db.watched(AT + timedelta(seconds=9)) == {"r1", "r2"}
    assert db.watched(AT + timedelta(seconds=12)) == {"r1"}
    db.watch("r3", "me", now=AT + timedelta(seconds=20), seconds=10)
    assert db.watched(AT) == {"r3"}  # what is over is not kept
