"""A limit of 5 holds for 100 threads in 8 processes that submit at the same instant, on SQLite and PostgreSQL.

Each round has a participant of its own. Exactly 5 are accepted, they are in the database, and their numbers are 1 to 5.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import uuid
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy

from codabench.core.competition import CompetitionSpec, PhaseSpec
from codabench.core.errors import SubmissionRejected
from codabench.core.events import EventKind
from codabench.core.records import Run, Submission
from codabench.core.trees import TreeRef
from codabench.db.database import Database
from codabench.workspace.admission import admit

NEEDS = ("postgres",)
LIMIT = 300
ROUNDS, THREADS, PROCESSES, ALLOWED = 300, 100, 8, 5
PATIENCE = 300.0
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PHASE = PhaseSpec(index=0, name="One", start=datetime(2020, 1, 1, tzinfo=UTC), max_submissions=ALLOWED)
SPEC = CompetitionSpec(title="C", phases=(PHASE,))
TREE = TreeRef(digest="sha256:x", archive="y", size=1, files=1)


def soak(scale: float, folder: Path) -> dict[str, object]:
    """300 rounds on each of both databases."""
    rounds = max(1, round(ROUNDS * scale))
    figures: dict[str, object] = {"rounds": rounds, "threads": THREADS, "processes": PROCESSES, "tried": 0}
    failed: list[str] = []
    server, schema = os.environ["CODABENCH_TEST_POSTGRES"], f"race_{uuid.uuid4().hex}"
    _on(server, f"CREATE SCHEMA {schema}")
    places = {"sqlite": f"sqlite:///{folder / 'race.db'}", "postgresql": f"{server}?options=-csearch_path%3D{schema}"}
    try:
        for name, url in places.items():
            accepted, other = _race(url, rounds)
            wrong = [n for n in range(rounds) if accepted[n] != ALLOWED]
            figures["tried"] = int(str(figures["tried"])) + rounds * THREADS
            figures[f"{name}_rounds_not_{ALLOWED}"] = len(wrong)
            failed += [f"{name}, round {n}: {accepted[n]} accepted" for n in wrong[:5]]
            failed += [f"{name}: {text}" for text in other[:5]] + _rows(name, url, rounds)
    finally:
        _on(server, f"DROP SCHEMA {schema} CASCADE")
    return {**figures, "failed": failed}


def _race(url: str, rounds: int) -> tuple[Counter[int], list[str]]:
    """How many were accepted in each round, and what else was raised."""
    db = Database(url)
    db.add_competition("c", SPEC, source="", at=NOW)
    db.close()
    context = multiprocessing.get_context("spawn")
    start, told = context.Barrier(PROCESSES), context.SimpleQueue()
    shares = [THREADS // PROCESSES + (n < THREADS % PROCESSES) for n in range(PROCESSES)]
    workers = [context.Process(target=_process, args=(url, rounds, share, start, told)) for share in shares]
    for worker in workers:
        worker.start()
    answers = [told.get() for _ in workers]
    for worker in workers:
        worker.join()
    accepted: Counter[int] = Counter()
    for counted, _ in answers:
        accepted.update(counted)
    return accepted, [text for _, texts in answers for text in texts]


def _process(url: str, rounds: int, threads: int, start: Any, told: Any) -> None:
    db = Database(url)
    accepted: Counter[int] = Counter()
    other: list[str] = []
    counting = threading.Lock()
    # One thread of each process meets the other processes, then all threads of a process go on together.
    gate = threading.Barrier(threads, action=lambda: start.wait(PATIENCE))

    def one() -> None:
        try:
            for number in range(rounds):
                gate.wait(PATIENCE)
                won = _submit(db, f"p{number}")
                with counting:
                    accepted[number] += won
        except Exception as error:  # noqa: BLE001 - told below: nothing but a refusal may be raised
            other.append(f"{type(error).__name__}: {error}")
            gate.abort()

    members = [threading.Thread(target=one) for _ in range(threads)]
    for member in members:
        member.start()
    for member in members:
        member.join()
    db.close()
    told.put((dict(accepted), other))


def _submit(db: Database, participant: str) -> int:
    id = uuid.uuid4().hex
    made = Submission(
        id=id, competition="c", phase=0, name="x.zip", participant=participant, tree=TREE, created_at=NOW, tasks=(0,)
    )
    runs = [Run(id=f"{id}-0", submission=id, task=0, position=0, created_at=NOW)]
    try:
        db.add_submission(made, runs, kind=EventKind.RUN_QUEUED, admit=partial(admit, SPEC, PHASE, NOW))
    except SubmissionRejected:
        return 0
    return 1


def _rows(name: str, url: str, rounds: int) -> list[str]:
    """What the database says that is not as it must be."""
    db = Database(url)
    numbers: dict[str, list[int]] = {}
    for each in db.submissions("c"):
        numbers.setdefault(each.participant, []).append(each.number)
    runs = len(db.runs("c"))
    db.close()
    expected = list(range(1, ALLOWED + 1))
    wrong = [f"{name}: {who} has the numbers {has}" for who, has in numbers.items() if sorted(has) != expected]
    if (len(numbers), runs) != (rounds, rounds * ALLOWED):
        wrong.append(f"{name}: {len(numbers)} participants and {runs} runs after {rounds} rounds")
    return wrong[:5]


def _on(server: str, statement: str) -> None:
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
