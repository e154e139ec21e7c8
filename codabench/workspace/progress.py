"""Progress of runs while one waits: a table in a terminal, one display in a notebook, lines in a log, or none."""

from __future__ import annotations

import base64
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from codabench.core import markup
from codabench.core.errors import UsageError
from codabench.core.records import Status
from codabench.core.text import printable

if TYPE_CHECKING:
    from codabench.workspace.handles import RunHandle, SubmissionHandle
    from codabench.workspace.workspace import Workspace

_PULLING = "pulling the image"
_LISTED = 40
"""Runs that a notebook lists one by one."""
_MARKS = {
    Status.FINISHED: "✓",
    Status.FAILED: "✗",
    Status.CANCELLED: "✗",
    Status.SUBMITTED: "○",
    Status.SUBMITTING: "○",
}


class Progress(Protocol):
    """Shows how runs get on."""

    def added(self, handle: SubmissionHandle) -> None:
        """A submission was admitted."""

    def event(self, event: dict[str, Any]) -> None:
        """Something happened; called from any thread."""

    def close(self) -> None:
        """The last look."""


class Line:
    """What is known of one run."""

    def __init__(self, label: str) -> None:
        self.label, self.status, self.said = label, Status.SUBMITTED, ""
        self.began: float | None = None
        self.seconds = 0.0

    def update(self, event: dict[str, Any]) -> bool:
        """Take an event in; True if the status changed, or a pull began."""
        if event["type"] == "log":
            lines = base64.b64decode(event["data"]).decode("utf-8", "replace").rstrip().splitlines()
            self.said = printable(lines[-1])[:80] if lines else self.said
        elif event["type"] == "pull":
            changed = not self.said.startswith(_PULLING)
            self.said = f"{_PULLING} {event.get('progress', '')}".strip()
            return changed
        elif event["type"] == "status":
            if self.began is None:
                self.began = time.monotonic()
            self.seconds = time.monotonic() - self.began
            changed = self.status is not event["status"]
            self.status, self.said = event["status"], "" if event["status"].is_final else self.said
            return changed
        return False

    def cells(self) -> tuple[str, str, str, str]:
        """Mark, label, status, time and last words."""
        seconds = self.seconds if self.status.is_final or self.began is None else time.monotonic() - self.began
        clock = f"{seconds:.1f} s" if self.began is not None else ""
        return _MARKS.get(self.status, "●"), self.label, self.status.value, f"{clock}  {self.said}".strip()


class Lines:
    """What is known of all runs; every way of showing starts here."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.lock = threading.RLock()

    def added(self, handle: SubmissionHandle) -> None:
        with self.lock:
            for task, run in zip(handle.tasks, handle.runs, strict=True):
                label = printable(handle.name) + (f" · {printable(task.name)}" if len(handle.runs) > 1 else "")
                line = self.lines.setdefault(run.id, Line(label))
                line.label = label
        self.changed(None)

    def event(self, event: dict[str, Any]) -> None:
        with self.lock:
            line = self.lines.setdefault(event["run"], Line("")) if "run" in event else None
            if line is not None and line.update(event):
                self.changed(line)

    def changed(self, line: Line | None) -> None:
        """A status changed."""

    def close(self) -> None:
        """Nothing to do here."""


class PlainProgress(Lines):
    """A line for each change, for logs and CI."""

    def changed(self, line: Line | None) -> None:
        if line is not None and line.label:
            mark, label, status, rest = line.cells()
            _tell(f"{mark} {label}  {status}  {rest}".rstrip())


def _tell(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - this is the display


class FollowProgress(PlainProgress):
    """The lines of the programs as they come, and on standard error a line for each change.

    Parameters
    ----------
    say
        What is called with each line of a program.
    only
        The name of a log, to hear nothing of others.
    """

    def __init__(self, say: Callable[[str], None] = _tell, *, only: str | None = None) -> None:
        super().__init__()
        self._out, self._only = say, only
        self._begun: dict[tuple[str, str], str] = {}

    def event(self, event: dict[str, Any]) -> None:
        if event["type"] == "log" and self._only in (None, event["name"]):
            self._say(event["run"], event["name"], base64.b64decode(event["data"]).decode("utf-8", "replace"))
        elif event["type"] == "status" and event["status"].is_final:
            for run, name in [key for key in self._begun if key[0] == event["run"]]:
                self._say(run, name, "\n")  # the last line may have no end
        super().event(event)

    def _say(self, run: str, name: str, text: str) -> None:
        with self.lock:
            *lines, rest = (self._begun.pop((run, name), "") + text).split("\n")
            if rest:
                self._begun[run, name] = rest
            label = self.lines[run].label if run in self.lines and len(self.lines) > 1 else ""
            for line in lines:
                self._out(f"{label} {name} | {printable(line)}".lstrip() if self._only is None else printable(line))


class RichProgress(Lines):
    """A table that is redrawn in a terminal."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(stderr=True), refresh_per_second=8, get_renderable=self._table, transient=False
        )
        self._live.start()

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        colours = {"✓": "green", "✗": "red", "●": "cyan", "○": "dim"}
        with self.lock:
            unfinished = [line for line in self.lines.values() if not line.status.is_final]
            shown = list(self.lines.values()) if len(self.lines) <= 20 else unfinished[:20]
            for line in shown:
                mark, label, status, rest = line.cells()
                table.add_row(Text(mark, style=colours[mark]), Text(label), Text(status), Text(rest, style="dim"))
            if len(self.lines) > 20:
                table.add_row("", f"{len(self.lines) - len(unfinished)} of {len(self.lines)} done", "", "")
        return table

    def close(self) -> None:
        self._live.stop()


