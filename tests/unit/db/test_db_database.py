"""Guarded changes of rows: transitions, tokens, the lease, and that a column is the fold of its events."""

from __future__ import annotations

import threading
import time
from datetime import timedelta, timezone
from pathlib import Path
from typing import ClassVar

import pytest
from db_samples import AT, TREE, K, NewUrl, admitted, end, started, submission
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import NotFound, StateError, StorageError, UsageError
from codabench.core.events import TRANSITIONS, EventKind, fold
from codabench.core.problems import Fault
from codabench.core.records import Outcome, RunOptions, Status
from codabench.db.database import Database

LIVE = [K.PREDICTION_STARTED, K.PREDICTION_FINISHED, K.SCORING_STARTED, K.SCORING_FINISHED, K.SCORES_PARSED]


# ---------------------------------------------------------------- what is kept
def test_a_submission_comes_back_as_it_was(db: Database) -> None:
    options = RunOptions(image="i", time_limit=5, keep=True)
    made = submission(tasks=(1, "two"), fact_sheet={"a": True, "b": "é"}, options=options)
    assert db.add_submission(made, [], kind=K.RUN_QUEUED) == made
    assert db.submission("s") == made
    assert db.submissions("c") == [made]


def test_submissions_are_numbered_by_competition_and_participant(db: Database) -> None:
    for id, participant in (("a", "p"), ("b", "q"), ("c", "p")):
        admitted(db, id, participant=participant)
    assert [(s.id, s.number) for s in db.submissions("c")] == [("a", 1), ("b", 1), ("c", 2)]


def test_submissions_of_one_phase(db: Database) -> None:
    admitted(db, "a", phase=0)
    admitted(db, "b", phase=1)
    assert [s.id for s in db.submissions("c", 1)] == ["b"]


def test_what_is_not_there_says_so(db: Database) -> None:
    for ask in (db.submission, db.run, db.competition):
        with pytest.raises(NotFound, match="'nothing'"):
            ask("nothing")
    with pytest.raises(NotFound):
        db.append("nothing", [K.RUN_CANCELLED], at=AT)


def test_a_competition_is_kept_once(db: Database) -> None:
    db.add_competition("c", CompetitionSpec(title="Other"), source="x", at=AT)
    assert db.competition("c").title == "C"
    assert db.competitions() == [("c", "C")]


def test_trees_are_replaced_by_path(db: Database) -> None:
    other = TREE.model_copy(update={"digest": "sha256:other"})
    db.set_trees("c", {"a": TREE, "b": TREE})
    db.set_trees("c", {"b": other})
    db.set_trees("c", {})
    assert db.trees("c") == {"a": TREE, "b": other}
    assert db.trees("x") == {}


ENDS = [
    (K.RUN_FAILED, Fault.PARTICIPANT, True),
    (K.RUN_FAILED, Fault.ORGANIZER, True),
    (K.RUN_FAILED, Fault.OPERATOR, False),
    (K.RUN_FAILED, None, True),
    (K.RUN_CANCELLED, Fault.PARTICIPANT, True),
    (K.RUN_CANCELLED, Fault.ORGANIZER, False),
    (K.RUN_CANCELLED, Fault.OPERATOR, False),
    (K.RUN_CANCELLED, None, True),
]


@pytest.mark.parametrize(("kind_of_end", "fault", "counts"), ENDS)
def test_whose_fault_it_was_says_whether_it_counts(
    db: Database, kind_of_end: EventKind, fault: Fault | None, counts: bool
) -> None:
    (run,) = admitted(db)
    end(db, run, kind_of_end, fault)
    assert db.run(run).fault is fault
    assert len(db.submission_times("c", 0, "p")) == counts


def test_what_counts_against_a_limit(db: Database) -> None:
    admitted(db, "waits")
    admitted(db, "mixed", runs=2)
    admitted(db, "other", participant="q")
    admitted(db, "phase", phase=1)
    for n, name in enumerate(["soft", "hard"]):
        end(db, admitted(db, name)[0], K.RUN_FAILED, Fault.PARTICIPANT)
        db.delete_submission(name, at=AT, kind="soft" if n == 0 else "hard")
    end(db, "mixed-0", K.RUN_FAILED, Fault.OPERATOR)
    assert len(db.submission_times("c", 0, "p")) == 3  # waits, mixed, soft
    end(db, "mixed-1", K.RUN_FAILED, Fault.OPERATOR)
    assert len(db.submission_times("c", 0, "p")) == 2


