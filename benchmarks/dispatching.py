"""A workspace whose runs go to a Dask cluster: how many a second, with every status event durable, and its memory.

Scheduler and workers are processes of their own, with TLS. On the workers all is real but the containers.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import competition
from measure import Benchmark, CannotMeasureError, Side

HERE = Path(__file__).resolve().parent
RUNS, PEOPLE = 500, 20
WORKERS, SLOTS = 2, 2
MANY, PART = 10_000, 500
EVENTS = 8
"""Of a run that finishes at its first attempt: queued, attempt, prediction (2), scoring (2), scores, finished."""


# ---------------------------------------------------------------------- the cluster
@contextmanager
def _process(*words: str) -> Iterator[str]:
    """A process of a cluster; the address that it says first."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    command = [sys.executable, *words]
    with subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if " at t" in line:
                    yield line.partition(" at ")[2].split(": ")[0].strip()
                    return
            raise CannotMeasureError(f"{' '.join(words)} did not come up")
        finally:
            process.terminate()


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """The word for a cluster of our own."""
    from codabench.backends.dask.certs import make_certificates

    certs = folder / "certs"
    make_certificates(certs)
    with ExitStack() as stack:
        scheduler = ("-m", "codabench", "scheduler", "--port", "0", "--certs", str(certs))
        address = stack.enter_context(_process(*scheduler))
        for _ in range(WORKERS):
            stack.enter_context(_process(str(HERE / "empty_worker.py"), address, str(certs), str(SLOTS)))
        yield f"{address.replace('tls://', 'dask://')}?certs={certs}"


@contextmanager
def _schema() -> Iterator[str]:
    """A schema of PostgreSQL as a database."""
    import sqlalchemy

    server = os.environ.get("CODABENCH_TEST_POSTGRES")
    if not server:
        raise CannotMeasureError("it needs PostgreSQL: the URL of a database in CODABENCH_TEST_POSTGRES")
    name, engine = f"benchmark_{uuid.uuid4().hex}", sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        try:
            yield f"{server}?options=-csearch_path%3D{name}"
        finally:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


@contextmanager
def _file() -> Iterator[None]:
    yield None


# ---------------------------------------------------------------------- runs a second
def queue(ws: Any, first: Any, count: int) -> list[str]:
    """More submissions like the first one, as others would have queued them."""
    from codabench.core.events import EventKind
    from codabench.core.records import Run

    made = []
    for n in range(count):
        id = uuid.uuid4().hex
        submission = first.record.model_copy(update={"id": id, "participant": f"p{n % PEOPLE}"})
        run = Run(id=uuid.uuid4().hex, submission=id, task=0, position=0, created_at=first.record.created_at)
        ws.db.add_submission(submission, [run], kind=EventKind.RUN_QUEUED)
        made.append(run.id)
    return made


@contextmanager
def _rates(database: Any) -> Iterator[tuple[Side, Side]]:
    """Runs that wait in a workspace, against their plans handed to the backend without one."""
    import codabench as cb

    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text, ExitStack() as stack:
        folder = Path(text)
        word, db = stack.enter_context(_cluster(folder)), stack.enter_context(database())
        bundle, submission = competition.write(folder)
        comp = stack.enter_context(cb.load(bundle))
        backend = stack.enter_context(cb.DaskBackend(word))
        ws = stack.enter_context(cb.Workspace(folder / "lab", db=db, backend=backend))
        first = ws.submit(ws.add(comp), submission, enforce=False)
        if first.wait(60).run.scores != {"score": 1.0}:
            raise CannotMeasureError(f"the submission did not run: {first}")
        yield lambda: _dispatched(ws, first), lambda: _handed_over(ws, first, backend)