class NotebookProgress(Lines):
    """One display handle, updated at each change and about once a second while programs speak.

    A saved notebook ends with the last state.
    """

    def __init__(self) -> None:
        super().__init__()
        from IPython import display

        self._updated = time.monotonic()
        show: Any = display.display
        self._handle: Any = show(self._bundle(), raw=True, display_id=True)

    def _bundle(self) -> dict[str, str]:
        with self.lock:
            lines = list(self.lines.values())
        shown, counts = lines, ""
        if len(lines) > _LISTED:
            done = sum(line.status.is_final for line in lines)
            # Those that finished are the ones of which there is nothing to say.
            shown = [line for line in lines if line.status is not Status.FINISHED][:_LISTED]
            counts = f"{done} of {len(lines)} done"
        cells = [line.cells() for line in shown]
        text = "\n".join([*("  ".join(row).rstrip() for row in cells), *([counts] if counts else [])])
        rows = "".join("<tr>" + "".join(map(markup.cell, row)) + "</tr>" for row in cells)
        page = markup.block("progress", f"<table><tbody>{rows}</tbody></table>", markup.note(counts) if counts else "")
        return {"text/plain": text, "text/html": page}

    def event(self, event: dict[str, Any]) -> None:
        super().event(event)
        if time.monotonic() - self._updated > 1:
            self.changed(None)

    def changed(self, line: Line | None) -> None:
        if self._handle is not None:
            self._updated = time.monotonic()
            self._handle.update(self._bundle(), raw=True)

    def close(self) -> None:
        self.changed(None)


def progress_named(name: str | Progress) -> Progress:
    """``"rich"``, ``"plain"``, ``"follow"``, ``"none"``; ``"auto"``: what fits where this runs."""
    if not isinstance(name, str):
        return name
    if name == "auto":
        if in_notebook():
            return NotebookProgress()
        name = "rich" if sys.stderr.isatty() else "none"
    shown = {"rich": RichProgress, "plain": PlainProgress, "follow": FollowProgress, "none": Lines}
    if name not in shown:
        raise UsageError(f"no progress {name!r}; there are auto, {', '.join(shown)}", code="CB353")
    return shown[name]()


def in_notebook() -> bool:
    """Whether a notebook shows what is displayed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


def watch(run: RunHandle, progress: str | Progress) -> None:
    """Show one run until it is over."""
    shown = progress_named(progress)
    if isinstance(shown, Lines):
        shown.lines[run.id] = Line("run")
    try:
        for event in run.events():
            data = event.model_dump()
            if event.type == "log":
                data["data"] = base64.b64encode(event.data).decode()
            shown.event(data)
    finally:
        shown.close()


@contextmanager
def follow(workspace: Workspace, progress: str | Progress) -> Iterator[Progress]:
    """Show progress of what is submitted in this block."""
    shown = progress_named(progress)
    stop = workspace.observe(shown.event)
    try:
        yield shown
    finally:
        stop()
        shown.close()