def test_times_are_utc_whatever_zone_they_come_in(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    zoned = AT.astimezone(timezone(timedelta(hours=9)))
    admitted(db, "zoned", at=zoned)
    admitted(db, "naive", at=AT.replace(tzinfo=None))
    for id in ("zoned", "naive"):
        found = db.submission(id).created_at
        assert (found, found.utcoffset()) == (AT, timedelta(0))
    monkeypatch.undo()
    time.tzset()


# ---------------------------------------------------------------- transitions
def test_the_way_of_a_run(db: Database) -> None:
    (run,) = admitted(db)
    me = started(db, run)
    outcome = Outcome(status=Status.FINISHED, scores={"a": 0.1, "b": 1e300}, raw_scores={"x": [None, "é"]})
    for kind in LIVE:
        db.append(run, [kind], data={"n": 1}, **me)
    assert db.append(run, [K.RUN_FINISHED], outcome=outcome, **me) is Status.FINISHED
    row = db.run(run)
    assert (row.status, row.outcome, row.sequence, row.attempt) == (Status.FINISHED, outcome, 8, "a1")
    history = db.events(run)
    assert [e.kind for e in history] == [K.RUN_QUEUED, K.ATTEMPT_STARTED, *LIVE, K.RUN_FINISHED]
    assert [e.sequence for e in history] == list(range(1, 9))
    assert [e.attempt for e in history] == [None] + ["a1"] * 7
    assert history[3].data == {"n": 1}


def test_an_illegal_event_changes_nothing(db: Database) -> None:
    (run,) = admitted(db)
    me = started(db, run)
    with pytest.raises(StateError):
        db.append(run, [K.SCORING_STARTED, K.PREDICTION_STARTED], outcome=Outcome(status=Status.FAILED), **me)
    assert (db.run(run).status, db.run(run).sequence, db.run(run).outcome) == (Status.PREPARING, 2, None)
    assert len(db.events(run)) == 2


@pytest.mark.parametrize(("attempt", "token"), [("a1", "wrong"), ("a1", None), ("a0", "t1"), ("nobody", "t1")])
def test_only_the_current_attempt_with_its_token_counts(db: Database, attempt: str, token: str | None) -> None:
    (run,) = admitted(db)
    started(db, run)
    with pytest.raises(StateError, match="does not count any more") as caught:
        db.append(run, [K.RUN_FAILED], at=AT, attempt=attempt, token=token)
    assert caught.value.code == "CB711"


def test_a_lost_attempt_reports_in_vain(db: Database) -> None:
    (run,) = admitted(db)
    old = started(db, run)
    db.append(run, [K.ATTEMPT_LOST], at=AT)
    new = started(db, run, "a2", "t2")
    with pytest.raises(StateError):
        db.append(run, [K.RUN_FAILED], **old)
    assert db.append(run, [K.SCORING_STARTED, K.RUN_FINISHED], **new) is Status.FINISHED
    assert [e.attempt for e in db.events(run)] == [None, "a1", None, "a2", "a2", "a2"]


def test_scores_are_delivered_once(db: Database) -> None:
    (run,) = admitted(db)
    me = started(db, run)
    outcome = Outcome(status=Status.FINISHED, scores={"a": 1.0})
    db.append(run, [K.SCORING_STARTED, K.RUN_FINISHED], outcome=outcome, **me)
    with pytest.raises(StateError):
        db.append(run, [K.RUN_FINISHED], outcome=outcome.model_copy(update={"scores": {"a": 2.0}}), **me)
    assert db.run(run).outcome == outcome


def test_queued_runs_are_the_oldest_that_wait(db: Database) -> None:
    admitted(db, "held", kind=K.RUN_HELD)
    first, second = admitted(db, "a", runs=2), admitted(db, "b", runs=2)
    started(db, first[0])
    assert [r.id for r in db.queued(2)] == [first[1], second[0]]
    assert len(db.queued(64)) == 3


@pytest.mark.parametrize("threads", [2, 8])
def test_of_many_that_start_a_run_one_does(new_url: NewUrl, threads: int) -> None:
    url = new_url()
    databases = [Database(url) for _ in range(threads)]
    databases[0].add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    runs = [admitted(databases[0], f"s{n}")[0] for n in range(10)]
    won: list[tuple[str, int]] = []
    together = threading.Barrier(threads)

    def race(number: int) -> None:
        together.wait()
        for run in runs:
            try:
                databases[number].start_attempt(run, attempt=f"{run}/{number}", token="t", at=AT)
            except StateError:
                continue
            won.append((run, number))

    racers = [threading.Thread(target=race, args=(n,)) for n in range(threads)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(run for run, _ in won) == sorted(runs)
    for run, number in won:
        assert databases[0].run(run).attempt == f"{run}/{number}"
    for database in databases:
        database.close()


class Histories(RuleBasedStateMachine):
    """Whatever is tried, in whatever order: status and number are the fold of the events that were taken."""

    new_url: ClassVar[NewUrl]

    @initialize()
    def begin(self) -> None:
        self.db = Database(type(self).new_url())
        self.db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
        self.run = admitted(self.db)[0]
        self.attempts: list[tuple[str, str]] = []

    @rule()
    def start(self) -> None:
        name = f"a{len(self.attempts)}"
        legal = self.db.run(self.run).status is Status.SUBMITTED
        try:
            self.db.start_attempt(self.run, attempt=name, token=f"t{name}", at=AT)
        except StateError:
            assert not legal
        else:
            assert legal
            self.attempts.append((name, f"t{name}"))

    @rule(kind=st.sampled_from([*LIVE, K.RUN_FINISHED, K.RUN_FAILED]), stale=st.booleans())
    def report(self, kind: EventKind, stale: bool) -> None:
        if not self.attempts:
            return
        attempt, token = self.attempts[0 if stale else -1]
        before = self.db.run(self.run)
        legal = before.attempt == attempt and (before.status, kind) in TRANSITIONS
        try:
            self.db.append(self.run, [kind], at=AT, attempt=attempt, token=token, outcome=Outcome(status=Status.FAILED))
        except StateError:
            assert not legal
        else:
            assert legal

    @rule(kind=st.sampled_from([K.ATTEMPT_LOST, K.RUN_CANCELLED, K.RUN_QUEUED]))
    def decide(self, kind: EventKind) -> None:
        legal = (self.db.run(self.run).status, kind) in TRANSITIONS
        try:
            self.db.append(self.run, [kind], at=AT)
        except StateError:
            assert not legal
        else:
            assert legal

    @invariant()
    def the_column_is_the_fold(self) -> None:
        if hasattr(self, "db"):
            history, row = self.db.events(self.run), self.db.run(self.run)
            assert row.status is fold(history)
            assert [e.sequence for e in history] == list(range(1, row.sequence + 1))

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.db.close()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


@pytest.fixture(autouse=True)
def _machines_use(request: pytest.FixtureRequest, new_url: NewUrl) -> None:
    on_postgres = request.config.getoption("--database") == "postgres"
    Histories.new_url = staticmethod(new_url if on_postgres else lambda: "sqlite://")


# ---------------------------------------------------------------- the lease
def lease(db: Database, token: str, second: float, seconds: float = 30) -> bool:
    return db.take_lease("d", holder="h", token=token, now=AT + timedelta(seconds=second), seconds=seconds)


def test_a_lease_has_one_holder_until_it_expires(db: Database) -> None:
    assert lease(db, "one", 0)
    assert not lease(db, "two", 29)
    assert lease(db, "one", 29)  # renewed
    assert not lease(db, "two", 31)
    assert lease(db, "two", 60)  # expired and taken over
    assert not lease(db, "one", 61)


def test_a_lease_is_let_go_by_its_holder_only(db: Database) -> None:
    assert lease(db, "one", 0)
    db.release_lease("d", token="two")
    assert not lease(db, "two", 1)
    db.release_lease("d", token="one")
    assert lease(db, "two", 1)


def test_leases_of_different_names_are_independent(db: Database) -> None:
    assert lease(db, "one", 0)
    assert db.take_lease("other", holder="h", token="two", now=AT, seconds=5)


# ---------------------------------------------------------------- files
def test_it_is_opened_again(new_url: NewUrl) -> None:
    url = new_url()
    first = Database(url)
    first.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    (run,) = admitted(first)
    first.close()
    second = Database(url)
    assert second.run(run).status is Status.SUBMITTED
    second.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "nosuch://x/y", "sqlite:////nowhere/at/all.db", "postgresql+pg8000://u:pw@h/d"]
)
def test_a_database_that_cannot_be_opened(url: str) -> None:
    with pytest.raises((StorageError, UsageError), match="cannot be opened") as caught:
        Database(url)
    assert "pw" not in caught.value.message


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StorageError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path / 'x.db'}")


def test_a_closed_database_says_so(db: Database) -> None:
    db.close()
    with pytest.raises(StorageError, match="is closed"):
        db.competitions()
