"""A board as a site serves it, against a bare route that runs the same SQL and serialises the same rows.

Both are real servers, each a process of its own, with the same pool of connections to the same PostgreSQL.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import competition
from dispatching import _schema as schema
from measure import Benchmark, CannotMeasureError, Side

HERE = Path(__file__).resolve().parent
ROWS, KEYS = 200, ("acc", "f1", "loss")
CLIENTS, EACH = 4, 25
"""Connections that ask at the same time, and requests of each in one sample."""
AT = datetime(2026, 1, 1, tzinfo=UTC)
JSON_P95: tuple[str, list[float]] = ("ms p95", [])
PAGE_P95: tuple[str, list[float]] = ("ms p95", [])


# ---------------------------------------------------------------------- what is served
def opened(url: str, folder: Path, *, dispatch: bool = False) -> Any:
    """The site, in this process; `dispatch`: which carries out what is submitted."""
    import codabench as cb
    from codabench.site.settings import SiteSettings
    from codabench.site.site import Site

    ws = cb.Workspace(folder / "storage", db=url, backend="process", dispatch=dispatch)
    return Site(ws, SiteSettings(secret_file=folder / "secret.key"))


def host(site: Any, owner: Any, bundle: Path) -> str:
    """The id of a published competition made of a bundle."""
    from codabench.core.competition import DataRole
    from codabench.core.hosting import Dataset

    archive = bundle.with_suffix(".zip")
    subprocess.run([sys.executable, "-m", "zipfile", "-c", str(archive), *map(str, bundle.iterdir())], check=True)
    made = Dataset(
        key=str(uuid.uuid4()),
        owner=owner.account,
        type=DataRole.COMPETITION_BUNDLE,
        name="bundle",
        file_name="bundle.zip",
        size=archive.stat().st_size,
        content=site.workspace.storage.put(archive.read_bytes()),
        created_at=site.now(),
    )
    job = site.competitions.create(owner, site.db.add_dataset(made).key)
    job = site.jobs.wait(owner, job.id, timeout=60)
    if job.result is None:
        raise CannotMeasureError(f"the bundle was not unpacked: {job.details}")
    site.competitions.publish(owner, job.result, True)
    return str(job.result)


def fill(site: Any, folder: Path) -> tuple[str, list[str]]:
    """A published competition with so many people on its board; its id and its submissions."""
    from sqlalchemy import insert

    from codabench.bundle.defined.logo import placeholder_logo
    from codabench.core.records import Outcome, Run, Status, Submission
    from codabench.core.trees import TreeRef
    from codabench.db.convert import run_row, submission_row
    from codabench.db.tables import RUN, SUBMISSION
    from codabench.site.actors import OPERATOR
    from codabench.site.credentials import actor_of

    bundle, _ = competition.write(folder)
    text = (bundle / "competition.yaml").read_text().partition("    columns:")[0]
    columns = ", ".join(f"{{title: {key}, key: {key}, index: {n}}}" for n, key in enumerate(KEYS))
    (bundle / "competition.yaml").write_text(f"{text}    submission_rule: Force_Best\n    columns: [{columns}]\n")
    (bundle / "logo.png").write_bytes(placeholder_logo("board"))
    people = [actor_of(site.accounts.add(OPERATOR, f"person{n}", email=None)) for n in range(ROWS)]
    id = host(site, people[0], bundle)
    tree = TreeRef(digest=f"sha256:{'a' * 64}", archive="b" * 64, size=3, files=1)
    submissions = [
        Submission(
            id=uuid.uuid4().hex,
            competition=id,
            phase=0,
            name="answer.zip",
            participant=person.participant,
            tree=tree,
            created_at=AT,
            tasks=(0,),
        )
        for person in people
    ]
    runs = [
        Run(id=uuid.uuid4().hex, submission=s.id, task=0, position=0, created_at=AT, finished_at=AT)
        for s in submissions
    ]
    outcome = Outcome(status=Status.FINISHED, provenance={"host": "x" * 2000}).model_dump_json()
    ended = {"status": Status.FINISHED.value, "last_event": 1, "outcome": outcome}
    scores = [json.dumps(dict.fromkeys(KEYS, n / ROWS)) for n in range(ROWS)]
    with site.db._change() as rows:
        rows.execute(insert(SUBMISSION), [submission_row(s) for s in submissions])
        of_run = zip(runs, submissions, scores, strict=True)
        rows.execute(insert(RUN), [run_row(r, s) | ended | {"scores": own} for r, s, own in of_run])
    return id, [s.id for s in submissions]


def asked(site: Any, path: str) -> dict[str, Any]:
    """The SQL that one request takes when the one before has warmed everything up, and what is answered."""
    from sqlalchemy import event
    from starlette.testclient import TestClient

    from codabench.web.app import create_app

    said: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        said.append((statement, parameters))

    with TestClient(create_app(site), site.settings.url) as client:
        client.get(path)
        event.listen(site.db._engine, "before_cursor_execute", hear)
        answer = client.get(path)
        event.remove(site.db._engine, "before_cursor_execute", hear)
    if answer.status_code != 200:
        raise CannotMeasureError(f"{path} answers {answer.status_code}")
    return {"sql": said, "answer": answer}


# ---------------------------------------------------------------------- the two servers
def serve_ours(url: str, folder: Path, port: int) -> None:
    from codabench.web.app import create_app

    serve(create_app(opened(url, folder)), port)


def serve_bare(url: str, folder: Path, port: int) -> None:
    """FastAPI with one route."""
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse
    from sqlalchemy.engine import make_url

    from codabench.db.connection import make_engine

    known = json.loads((folder / "asked.json").read_text())
    engine, app = make_engine(make_url(url)), FastAPI()

    @app.get("/{path:path}")
    def route(path: str) -> JSONResponse:
        with engine.connect() as db:
            for statement, parameters in known["sql"]:
                found = db.exec_driver_sql(statement, parameters)
                if found.returns_rows:
                    found.fetchall()
        return JSONResponse(known["document"])

    serve(app, port)


def serve(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=port, lifespan="off", log_level="error", access_log=False)


@contextmanager
def served(script: str, which: str, url: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A server that a benchmark runs as a process of its own: its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    process = subprocess.Popen([sys.executable, script, which, url, str(folder), str(port)], env=env)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _rate(port: int, path: str, times: list[float] | None = None) -> float:
    """Requests a second of several clients, each on a connection that it keeps."""

    def client(_number: int) -> list[float]:
        connection, took = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
        for _ in range(EACH):
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            took.append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                raise CannotMeasureError(f"{path} answers {answer.status}")
        connection.close()
        return took

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        found = sorted(ms for several in pool.map(client, range(CLIENTS)) for ms in several)
    if times is not None:
        times.append(found[int(len(found) * 0.95)])
    return len(found) / (time.perf_counter() - began)


@contextmanager
def _board(page: bool, times: list[float]) -> Iterator[tuple[Side, Side]]:
    from codabench.site.actors import OPERATOR
    from codabench.site.numbers import Kind

    with ExitStack() as stack:
        url = stack.enter_context(schema())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codabench-benchmark-")))
        site = opened(url, folder)
        stack.callback(site.workspace.close)
        stack.callback(site.close)
        id, submissions = fill(site, folder)
        phase = site.numbers.of(Kind.PHASE, id, 0)
        board, own = f"/api/phases/{phase}/get_leaderboard/", f"/competitions/{site.competitions.number(id)}/results/"
        path = own if page else board
        known = {"sql": asked(site, path)["sql"], "document": asked(site, board)["answer"].json()}
        (folder / "asked.json").write_text(json.dumps(known, default=str))
        ours, bare = (stack.enter_context(served(__file__, which, url, folder))[0] for which in ("ours", "bare"))
        last = site.numbers.of(Kind.SUBMISSION, submissions[0])
        for value in ("7.25", "8.75"):
            # What is committed here is in the next answer there.
            site.submissions.set_score(OPERATOR, last, KEYS[0], float(value))
            connection = http.client.HTTPConnection("127.0.0.1", ours, timeout=60)
            connection.request("GET", path)
            if value.encode() not in connection.getresponse().read():
                raise CannotMeasureError("a score that was committed is not in the next answer")
        yield lambda: _rate(ours, path, times), lambda: _rate(bare, path)


board_json = Benchmark(
    name="web_board",
    about=f"a board of {ROWS} rows as JSON from a real server with PostgreSQL, asked for by {CLIENTS} clients at once, "
    "against a bare FastAPI route that runs the same SQL and serialises the same rows",
    unit="requests/s",
    sides=lambda: _board(False, JSON_P95[1]),
    must=("least", 0.5),
    beside=JSON_P95,
)
board_page = Benchmark(
    name="web_board_page",
    about="the same as a page of 100 rows, against a bare route that runs the same SQL and serialises the rows as JSON",
    unit="requests/s",
    sides=lambda: _board(True, PAGE_P95[1]),
    must=("least", 0.5),
    beside=PAGE_P95,
)

if __name__ == "__main__":
    {"ours": serve_ours, "bare": serve_bare}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
