"""A workspace that processes are killed over: its place, its competition, and what was acknowledged to callers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import textwrap
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy
from _engines import engine_of, image_of

import codabench as cb
from codabench.testing.bundles import write_bundle, write_files
from codabench.workspace import dispatcher, endings

COMMAND = "command: python3 -I -S $program/main.py $output\n"
PREDICTS = """
    import sys
    open(sys.argv[1] + "/prediction.txt", "w").write("{0}")
"""
SCORES = """
    # A number that no other execution writes, and a line outside of everything that says so.
    import json, os, sys
    score = int.from_bytes(os.urandom(6), "big")
    try:
        with open("COUNTS", "ab", buffering=0) as file:
            file.write(b"%d\\n" % score)
    except OSError:
        pass
    json.dump({"score": score}, open(sys.argv[1] + "/scores.json", "w"))
"""
ALLOWED = 2
"""Submissions of one participant to the phase."""


class Lab:
    """Where everything is.

    Parameters
    ----------
    folder
        An empty directory.
    db
        The database; None: a file of SQLite beside the storage.
    engine
        ``process`` or ``docker``.
    """

    WHAT = ("submission", "score", "deleted", "batch", "migrated", "backup")
    """What callers are told of."""

    def __init__(self, folder: Path, db: str | None = None, engine: str = "process") -> None:
        self.folder, self.engine = folder, engine
        folder.mkdir(parents=True, exist_ok=True)
        self.storage = folder / "storage"
        self.db = db or f"sqlite:///{folder / 'codabench.db'}"
        self.scratch, self.backups = folder / "tmp", folder / "backups"
        self.scratch.mkdir(exist_ok=True)
        self.backups.mkdir(exist_ok=True)
        self.acks, self.counts, self.log = folder / "acks.jsonl", folder / "counts", folder / "log"
        self.bundle = write_bundle(
            folder / "bundle",
            scoring={"main.py": self.scorer(), "metadata": COMMAND},
            reference_data={"truth.txt": "t"},
            image=image_of("docker"),
            phases=[
                {"index": 0, "name": "One", "start": "2020-01-01", "end": "2090-01-01", "tasks": [0]}
                | {"has_max_submissions": True, "max_submissions": ALLOWED, "max_submissions_per_day": ALLOWED},
                {"index": 1, "name": "Two", "start": "2090-01-01", "tasks": [0], "auto_migrate_to_this_phase": True},
            ],
        )
        self.pids: set[int] = set()
        self.allowed = ALLOWED

    def scorer(self) -> str:
        return SCORES.replace("COUNTS", str(self.counts))

    def scoring_program(self, note: str) -> Path:
        """Another scoring program with each note."""
        files = {"main.py": textwrap.dedent(self.scorer()) + f"# {note}\n", "metadata": COMMAND}
        return write_files(self.folder / "scorers" / note, files)

    def submission(self, word: str) -> Path:
        """Code that predicts a word."""
        program = {"main.py": PREDICTS.format(word), "metadata": COMMAND}
        return write_files(self.folder / "submissions" / word, program)

    def workspace(self, **options: Any) -> cb.Workspace:
        """The workspace, opened."""
        place: Any = engine_of("docker") if self.engine == "docker" else self.engine
        return cb.Workspace(self.storage, db=self.db, backend=place, jobs=2, **options)

    # ------------------------------------------------------------------ what was promised
    def acknowledge(self, what: str, id: str, **more: Any) -> None:
        """Write down, for good, that a caller was told of something."""
        with open(self.acks, "ab", buffering=0) as file:
            file.write(json.dumps({"what": what, "id": id, **more}).encode() + b"\n")
            os.fsync(file.fileno())

    def acknowledged(self, what: str) -> list[dict[str, Any]]:
        """What callers were told; a line that was cut off was told to nobody."""
        lines = self.acks.read_bytes().split(b"\n")[:-1] if self.acks.exists() else []
        return [found for found in map(json.loads, lines) if found["what"] == what]

    # ------------------------------------------------------------------ processes
    def start(self, work: Callable[[], Any], answer: Path | None = None) -> int:
        """Do something in a process of its own; its id."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self.pids.add(pid)
            return pid
        code = 1
        try:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            tempfile.tempdir = str(self.scratch)
            hurry()
            value = work()
            if answer is not None:
                answer.write_text(json.dumps(value))
            code = 0
        except BaseException:  # noqa: BLE001 - the outermost frame of a process
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def carry_out(self, work: Callable[[], Any], timeout: float = 90.0) -> Ended:
        """Do something in a process of its own, and wait for its end; one that hangs is killed."""
        answer = self.folder / f"answer-{uuid.uuid4().hex}"
        began = self.log.stat().st_size if self.log.exists() else 0
        pid = self.start(work, answer)
        status = waited(pid, timeout)
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        value = json.loads(answer.read_text()) if answer.exists() else None
        answer.unlink(missing_ok=True)
        with open(self.log, "rb") as log:
            log.seek(began)
            said = log.read().decode(errors="replace")
        killed = status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        return Ended(killed, status == 0, value, "it did not end" if status is None else said)


def hurry() -> None:
    """Shorten what processes wait for, not what they wait for: for a process that ends before long."""
    endings._BACK_OFF = 0.05
    dispatcher.SWEEP_SECONDS = dispatcher.LINGER_SECONDS = 0.1


class Ended(NamedTuple):
    """What became of a process: killed, ended well, what it returned, what it said."""

    killed: bool
    well: bool
    value: Any
    said: str


def waited(pid: int, timeout: float) -> int | None:
    """The status of a child that ends in time, else None."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.005)
    return None


@contextlib.contextmanager
def schemas(server: str) -> Iterator[Callable[[], str]]:
    """Makes databases that are schemas of PostgreSQL; they are gone in the end."""
    made: list[str] = []

    def on(statement: str) -> None:
        engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def make() -> str:
        made.append(f"kills_{uuid.uuid4().hex}")
        on(f"CREATE SCHEMA {made[-1]}")
        return f"{server}?options=-csearch_path%3D{made[-1]}"

    try:
        yield make
    finally:
        for name in made:
            on(f"DROP SCHEMA {name} CASCADE")
