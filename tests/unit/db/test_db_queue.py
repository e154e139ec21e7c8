"""The queue: fair order, leases of attempts, heartbeats, taking over, wishes to cancel."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

import pytest
from db_samples import AT, K, NewUrl, admitted, submission
from sqlalchemy import event

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import StateError, StorageError
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Run, Status
from codabench.db import connection
from codabench.db.database import Database
from codabench.db.taking import GROUPS, Room

_numbers = itertools.count()


def seconds(after: float) -> Any:
    return AT + timedelta(seconds=after)


def waiting(db: Database, id: str, who: str = "p", *, at: float = 0, competition: str = "c", **run: Any) -> str:
    made = submission(id, participant=who, at=seconds(at)).model_copy(update={"competition": competition})
    row = Run(id=id, submission=id, task=0, position=0, created_at=seconds(at), **run)
    db.add_submission(made, [row], kind=K.RUN_QUEUED)
    return id


def take(
    db: Database, holder: str = "h", *, at: float = 100, lease: float = 30, but_not: Collection[Any] = ()
) -> tuple[Run, Attempt] | None:
    number = next(_numbers)
    rooms = [Room(word, 0) for word in but_not]
    found = db.take_runs(holder, [(f"a{number}", f"t{number}")], now=seconds(at), seconds=lease, rooms=rooms)
    return found[0] if found else None


def order(db: Database, **options: Any) -> list[str]:
    """Which runs are taken, one after the other."""
    found = []
    while (taken := take(db, at=100 + len(found), **options)) is not None:
        found.append(taken[0].id)
    return found


# ---------------------------------------------------------------- who is next
def test_of_one_participant_the_oldest_is_next(db: Database) -> None:
    for id, at in (("b", 2), ("a", 1), ("c", 3)):
        waiting(db, id, at=at)
    assert order(db) == ["a", "b", "c"]


def test_participants_take_turns_however_many_one_has(db: Database) -> None:
    for n in range(4):
        waiting(db, f"p{n}", "p", at=n)
    waiting(db, "q0", "q", at=50)
    waiting(db, "r0", "r", at=60)
    assert order(db) == ["p0", "q0", "r0", "p1", "p2", "p3"]


def test_who_was_served_long_ago_is_next_when_nothing_is_under_way(db: Database) -> None:
    for n in range(2):
        waiting(db, f"p{n}", "p", at=n)
        waiting(db, f"q{n}", "q", at=10 + n)
    seen = []
    for n in range(4):
        run, attempt = take(db, at=100 + n) or pytest.fail("nothing to take")
        seen.append(run.id)
        db.append(run.id, [K.RUN_FAILED], at=seconds(100 + n), attempt=attempt.id, token=attempt.token)
    assert seen == ["p0", "q0", "p1", "q1"]


def test_a_participant_of_two_competitions_has_one_turn(db: Database) -> None:
    db.add_competition("d", CompetitionSpec(title="D"), source="", at=AT)
    for n, competition in enumerate("ccdd"):
        waiting(db, f"p{n}", "p", at=n, competition=competition)
    waiting(db, "q0", "q", at=9, competition="d")
    assert order(db) == ["p0", "q0", "p2", "p1", "p3"]


def test_priority_then_scoring_only(db: Database) -> None:
    waiting(db, "batch", priority=-1, scoring_only=True)
    waiting(db, "full", at=1)
    waiting(db, "short", at=2, scoring_only=True)
    waiting(db, "urgent", at=3, priority=1)
    assert order(db) == ["urgent", "short", "full", "batch"]


@pytest.mark.parametrize(
    ("field", "value"), [("pinned", "other"), ("not_before", seconds(101)), ("cancel_reason", "no more")]
)
def test_what_is_not_for_us_now_is_left_alone(db: Database, field: str, value: Any) -> None:
    waiting(db, "x", **{field: value})
    assert take(db, at=100) is None
    waiting(db, "y", at=5)
    assert order(db)[:1] == ["y"]


def test_what_is_pinned_goes_to_its_holder_and_what_is_due_is_taken(db: Database) -> None:
    waiting(db, "x", pinned="h")
    waiting(db, "y", not_before=seconds(100), at=1)
    assert order(db) == ["x", "y"]


def test_a_taken_run_has_an_attempt_with_a_lease(db: Database) -> None:
    waiting(db, "x", backend="docker", revision=3)
    run, attempt = take(db, "me", at=100, lease=30) or pytest.fail("nothing to take")
    assert (run.status, run.attempt, run.backend, run.revision) == (Status.PREPARING, attempt.id, "docker", 3)
    assert (attempt.number, attempt.holder, attempt.expires_at) == (1, "me", seconds(130))
    assert db.in_flight("me") == [(run, attempt)] == db.in_flight()
    assert db.in_flight("other") == []
    assert db.attempts("x") == [attempt]


# ---------------------------------------------------------------- several at once
@pytest.mark.parametrize("seed", range(4))
def test_several_are_taken_in_the_order_in_which_they_are_taken_one_by_one(db: Database, seed: int) -> None:
    draw, one_by_one = random.Random(seed), Database("sqlite://")
    for each in (db, one_by_one):
        each.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
        each.add_competition("d", CompetitionSpec(title="D"), source="", at=AT)
    for n in range(60):
        about = {"priority": draw.choice((0, 0, 0, 1)), "scoring_only": draw.random() < 0.2}
        who, competition = f"p{draw.randrange(9)}", draw.choice("cd")
        for each in (db, one_by_one):
            waiting(each, f"x{n}", who, at=n, competition=competition, **about)
    found: list[str] = []
    while True:
        names = [(f"{len(found)}/{n}", "t") for n in range(draw.randint(1, GROUPS))]
        taken = db.take_runs("h", names, now=seconds(100 + len(found)), seconds=30)
        if not taken:
            break
        assert [attempt.id for _, attempt in taken] == [id for id, _ in names[: len(taken)]]
        found += [run.id for run, _ in taken]
    assert found == order(one_by_one)
    assert len(set(found)) == 60
    one_by_one.close()


def test_no_more_are_taken_than_there_is_room_for(db: Database) -> None:
    for n, word in enumerate(["docker", "docker", None, "docker", "podman", "docker"]):
        waiting(db, f"r{n}", at=n, backend=word)

    def taken(*rooms: Room) -> list[str]:
        names = [(f"a{next(_numbers)}", "t") for _ in range(6)]
        return [run.id for run, _ in db.take_runs("h", names, now=seconds(100), seconds=9, rooms=rooms)]

    assert taken(Room("docker", 1), Room(None, 1)) == ["r0"]
    # What is not named is the last one: nobody knows yet how many of its kind there is room for.
    assert taken(Room("docker", 5), Room(None, 0)) == ["r1", "r3", "r4"]
    assert taken() == ["r2"]
    assert taken(Room("docker", 5)) == ["r5"]
    assert taken() == []


def test_the_index_is_asked_for_one_group_after_the_other(new_url: NewUrl) -> None:
    """Not for every run that waits: SQLite needs to be shown that it can."""
    url = new_url()
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL plans by what there is")
    db, asked = Database(url), []
    event.listen(db._engine, "before_cursor_execute", lambda *about: asked.append(about[2:4]))
    take(db)
    statement, values = next(each for each in asked if "RECURSIVE" in each[0])
    with db._read() as rows:
        plan = str(rows.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all())
    assert "(status=? AND (priority,scoring_only,competition,participant)>(?,?,?,?))" in plan
    db.close()


# ---------------------------------------------------------------- leases
def test_a_heartbeat_keeps_it_and_silence_loses_it(db: Database) -> None:
    waiting(db, "x")
    _, attempt = take(db, at=100) or pytest.fail("nothing to take")
    assert db.expired(seconds(129)) == []
    assert db.heartbeat("h", now=seconds(120), seconds=30) == {attempt.id}
    assert db.expired(seconds(149)) == []
    assert [(r.id, a.id) for r, a in db.expired(seconds(150))] == [("x", attempt.id)]
    with pytest.raises(StateError, match="in the hands of h") as caught:
        db.lose_attempt("x", attempt.id, at=seconds(149))
    assert caught.value.code == "CB711"
    lost = db.lose_attempt("x", attempt.id, at=seconds(150), not_before=seconds(160), data={"why": "silent"})
    assert lost is Status.SUBMITTED
    assert db.events("x")[-1].data == {"why": "silent"}
    assert db.heartbeat("h", now=seconds(151), seconds=30) == set()
    assert (take(db, at=159), db.run("x").attempt) == (None, None)
    run, second = take(db, "other", at=160) or pytest.fail("nothing to take")
    assert (run.id, second.number) == ("x", 2)


def test_what_a_lost_attempt_says_does_not_count(db: Database) -> None:
    waiting(db, "x")
    _, attempt = take(db, at=100) or pytest.fail("nothing to take")
    db.lose_attempt("x", attempt.id, at=seconds(200))
    for kind in (K.RUN_FAILED, K.SCORING_STARTED):
        with pytest.raises(StateError, match="does not count") as caught:
            db.append("x", [kind], at=seconds(201), attempt=attempt.id, token=attempt.token)
        assert caught.value.code == "CB711"
    with pytest.raises(StateError, match="does not count"):
        db.lose_attempt("x", attempt.id, at=seconds(201))


def test_a_holder_gives_up_its_own_attempt_at_once(db: Database) -> None:
    waiting(db, "x")
    _, attempt = take(db, "me") or pytest.fail("nothing to take")
    with pytest.raises(StateError):
        db.lose_attempt("x", attempt.id, at=seconds(101), holder="other")
    assert db.lose_attempt("x", attempt.id, at=seconds(101), holder="me") is Status.SUBMITTED


def test_an_attempt_without_a_lease_has_expired(db: Database) -> None:
    (run,) = admitted(db)
    db.start_attempt(run, attempt="a", token="t", at=AT)
    assert [a.id for _, a in db.expired(AT)] == ["a"]


def test_a_wish_to_cancel_reaches_the_holder(db: Database) -> None:
    waiting(db, "x")
    waiting(db, "y", at=1)
    take(db, "me")
    assert db.request_cancel("x", "enough", fault=Fault.PARTICIPANT)
    assert db.cancels("me") == [("x", "enough", Fault.PARTICIPANT)]
    assert db.cancels("other") == []
    db.append("x", [K.RUN_CANCELLED], at=AT)
    assert db.cancels("me") == []
    assert not db.request_cancel("x", "again", fault=Fault.PARTICIPANT)


def test_the_clock_of_the_database_is_ours(db: Database) -> None:
    from datetime import UTC, datetime

    assert abs((db.now() - datetime.now(UTC)).total_seconds()) < 60
    assert db.now().tzinfo is not None


# ---------------------------------------------------------------- many at once
def together(count: int, work: Callable[[int], None]) -> None:
    """Do `work` in that many threads, all at the same time; what one raises is raised."""
    start, failed = threading.Barrier(count), []

    def one(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


@pytest.mark.parametrize("many", [1, 5])
def test_each_run_is_taken_by_one_of_many_dispatchers(new_url: NewUrl, many: int) -> None:
    url = new_url()
    databases = [Database(url) for _ in range(4)]
    databases[0].add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    for n in range(40):
        waiting(databases[0], f"x{n}", f"p{n % 3}", at=n)
    taken: list[str] = []

    def dispatcher(number: int) -> None:
        quiet = 0
        while quiet < 3:
            names = [(f"{number}/{next(_numbers)}", "t") for _ in range(many)]
            found = databases[number].take_runs(f"h{number}", names, now=seconds(100), seconds=9)
            quiet = 0 if found else quiet + 1
            taken.extend(run.id for run, _ in found)

    together(4, dispatcher)
    assert sorted(taken) == sorted(f"x{n}" for n in range(40))
    assert all(len(databases[0].attempts(run)) == 1 for run in taken)
    for database in databases:
        database.close()


def test_a_lease_by_name_has_one_first_holder(new_url: NewUrl) -> None:
    url = new_url()
    databases = [Database(url) for _ in range(6)]
    won: list[int] = []

    def race(number: int) -> None:
        if databases[number].take_lease("d", holder=f"{number}", token=f"{number}", now=AT, seconds=30):
            won.append(number)

    together(6, race)
    assert len(won) == 1
    for database in databases:
        database.close()


def test_a_suspended_process_does_not_keep_its_locks(new_url: NewUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stopped in the midst of a transaction: its run can be taken over all the same."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 1)
    url = new_url()
    if url.startswith("sqlite"):
        pytest.skip("SQLite has one writer, and waits for it")
    suspended, other = Database(url), Database(url)
    suspended.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    waiting(suspended, "x")
    _, attempt = take(suspended) or pytest.fail("nothing to take")

    def stop_in_the_midst() -> None:
        with suspended._change() as rows:
            suspended._run_row(rows, "x")
            assert other.lose_attempt("x", attempt.id, at=seconds(200)) is Status.SUBMITTED
            suspended._run_row(rows, "x")

    with pytest.raises(StorageError, match="idle-in-transaction"):
        stop_in_the_midst()
    assert suspended.run("x").status is Status.SUBMITTED
    suspended.close()
    other.close()


# ---------------------------------------------------------------- what dispatchers ask
def test_runs_of_some_backends_are_left_alone(db: Database) -> None:
    words: list[Any] = [None, "docker", {"object": "X"}, "podman"]
    for n, word in enumerate(words):
        waiting(db, f"r{n}", at=n, backend=word)
    left = [{"object": "X"}, None]
    assert db.waits("h", seconds(100), but_not=left)
    assert order(db, but_not=left) == ["r1", "r3"]
    assert not db.waits("h", seconds(100), but_not=left)
    assert order(db, but_not=["docker"]) == ["r0", "r2"]
    assert not db.waits("h")


def test_whether_anything_waits_for_a_holder_now_or_ever(db: Database) -> None:
    assert not db.waits("h")
    waiting(db, "a", pinned="other")
    waiting(db, "b", cancel_reason="no")
    assert not db.waits("h")
    waiting(db, "c", not_before=seconds(50))
    assert (db.waits("h"), db.waits("h", seconds(49)), db.waits("h", seconds(50))) == (True, False, True)
    assert [run.id for run in db.unwanted()] == ["b"]
    assert [run.id for run in db.pinned()] == ["a"]
    assert db.counts() == (3, 0)
    take(db, "other")
    assert db.pinned() == []
    assert db.counts() == (2, 1)


def test_held_runs_that_are_pinned_or_unwanted_are_told(db: Database) -> None:
    row = Run(id="a", submission="a", task=0, position=0, created_at=AT, pinned="x", cancel_reason="no")
    db.add_submission(submission("a"), [row], kind=K.RUN_HELD)
    assert [run.id for run in (*db.pinned(), *db.unwanted())] == ["a", "a"]


def test_who_is_there_is_who_was_heard_of(db: Database) -> None:
    db.take_lease("other", holder="not a dispatcher", token="t", now=AT, seconds=1000)
    db.heartbeat("one", now=AT, seconds=10)
    db.heartbeat("two", now=AT, seconds=30)
    assert db.present(AT) == ["one", "two"]
    assert db.present(seconds(10)) == ["two"]
    db.heartbeat("one", now=seconds(20), seconds=10)
    db.leave("two")
    assert db.present(seconds(25)) == ["one"]
