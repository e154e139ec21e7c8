"""What crosses the wire between a client and its workers: JSON, and nothing that anybody unpickles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from codabench.core import errors
from codabench.core.base import Record

PART = 512 * 1024
"""Characters of JSON in one message; a result may be larger."""

CARD = "codabench"
"""Where a worker says what it is, among what its scheduler tells of it."""

STOP = "codabench_stop"
"""The operation by which a worker is told to stop a piece of work."""


class Order(Record):
    """What a worker is asked to do.

    Attributes
    ----------
    key
        Names the work.
    topic
        Where it reports to.
    engine
        The word of a container engine; None: the worker's own.
    """

    key: str
    topic: str
    function: str
    payload: dict[str, Any]
    engine: str | None = None


class Message(Record):
    """What a worker reports.

    Attributes
    ----------
    kind
        ``events`` and ``output`` are lists of live events; a client that falls behind may leave ``output`` out.
    execution
        Names one execution of the work: a scheduler that lost a worker has the work done once more, unasked.
    number
        Counts the messages of an execution: what is heard twice counts once.
    text
        JSON: a list of events, a result or an error; of the last two perhaps only a part.
    last
        The text is complete with this part.
    worker
        The address of the worker; the scheduler writes it.
    """

    key: str
    execution: str
    kind: Literal["began", "events", "output", "result", "error"]
    number: int = 0
    text: str = ""
    last: bool = True
    worker: str = ""


def parts(value: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """A result or an error as texts for messages, and whether each is the last."""
    text = json.dumps(value)
    for start in range(0, len(text), PART):
        yield text[start : start + PART], start + PART >= len(text)


def error_record(error: BaseException) -> dict[str, Any]:
    """An error as JSON."""
    if isinstance(error, errors.CodabenchError):
        return {"type": type(error).__name__, "message": error.message, "code": error.code, "hint": error.hint}
    return {"type": "EngineError", "message": f"{type(error).__name__}: {error}", "code": "CB699", "hint": None}


def error_of(record: dict[str, Any]) -> errors.CodabenchError:
    """The error that a record tells of; of a kind that this version does not know, an `EngineError`."""
    kind = getattr(errors, str(record.get("type")), None)
    known = isinstance(kind, type) and issubclass(kind, errors.CodabenchError)
    made: errors.CodabenchError = (kind if known else errors.EngineError)(  # type: ignore[misc]
        str(record.get("message")), code=record.get("code"), hint=record.get("hint")
    )
    return made
