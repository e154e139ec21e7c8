"""What submissions report while they go on, for those who watch (platform.md P15, P16, O82)."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from codabench.core.live import (
    AnyEvent,
    LogWritten,
    MessageLogged,
    PagePublished,
    PlotLogged,
    PullProgressed,
    StatusChanged,
    StepChanged,
    UsageSampled,
)
from codabench.core.records import Run, Status
from codabench.site.finding import FoundSubmission, child_key, status_of
from codabench.site.numbers import Kind

if TYPE_CHECKING:
    from codabench.site.site import Site

PAUSE, LONGEST = 0.1, 0.5
"""Seconds between two looks at what goes on: more of them where nothing comes for long."""

_KINDS = {"page": "detailed_result"}

Told = tuple[str, str, dict[str, Any]]
"""An id to go on after, what kind it is, and what it says."""


def watch(site: Site, found: FoundSubmission, after: str | None) -> Iterator[Told | None]:
    """What a submission reports; see `Submissions.live`."""
    watched, pause = _Watched(site, found, after), PAUSE
    while True:
        fresh = list(watched.fresh())
        yield from fresh
        if watched.over:
            return
        if fresh:
            pause = PAUSE
        else:
            yield None
            pause = min(pause * 1.2, LONGEST)
        time.sleep(pause)


class _Watched:
    """The runs that somebody watches. The id of an event says how far each of them was told: ``12.7``."""

    def __init__(self, site: Site, found: FoundSubmission, after: str | None) -> None:
        runs = found.asked
        self._at = _places(after, len(runs))
        self._readers = [site.workspace.listen(run.id, after=at) for run, at in zip(runs, self._at, strict=True)]
        self._numbers = _numbers(site, found, runs)
        self._whole = found.number if found.is_parent else None
        # Who goes on somewhere is not told again how the runs stood there.
        self._statuses = [run.status if at else Status.SUBMITTING for run, at in zip(runs, self._at, strict=True)]
        self._said: Status | None = None
        self._texts: dict[tuple[int, str | None, str], codecs.IncrementalDecoder] = {}

    @property
    def over(self) -> bool:
        return all(reader.over for reader in self._readers)

    @property
    def _id(self) -> str:
        return ".".join(map(str, self._at))

    def fresh(self) -> Iterator[Told]:
        for n, reader in enumerate(self._readers):
            if reader.over:
                continue
            for event in reader.fresh():
                if isinstance(event, StatusChanged):
                    # Before the event that it follows from: who is cut off between hears both again.
                    yield from self._of_whole(n, event, self._id)
                self._at[n] = event.sequence
                about = {"submission": self._numbers[n], "at": event.at.isoformat()}
                yield self._id, _KINDS.get(event.type, event.type), {**about, **self._data(n, event)}

    def _of_whole(self, n: int, event: StatusChanged, id: str) -> Iterator[Told]:
        """A submission on several tasks has a status of its own."""
        self._statuses[n] = event.status
        status = status_of(self._statuses)
        if self._whole is not None and status is not self._said:
            self._said = status
            yield id, "status", {"submission": self._whole, "at": event.at.isoformat(), "status": status.value}

    def _data(self, n: int, event: AnyEvent) -> dict[str, Any]:
        match event:
            case StatusChanged():
                return {"status": event.status.value}
            case LogWritten():
                text = self._text(n, event)
                return {"name": event.name, "offset": event.offset, "missing": event.missing, "text": text}
            case StepChanged():
                return {"event": event.event}
            case PullProgressed():
                return {"image": event.image, "status": event.status, "current": event.current, "total": event.total}
            case UsageSampled():
                return event.model_dump(include={"step", "role", "cpu_seconds", "memory"})
            case PlotLogged():
                return {"name": event.name, "data": event.data}
            case MessageLogged():
                return {"name": event.name, "text": event.text}
            case PagePublished():
                return {}

    def _text(self, n: int, event: LogWritten) -> str:
        """Characters may be cut in two: what is not whole yet comes with the next piece."""
        key = (n, event.attempt, event.name)
        if key not in self._texts or event.missing:
            self._texts[key] = codecs.getincrementaldecoder("utf-8")("replace")
        return self._texts[key].decode(event.data)


def _places(after: str | None, runs: int) -> list[int]:
    """How far each run was told; what is no id begins at the beginning."""
    said = (after or "").split(".")
    if len(said) != runs or not all(word.isascii() and word.isdigit() and len(word) < 16 for word in said):
        return [0] * runs
    return [int(word) for word in said]


def _numbers(site: Site, found: FoundSubmission, runs: tuple[Run, ...]) -> list[int]:
    """Of the runs that are watched: those of children, or its own."""
    if not found.is_parent:
        return [found.number]
    keys = [child_key(found.id, run.position) for run in runs]
    numbers = site.numbers.many(Kind.SUBMISSION, keys)
    return [numbers[key] for key in keys]
