"""A limit is counted in the transaction that inserts: who submit at the same instant do not get past it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from db_samples import AT, TREE, K, NewUrl
from test_db_queue import together

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import SubmissionRejected
from codabench.core.records import Run, Submission
from codabench.db.database import Database

LIMIT = 3


def at_most(earlier: Sequence[datetime]) -> None:
    if len(earlier) >= LIMIT:
        raise SubmissionRejected("used up", code="CB333")


def submit(db: Database, id: str, admit: Callable[[Sequence[datetime]], None] | None) -> bool:
    made = Submission(id=id, competition="c", phase=0, name=id, participant="p", tree=TREE, created_at=AT)
    run = Run(id=f"{id}-0", submission=id, task=0, position=0, created_at=AT)
    try:
        db.add_submission(made, [run], kind=K.RUN_QUEUED, admit=admit)
    except SubmissionRejected:
        return False
    return True


@pytest.fixture
def url(new_url: NewUrl) -> str:
    made = new_url()
    db = Database(made)
    db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    db.close()
    return made


def accepted(url: str) -> list[int]:
    """The numbers of what is in the database."""
    db = Database(url)
    found = [s.number for s in db.submissions("c")]
    db.close()
    return found


def test_threads_with_connections_of_their_own(url: str) -> None:
    databases = [Database(url) for _ in range(8)]
    together(8, lambda n: any(submit(databases[n], f"{n}/{k}", at_most) for k in range(3)))
    for db in databases:
        db.close()
    assert accepted(url) == [1, 2, 3]


def test_processes(url: str) -> None:
    children = []
    for n in range(6):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                db = Database(url)
                for k in range(3):
                    submit(db, f"{n}/{k}", at_most)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 6
    assert accepted(url) == [1, 2, 3]


def test_counting_before_the_transaction_is_not_enough(url: str) -> None:
    """The twin: everybody counts, then everybody inserts."""
    databases, counted = [Database(url) for _ in range(8)], threading.Barrier(8)

    def race(number: int) -> None:
        at_most(databases[number].submission_times("c", 0, "p"))
        counted.wait()
        submit(databases[number], f"{number}", None)

    together(8, race)
    for db in databases:
        db.close()
    assert accepted(url) == [*range(1, 9)]


def test_a_refusal_leaves_nothing(url: str) -> None:
    db = Database(url)
    assert [submit(db, f"{n}", at_most) for n in range(5)] == [True, True, True, False, False]
    assert [s.number for s in db.submissions("c")] == [1, 2, 3]
    assert submit(db, "later", None)
    assert db.submission("later").number == 4
    db.close()
