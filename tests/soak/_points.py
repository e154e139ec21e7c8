"""Points at which a process can be killed, derived from what it calls, and proof that no call is without one.

`install` wraps every public method of storage, database and engine classes in this process: each call passes a point
before it begins and one after it ended, each commit one before and one after. Audit hooks of Python see what the
process asks of the system (files made, renamed and removed, programs started, requests sent), SQLAlchemy tells of every
commit: whatever of that happens outside of all wrapped calls is written down as uncovered.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.engine.default import DefaultDialect

from codabench.backends import docker, dockerapi, hosted, process
from codabench.db.database import Database
from codabench.storage import cache, localdisk, objects, store

STORAGE = (store.Storage, objects.Objects, localdisk.LocalObjects, cache.Cache, cache.Held)
ENGINES = (
    process.ProcessEngine,
    process.ProcessContainer,
    docker.DockerEngine,
    hosted.HostedEngine,
    hosted.HostedContainer,
    dockerapi.DockerDriver,
)
KINDS: dict[str, tuple[type, ...]] = {"storage": STORAGE, "database": Database.__mro__[:-1], "engine": ENGINES}
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.utime", "os.truncate")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Points:
    """What was passed, and what was called without a point around it.

    Attributes
    ----------
    seen
        How often each point was passed.
    uncovered
        What happened outside of every wrapped call.
    """

    def __init__(self, root: Path, fatal: tuple[str, int] | None = None) -> None:
        self.root, self.fatal = f"{root}/", fatal
        self.seen: Counter[str] = Counter()
        self.uncovered: Counter[str] = Counter()
        self._lock, self._here = threading.Lock(), threading.local()

    def passed(self, name: str) -> None:
        """A point; the fatal one is the last thing that this process does."""
        with self._lock:
            self.seen[name] += 1
            if self.fatal == (name, self.seen[name]):
                os.kill(os.getpid(), signal.SIGKILL)

    @property
    def stack(self) -> list[tuple[str, str]]:
        """(kind, name) of the wrapped calls that this thread is in."""
        if not hasattr(self._here, "stack"):
            self._here.stack = []
        found: list[tuple[str, str]] = self._here.stack
        return found

    def within(self, kind: str) -> str | None:
        """The innermost wrapped call of a kind that this thread is in."""
        return next((name for each, name in reversed(self.stack) if each == kind), None)

    @contextlib.contextmanager
    def inside(self, kind: str, name: str) -> Iterator[None]:
        self.stack.append((kind, name))
        try:
            yield
        finally:
            self.stack.pop()

    def needs(self, kind: str, what: str) -> None:
        """Something happened that belongs into a call of that kind."""
        if self.within(kind) is None:
            self.uncovered[f"{kind}: {what}"] += 1

    # ------------------------------------------------------------------ what the system and SQLAlchemy tell
    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            self.needs("engine", f"{arguments[1][:1]} was started")
        elif event == "http.client.send":
            self.needs("engine", "a request was sent")
        elif event in _CHANGES or (event == "open" and arguments[2] & _WRITES):
            made = arguments[event in ("os.link", "os.symlink")]
            path = os.fsdecode(made) if isinstance(made, str | bytes | os.PathLike) else ""
            if path.startswith(self.root):
                self.needs("storage", f"{event} in {path.removeprefix(self.root).partition('/')[0]}")

    def commit(self, dialect: Any, original: Callable[[Any, Any], None], connection: Any) -> None:
        name = self.within("database")
        if self._here.__dict__.pop("reads", True):
            original(dialect, connection)
            return
        self.needs("database", "a commit")
        self.passed(f"{name}: before its commit")
        original(dialect, connection)
        self.passed(f"{name}: after its commit")

    def committing(self, connection: sqlalchemy.Connection) -> None:
        self._here.reads = bool(connection.get_execution_options().get("codabench_reads"))


def install(points: Points, kinds: dict[str, tuple[type, ...]] = KINDS) -> None:
    """Wrap this process: for a child that ends with it."""
    for kind, classes in kinds.items():
        for owner in classes:
            for name, value in list(vars(owner).items()):
                public = not name.startswith("_") or (name == "__init__" and kind == "database")
                if public and inspect.isfunction(value):
                    setattr(owner, name, _wrapped(points, kind, f"{owner.__name__}.{name}", value))
    original = DefaultDialect.do_commit
    DefaultDialect.do_commit = lambda self, connection: points.commit(self, original, connection)  # type: ignore[method-assign,assignment]
    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", points.committing)
    sys.addaudithook(points.audit)


def _wrapped(points: Points, kind: str, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        points.passed(f"{name}: before")
        with points.inside(kind, name):
            found = function(*arguments, **named)
        points.passed(f"{name}: after")
        return _Entered(points, kind, name, found) if hasattr(found, "gen") and hasattr(found, "__enter__") else found

    return call


class _Entered:
    """A context manager whose begin and end are calls, too."""

    def __init__(self, points: Points, kind: str, name: str, manager: Any) -> None:
        self._points, self._kind, self._name, self._manager = points, kind, name, manager

    def __enter__(self) -> Any:
        with self._points.inside(self._kind, self._name):
            found = self._manager.__enter__()
        self._points.passed(f"{self._name}: entered")
        return found

    def __exit__(self, *exc: Any) -> Any:
        self._points.passed(f"{self._name}: leaving")
        with self._points.inside(self._kind, self._name):
            return self._manager.__exit__(*exc)
