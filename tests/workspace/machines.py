"""Backends that carry out nothing: what comes of a run is known before."""

from __future__ import annotations

from typing import Any

from codabench.backends.backend import BackendInfo, Needs, Work
from codabench.backends.handle import WorkHandle
from codabench.core.errors import CodabenchError

RESULT = {"status": "Finished", "scores": {"score": 7.0}}
STEPS = ("PredictionStarted", "PredictionFinished", "ScoringStarted", "ScoringFinished", "ScoresParsed")


class AtOnce:
    """A backend that knows the outcome of everything."""

    def __init__(self, slots: int = 4, **outcome: Any) -> None:
        self.slots, self.outcome, self.taken = slots, {**RESULT, **outcome}, 0

    def submit(
        self, work: Work, *, key: str, needs: Needs | None = None, on_event: Any = None, on_done: Any = None
    ) -> WorkHandle:
        self.taken += 1
        handle = WorkHandle(key, on_event, lambda: on_done(handle))
        handle.begin()
        handle.finish(self.outcome)
        return handle

    def info(self) -> BackendInfo:
        return BackendInfo(name="at once", slots=self.slots, engine="none")

    def close(self) -> None:
        """Nothing to close."""


class Losing(AtOnce):
    """A backend on which the first attempts end in an error of the machine."""

    def __init__(self, *errors: CodabenchError) -> None:
        super().__init__()
        self.errors = list(errors)

    def submit(
        self, work: Work, *, key: str, needs: Needs | None = None, on_event: Any = None, on_done: Any = None
    ) -> WorkHandle:
        if not self.errors:
            return super().submit(work, key=key, on_event=on_event, on_done=on_done)
        self.taken += 1
        handle = WorkHandle(key, on_event, lambda: on_done(handle))
        handle.fail(self.errors.pop())
        return handle


class Telling(AtOnce):
    """A backend whose runs say everything at once."""

    def submit(
        self, work: Work, *, key: str, needs: Needs | None = None, on_event: Any = None, on_done: Any = None
    ) -> WorkHandle:
        for step in ("preparing", *STEPS):
            on_event({"type": "step", "event": step, "of": key})
        return super().submit(work, key=key, on_event=on_event, on_done=on_done)
