"""What must be true of runs whose cluster was disturbed, beside what `_oracle` says of every workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from codabench.core.records import Attempt, Run, Status
from codabench.workspace.dispatcher import LEASE_SECONDS

LATEST = timedelta(seconds=LEASE_SECONDS + 10)
"""After a disturbance ends, what it has hit is over."""


class Stage(NamedTuple):
    """Runs that were disturbed together.

    Attributes
    ----------
    attempts
        Of these runs.
    started
        The containers that the engine has started: the attempt, once for each.
    ended
        When the disturbance was over.
    in_flight
        How many runs were in the hands of a client when it was killed; None: none was.
    """

    runs: Mapping[str, Run]
    attempts: Sequence[Attempt]
    started: Sequence[str]
    ended: datetime
    in_flight: int | None = None

    def slowest(self) -> float:
        """Seconds from the end of the disturbance to that of the last run that it may have hit."""
        ends = [each.finished_at for each in self._hit() if each.finished_at is not None]
        return max([0.0, *((end - self.ended).total_seconds() for end in ends)])

    def _hit(self) -> list[Run]:
        begun = {each.run for each in self.attempts if each.started_at <= self.ended}
        return [run for id, run in self.runs.items() if id in begun]

    def findings(self) -> Iterator[tuple[str, str]]:
        """Everything that is not as it must be: (kind, sentence)."""
        for id, run in self.runs.items():
            if not run.status.is_final:
                yield "lost", f"run {id} is {run.status}: nobody carried it to its end"
        for run in self._hit():
            if run.finished_at is not None and run.finished_at > self.ended + LATEST:
                late = (run.finished_at - self.ended).total_seconds()
                yield "late", f"run {run.id} was over {late:.1f} s after the disturbance"
        yield from self._containers()

    def _containers(self) -> Iterator[tuple[str, str]]:
        many = Counter(self.started)
        for attempt, count in many.items():
            if count > 1:
                yield "double", f"attempt {attempt} started {count} containers"
        for id, run in self.runs.items():
            if run.status is Status.FINISHED and not many[run.attempt or ""]:
                yield "illegal", f"run {id} has finished, and the engine started no container for its attempt"
        for unknown in sorted(set(many) - {each.id for each in self.attempts}):
            yield "illegal", f"the engine started a container for attempt {unknown}, of which no row tells"
        most = len(self.runs) + (self.in_flight or 0)
        if self.in_flight is not None and len(self.started) > most:
            yield "double", f"{len(self.started)} containers for {len(self.runs)} runs and {self.in_flight} in flight"
