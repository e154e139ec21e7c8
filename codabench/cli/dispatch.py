"""``codabench dispatch``: a process that carries out what is queued in a workspace."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.options import LOCAL_DATA, given_local_data
from codabench.cli.output import handled, print_json, tell
from codabench.cli.workspaces import DB, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace

_COUNT_SECONDS = 10.0
"""Between two lines that say how many runs wait."""


@handled
def dispatch(
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    backend: str = typer.Option("auto", "--backend", "-b", help="For runs that name none: auto, docker, podman..."),
    jobs: int = typer.Option(None, "--jobs", "-j", help="Runs at the same time; default: as many as there are cores."),
    local_data: list[str] = LOCAL_DATA,
    drain: bool = typer.Option(False, "--drain", help="End when nothing waits any more."),
    as_json: bool = typer.Option(False, "--json", help="At the end print one JSON document: how the runs ended."),
) -> None:
    """Carry out the runs that are queued in a workspace, until stopped.

    Any number of processes and machines may do so at the same time. The first Ctrl-C or SIGTERM lets what is under way
    finish, the second one gives it back to the others at once.

    Exit code 0: ended as asked. 2: usage. 3: the database or the engine fails. 130: stopped at once.
    """
    with opened(workspace, db, backend=backend, jobs=jobs, local_data=given_local_data(local_data)) as ws:
        place = ws.places.get().info()
        shown = Shown(ws, quiet=as_json)
        shown.say(f"carries out the runs of {ws.url}: {place.engine}, {place.slots} at the same time")
        shown.count()
        ws.observe(shown.event)
        with stopped_by_signals(shown) as stop:
            ws.dispatch(drain=drain, stop=stop)
    if as_json:
        print_json({"ok": True, **shown.ends})
    else:
        shown.say(", ".join(f"{number} {word}" for word, number in shown.ends.items()) or "nothing was done")


class Shown:
    """A line on standard error for whatever begins and ends."""

    def __init__(self, workspace: Workspace, *, quiet: bool) -> None:
        self._workspace, self._quiet = workspace, quiet
        self._counted = 0.0
        self.ends: Counter[str] = Counter()

    def say(self, text: str) -> None:
        if not self._quiet:
            tell(f"{datetime.now():%H:%M:%S}  {text}")

    def count(self) -> None:
        """How many wait; now and then."""
        if time.monotonic() - self._counted >= _COUNT_SECONDS:
            self._counted = time.monotonic()
            waiting, under_way = self._workspace.db.counts()
            self.say(f"{waiting} wait, {under_way} under way")

    def event(self, event: dict[str, Any]) -> None:
        """Take an event of the workspace."""
        from codabench.core.records import Status
        from codabench.core.text import printable

        if event["type"] != "status":
            return
        words = {Status.PREPARING: "took", Status.SUBMITTED: "gave back"}
        word = words.get(event["status"], event["status"].value.lower() if event["status"].is_final else None)
        if word is None:
            return
        if word != "took":
            self.ends[word] += 1
        name = printable(self._workspace.db.submission(event["submission"]).name)
        self.say(f"{word:<9}  {name}  {self._came_to(event)}  run {event['run'][:8]}")
        self.count()

    def _came_to(self, event: dict[str, Any]) -> str:
        from codabench.core.text import printable

        outcome = self._workspace.db.run(event["run"]).outcome if event["status"].is_final else None
        if outcome is None:
            return ""
        if outcome.problem is not None:
            return f"{printable(outcome.problem.message)} [{outcome.problem.code}]"
        return "  ".join(f"{printable(key)} {value:g}" for key, value in outcome.scores.items())


@contextmanager
def stopped_by_signals(shown: Shown) -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM; the second one raises `KeyboardInterrupt`."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def first(number: int, frame: Any) -> None:
        for each in before:
            signal.signal(each, signal.default_int_handler)
        stop.set()
        shown.say("what is under way is finished; once more, and it is given back at once")

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, first)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
