"""What a run reports while it goes on: one small class for each kind of live event.

Live events may be shortened where a program floods its output, and they never change a status. Their sequence numbers
count from 1 within a run, so that a reader can go on where it stopped.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from codabench.core.base import Record
from codabench.core.records import Role, Status, StepName
from codabench.core.trees import BlobRef


class LiveEvent(Record):
    """What all live events have.

    Attributes
    ----------
    sequence
        Place in the history of the run, from 1.
    at
        When the workspace heard of it, in UTC.
    attempt
        The attempt that reported it; None for what the workspace itself says.
    """

    sequence: int
    at: datetime
    run: str
    attempt: str | None = None


class StatusChanged(LiveEvent):
    """The run has another status."""

    type: Literal["status"] = "status"
    status: Status


class StepChanged(LiveEvent):
    """A step began or ended; `event` is a word of `codabench.core.events.EventKind`, `data` what it carries."""

    type: Literal["step"] = "step"
    event: str
    data: dict[str, Any] = {}


class LogWritten(LiveEvent):
    """A program printed something.

    Attributes
    ----------
    name
        Of the log: ``scoring_stdout``.
    offset
        Of the first of these bytes in the whole stream.
    missing
        Bytes before `offset` that this reader does not get, because only the beginning and the end are kept.
    """

    type: Literal["log"] = "log"
    name: str
    offset: int
    data: bytes
    missing: int = 0

    @property
    def text(self) -> str:
        """The bytes as text; what is no UTF-8 is replaced."""
        return self.data.decode("utf-8", "replace")


class PullProgressed(LiveEvent):
    """The image is on its way; `current` of `total` bytes of all its layers, as far as they are known."""

    type: Literal["pull"] = "pull"
    image: str
    status: str = ""
    layer: str | None = None
    current: int | None = None
    total: int | None = None
    progress: str | None = None


class UsageSampled(LiveEvent):
    """What a program uses: CPU seconds so far, bytes of memory now."""

    type: Literal["usage"] = "usage"
    step: StepName
    role: Role
    cpu_seconds: float
    memory: int


class PagePublished(LiveEvent):
    """The page of detailed results changed while the scoring program runs."""

    type: Literal["page"] = "page"
    name: str
    blob: BlobRef


class PlotLogged(LiveEvent):
    """A program printed a line ``{"type": "plot", ...}``; `data` is that object."""

    type: Literal["plot"] = "plot"
    name: str
    data: dict[str, Any]


class MessageLogged(LiveEvent):
    """A program printed a line ``{"type": "message", ...}``; `data` is that object."""

    type: Literal["message"] = "message"
    name: str
    data: dict[str, Any]

    @property
    def text(self) -> str:
        """What it says."""
        return str(self.data.get("text") or self.data.get("message") or "")


AnyEvent = (
    StatusChanged
    | StepChanged
    | LogWritten
    | PullProgressed
    | UsageSampled
    | PagePublished
    | PlotLogged
    | MessageLogged
)

_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])


def live_event(data: dict[str, Any]) -> AnyEvent:
    """An event from plain data.

    Raises
    ------
    pydantic.ValidationError
        If it is none.
    """
    return _ADAPTER.validate_python(data)