def _dispatched(ws: Any, first: Any) -> float:
    runs, ended = queue(ws, first, RUNS), [0.0]

    def heard(event: dict[str, Any]) -> None:
        if event["type"] == "status" and event["status"].is_final:
            ended[0] = time.perf_counter()

    forget = ws.observe(heard)
    began = time.perf_counter()
    ws.dispatch(drain=True)
    forget()
    wrong = [run for run in runs if len(ws.db.events(run)) != EVENTS or ws.db.run(run).status != "Finished"]
    if wrong:
        raise CannotMeasureError(f"{len(wrong)} runs did not finish at once, as {ws.db.events(wrong[0])}")
    return (ended[0] - began) / RUNS * 1000


def _handed_over(ws: Any, first: Any, backend: Any) -> float:
    from codabench.backends.backend import Work
    from codabench.workspace.dispatcher import EXECUTE

    (attempt,) = ws.db.attempts(first.run.id)
    plan = ws.plans.planner([])(ws.db.run(first.run.id), attempt).model_dump(mode="json")
    began = time.perf_counter()
    handles = []
    for _ in range(RUNS):
        id = uuid.uuid4().hex
        handles.append(backend.submit(Work(function=EXECUTE, payload={**plan, "attempt": id}), key=id))
    for handle in handles:
        if handle.result(120)["scores"] != {"score": 1.0}:
            raise CannotMeasureError("a plan did not run")
    return (time.perf_counter() - began) / RUNS * 1000


# ---------------------------------------------------------------------- memory
@contextmanager
def _memory() -> Iterator[tuple[Side, Side]]:
    """What a fresh process grows by, through a workspace and through bare Dask."""

    def grown(side: str) -> float:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
        ended = subprocess.run([sys.executable, __file__, side], env=env, text=True, stdout=subprocess.PIPE, check=True)
        return float(ended.stdout.split()[-1])

    yield lambda: grown("library"), lambda: grown("bare")


def resident() -> float:
    """MiB of this process, now."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def grow_library(many: int) -> float:
    """Submissions made, carried out and waited for by one process, so many after a first part."""
    import codabench as cb

    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text, _cluster(Path(text)) as word:
        folder = Path(text)
        bundle, submission = competition.write(folder)
        with cb.load(bundle) as comp, cb.Workspace(folder / "lab", backend=word) as ws:
            ws.add(comp)
            before = 0.0
            for part in range(1 + many // PART):
                if part == 1:
                    before = resident()
                who = {"participant": f"p{part % PEOPLE}", "enforce": False}
                made = [ws.submit(comp, submission, **who) for _ in range(PART)]
                if any(each.wait(300).status != "Finished" for each in made):
                    raise CannotMeasureError("a submission did not finish")
                del made
            return resident() - before


def grow_bare(many: int) -> float:
    """The same through ``client.submit`` and ``gather``."""
    from distributed import Client

    from codabench.backends.dask.security import TLS

    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text, _cluster(Path(text)) as word:
        address, _, certs = word.replace("dask://", "tls://").partition("?certs=")
        with Client(address, security=TLS.of(certs).security(), set_as_default=False) as client:
            before = 0.0
            for part in range(1 + many // PART):
                if part == 1:
                    before = resident()
                client.gather([client.submit(os.getpid, pure=False) for _ in range(PART)])
            return resident() - before


sqlite = Benchmark(
    name="dask_workspace",
    about=f"{RUNS} runs that wait in a workspace on SQLite, to the last end, against their plans handed over bare",
    unit="ms each",
    sides=lambda: _rates(_file),
    must=("value", 1000 / 60),
    most=5,
)
postgres = Benchmark(
    name="dask_workspace_postgres",
    about="the same on PostgreSQL",
    unit="ms each",
    sides=lambda: _rates(_schema),
    must=("value", 1000 / 60),
    most=5,
)
memory = Benchmark(
    name="dask_memory",
    about=f"what the memory of a client grows by over {MANY:,} submissions, against as many of bare client.submit",
    unit="MiB",
    sides=_memory,
    must=("value", 50),
    most=1,
)

if __name__ == "__main__":
    print({"library": grow_library, "bare": grow_bare}[sys.argv[1]](int(sys.argv[2]) if sys.argv[2:] else MANY))
