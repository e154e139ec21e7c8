"""What several attempts tell is one transaction: each counts or is refused by itself, and nothing counts twice."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from db_samples import AT, K, NewUrl, admitted, started

from codabench.core.competition import CompetitionSpec
from codabench.core.events import EventKind
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.records import Outcome, Status
from codabench.db.database import Database
from codabench.db.recording import Happened, Told

WAY = (K.PREDICTION_STARTED, K.PREDICTION_FINISHED, K.SCORING_STARTED, K.SCORING_FINISHED, K.SCORES_PARSED)
DONE = Outcome(status=Status.FINISHED, scores={"a": 0.5})
FAILED = Outcome(
    status=Status.FAILED, problem=Problem(code="CB999", severity=Severity.ERROR, message="m", fault=Fault.ORGANIZER)
)


def told(run: str, *kinds: EventKind, status: Status, seen: int = 2, **more: Any) -> Told:
    about = {"attempt": f"a-{run}", "token": f"t-{run}", "outcome": None, **more}
    happened = [Happened(kind, AT, {"n": n}) for n, kind in enumerate(kinds)]
    return Told(run=run, seen=seen, happened=happened, status=status, **about)


def finished(run: str, **more: Any) -> Told:
    return told(run, *WAY, K.RUN_FINISHED, status=Status.FINISHED, outcome=DONE, **more)


def begun(db: Database, count: int = 3) -> list[str]:
    runs = admitted(db, runs=count)
    for run in runs:
        started(db, run, f"a-{run}", f"t-{run}")
    return runs


def test_several_attempts_tell_at_once(db: Database) -> None:
    one, two, three = begun(db)
    failed = told(three, K.RUN_FAILED, status=Status.FAILED, outcome=FAILED)
    assert db.record([finished(one), told(two, *WAY[:2], status=Status.RUNNING), failed]) == {}
    assert [(r.status, r.sequence, r.outcome, r.fault) for r in map(db.run, (one, two, three))] == [
        (Status.FINISHED, 8, DONE, None),
        (Status.RUNNING, 4, None, None),
        (Status.FAILED, 3, FAILED, Fault.ORGANIZER),
    ]
    history = db.events(one)
    assert [event.kind for event in history] == [K.RUN_QUEUED, K.ATTEMPT_STARTED, *WAY, K.RUN_FINISHED]
    assert [event.data for event in history[2:]] == [{"n": n} for n in range(6)]
    assert {event.attempt for event in history[1:]} == {f"a-{one}"}
    assert db.check() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"token": "another"},
        {"attempt": "another"},
        {"seen": 1},
        {"seen": 3},
        {"happened": [Happened(K.SCORES_PARSED, AT)]},
    ],
)
def test_what_does_not_count_keeps_nobody_else_from_counting(db: Database, bad: dict[str, Any]) -> None:
    one, two, _ = begun(db)
    lie = finished(two)._replace(**bad)
    assert list(db.record([lie, finished(one)])) == [lie.attempt]
    assert (db.run(one).status, db.run(two).status) == (Status.FINISHED, Status.PREPARING)
    assert (len(db.events(two)), db.run(two).outcome) == (2, None)
    assert db.check() == []


def test_a_run_that_is_not_there_is_refused(db: Database) -> None:
    one, *_ = begun(db)
    assert set(db.record([finished("nowhere"), finished(one)])) == {"a-nowhere"}
    assert db.run(one).status is Status.FINISHED


def test_who_got_no_answer_may_ask_again(db: Database) -> None:
    one, two, _ = begun(db)
    both = [finished(one), told(two, *WAY[:1], status=Status.RUNNING)]
    assert [db.record(both), db.record(both)] == [{}, {}]
    assert (len(db.events(one)), len(db.events(two))) == (8, 3)
    # As many events, and others: that is no answer.
    other = told(two, K.RUN_FAILED, status=Status.FAILED, outcome=FAILED)
    assert set(db.record([other])) == {f"a-{two}"}
    assert db.run(two).status is Status.RUNNING


def test_of_a_run_that_others_took_nothing_is_recorded(db: Database) -> None:
    one, two, _ = begun(db)
    db.append(one, [K.ATTEMPT_LOST], at=AT)
    started(db, one, "new", "new")
    assert set(db.record([finished(one), finished(two)])) == {f"a-{one}"}
    assert db.record([finished(one, attempt="new", token="new", seen=4)]) == {}
    assert db.run(one).attempt == "new"


def test_those_who_tell_of_the_same_runs_do_not_wait_for_each_other(new_url: NewUrl) -> None:
    """Rows are locked in one order, in whichever they are told."""
    url = new_url()
    databases = [Database(url) for _ in range(4)]
    databases[0].add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    runs = begun(databases[0], 12)
    start, failed = threading.Barrier(4), []

    def tell(number: int) -> None:
        start.wait()
        try:
            for place, kind in enumerate(WAY[:3]):
                status = Status.SCORING if kind is K.SCORING_STARTED else Status.RUNNING
                each = [told(run, kind, status=status, seen=2 + place) for run in runs]
                databases[number].record(each[:: 1 if number % 2 else -1])
        except BaseException as error:  # noqa: BLE001 - asserted below
            failed.append(error)

    threads = [threading.Thread(target=tell, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {databases[0].run(run).sequence for run in runs} == {5}
    assert databases[0].check() == []
    for database in databases:
        database.close()
