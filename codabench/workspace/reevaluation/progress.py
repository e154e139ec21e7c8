"""How a batch gets on while one waits: a line that is rewritten, a line now and then, a display, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple, Protocol

from codabench.core.errors import UsageError
from codabench.core.records import Status
from codabench.core.text import preformatted
from codabench.workspace.progress import in_notebook

_EVERY = 10.0
"""Seconds between two plain lines."""
_WIDTH = 24


class Standing(NamedTuple):
    """Where a batch stands.

    Attributes
    ----------
    total
        Runs that it does again.
    retries
        Runs that were tried once more, in this process.
    eta
        Seconds to its end at the speed so far; None before anything finished here.
    """

    batch: str
    total: int
    counts: dict[Status, int]
    retries: int = 0
    eta: float | None = None

    @property
    def finished(self) -> int:
        return self.counts.get(Status.FINISHED, 0)

    @property
    def failed(self) -> int:
        return self.counts.get(Status.FAILED, 0)

    @property
    def waiting(self) -> int:
        """Queued, and nobody has begun it."""
        return self.counts.get(Status.SUBMITTED, 0)

    @property
    def under_way(self) -> int:
        return sum(self.counts.get(status, 0) for status in (Status.PREPARING, Status.RUNNING, Status.SCORING))

    @property
    def open(self) -> int:
        """What is not over, queued or not."""
        return self.total - sum(count for status, count in self.counts.items() if status.is_final)

    @property
    def left(self) -> int:
        """What is still to be carried out: also what was cancelled, if somebody continues."""
        return self.total - self.finished - self.failed

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        cancelled = self.counts.get(Status.CANCELLED, 0)
        counts = {"finished": self.finished, "failed": self.failed, "cancelled": cancelled, "left": self.left}
        return {"batch": self.batch, "total": self.total, **counts}

    def __str__(self) -> str:
        done = self.total - self.left
        filled = round(_WIDTH * done / self.total) if self.total else _WIDTH
        words = [f"ok {self.finished}", *([f"failed {self.failed}"] if self.failed else [])]
        words += [f"cancelled {cut}"] if (cut := self.counts.get(Status.CANCELLED, 0)) else []
        words += [f"retries {self.retries}"] if self.retries else []
        eta = f"   eta {clock(self.eta)}" if self.eta is not None and self.left else ""
        bar = "█" * filled + "·" * (_WIDTH - filled)
        words.append(f"{self.under_way} running")
        return f"batch {self.batch[:8]}  {bar}  {done}/{self.total}  {' · '.join(words)}{eta}"


class Pace:
    """How fast a batch gets on in this process, to say when it will be over."""

    def __init__(self, left: int) -> None:
        self._began, self._left = time.monotonic(), left

    def eta(self, left: int) -> float | None:
        """Seconds for what is left."""
        done, spent = self._left - left, time.monotonic() - self._began
        return spent / done * left if done > 0 else None


class BatchProgress(Protocol):
    """Shows how a batch gets on."""

    def update(self, standing: Standing) -> None:
        """It may have changed."""

    def tell(self, text: str) -> None:
        """Something that has to be said at once."""

    def close(self) -> None:
        """The last look."""


class Quiet:
    """Says what has to be said, and shows nothing."""

    def __init__(self) -> None:
        self._last: Standing | None = None

    def update(self, standing: Standing) -> None:
        changed, self._last = standing != self._last, standing
        if changed:
            self.show(standing)

    def show(self, standing: Standing) -> None:
        """It has changed."""

    def tell(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the display

    def close(self) -> None:
        """Nothing to do here."""


class Plain(Quiet):
    """A line every ten seconds, and one at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._said: Standing | None = None
        self._said_at = time.monotonic()

    def show(self, standing: Standing) -> None:
        if time.monotonic() - self._said_at >= _EVERY:
            self._say(standing)

    def close(self) -> None:
        if self._last is not None and self._last != self._said:
            self._say(self._last)

    def _say(self, standing: Standing) -> None:
        self._said_at, self._said = time.monotonic(), standing
        self.tell(str(standing))


class Rewritten(Quiet):
    """One line of a terminal."""

    def show(self, standing: Standing) -> None:
        sys.stderr.write(f"\r\x1b[2K{standing}")
        sys.stderr.flush()

    def tell(self, text: str) -> None:
        sys.stderr.write("\r\x1b[2K")
        super().tell(text)
        if self._last is not None:
            self.show(self._last)

    def close(self) -> None:
        if self._last is not None:
            sys.stderr.write("\n")
            sys.stderr.flush()


class Display(Quiet):
    """One display of a notebook; a saved notebook ends with the last state."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None
        self._text = ""

    def show(self, standing: Standing) -> None:
        self._put(str(standing))

    def tell(self, text: str) -> None:
        self._put(f"{self._last}\n{text}" if self._last else text)

    def _put(self, text: str) -> None:
        from IPython import display

        bundle = {"text/plain": text, "text/html": preformatted(text, "cb-progress")}
        if self._handle is None:
            show: Any = display.display
            self._handle = show(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def progress_called(name: str | BatchProgress) -> BatchProgress:
    """``"rich"``, ``"plain"``, ``"none"``; ``"auto"``: what fits where this runs."""
    if not isinstance(name, str):
        return name
    if name == "auto":
        name = "notebook" if in_notebook() else "rich" if sys.stderr.isatty() else "plain"
    shown = {"rich": Rewritten, "plain": Plain, "notebook": Display, "none": Quiet}
    if name not in shown:
        raise UsageError(f"no progress {name!r}; there are auto, rich, plain, none", code="CB353")
    return shown[name]()


def clock(seconds: float) -> str:
    """``5:12``, ``1:05:12``."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
