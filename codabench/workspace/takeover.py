"""What processes that are gone have left: their runs go to others, unless they came to a result before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from codabench.core.errors import StateError, StorageError
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Outcome, Run, Status
from codabench.db.database import Database
from codabench.workspace import endings
from codabench.workspace.holding import Clock, is_dead, shown

log = logging.getLogger("codabench.workspace")

_PATIENCE = timedelta(minutes=2)
"""How long a run waits for the only process that can carry it out, on another machine, which is not heard of."""


class Takeover:
    """Looks after runs whose process is gone.

    Parameters
    ----------
    stored
        The outcome that an attempt left in storage, if it did: (run, attempt).
    reap
        Called when a process of this machine has died.
    tell
        Told of every change of status: run, status, when.
    """

    def __init__(
        self,
        db: Database,
        holder: str,
        clock: Clock,
        *,
        stored: Callable[[str, str], dict[str, Any] | None],
        reap: Callable[[], None],
        tell: Callable[[Run, Status, datetime], None],
    ) -> None:
        self._db, self._holder, self._clock = db, holder, clock
        self._stored, self._reap, self._tell = stored, reap, tell

    def look(self, mine: set[str]) -> None:
        """Take over what nobody drives any more, and end what nobody can begin.

        Parameters
        ----------
        mine
            The attempts that this process has in hand.
        """
        now, dead, died = self._clock.now(), dict[str | None, bool](), False
        for run, attempt in self._db.in_flight():
            if attempt.id in mine:
                continue
            if attempt.holder not in dead:
                dead[attempt.holder] = is_dead(attempt.holder)
            # What is ours and not in hand was taken while the answer of the database was lost.
            gone = dead[attempt.holder] or attempt.holder == self._holder
            if gone or attempt.expires_at is None or attempt.expires_at <= now:
                died |= dead[attempt.holder]
                self._take_over(run, attempt, gone=gone)
        if died:
            self._reap()
        for run in self._db.unwanted():
            self.cancel_waiting(run)
        self._end_pinned(dead)

    def _take_over(self, run: Run, attempt: Attempt, *, gone: bool) -> None:
        try:
            result = self._stored(run.id, attempt.id)
        except StorageError as error:
            log.warning("run %s is not taken over yet: %s", run.id, error.message)
            return
        outcome, now = endings.counts(result, run), self._clock.now()
        try:
            if outcome is not None:
                log.info("the result of run %s was there, only not recorded", run.id)
                self._end(run, outcome, attempt)
                return
            lost = endings.losses(self._db.events(run.id), *endings.DEADLY)
            later = now + timedelta(seconds=endings.back_off(lost)) if lost else None
            why = endings.GONE if gone else endings.SILENT
            status = self._db.lose_attempt(
                run.id,
                attempt.id,
                at=now,
                holder=attempt.holder if gone else None,
                not_before=later,
                data={"why": why, "holder": shown(attempt.holder)},
            )
        except StateError:
            return  # somebody was first, or its process has come back
        log.warning("run %s waits again: %s is %s", run.id, shown(attempt.holder), why)
        self._tell(run, status, now)

    def cancel_waiting(self, run: Run) -> None:
        """End a run that somebody wants cancelled and nobody has begun."""
        reason, fault = run.cancel_reason or "cancelled", run.cancel_fault or Fault.OPERATOR
        self._end_waiting(run, endings.cancelled_before(reason, fault))

    def cancel_of_dead(self, run: str) -> None:
        """End a run that somebody wants cancelled, if the process that drives it is dead and cannot."""
        for row, attempt in self._db.in_flight():
            if row.id == run and is_dead(attempt.holder):
                self._take_over(row, attempt, gone=True)
                self._reap()
                if not (left := self._db.run(run)).status.is_final:
                    self.cancel_waiting(left)

    def abandon_pinned(self) -> None:
        """This process ends: what only it could have carried out is over."""
        for run in self._db.pinned():
            if run.pinned == self._holder:
                self._end_waiting(run, endings.process_gone(shown(self._holder)))

    def _end_pinned(self, dead: dict[str | None, bool]) -> None:
        pinned = [run for run in self._db.pinned() if run.pinned != self._holder]
        if not pinned:
            return
        now = self._clock.now()
        present = set(self._db.present(now))
        for run in pinned:
            if run.pinned not in dead:
                dead[run.pinned] = is_dead(run.pinned)
            silent = run.pinned not in present and run.created_at < now - _PATIENCE
            if dead[run.pinned] or silent:
                self._end_waiting(run, endings.process_gone(shown(run.pinned)))

    def _end_waiting(self, run: Run, outcome: Outcome) -> None:
        try:
            self._end(run, outcome)
        except StateError:
            return  # somebody was first

    def _end(self, run: Run, outcome: Outcome, attempt: Attempt | None = None) -> None:
        now = self._clock.now()
        who: dict[str, Any] = {"attempt": attempt.id, "token": attempt.token} if attempt else {}
        kinds = endings.closing_events(run.status, outcome)
        status = self._db.append(run.id, kinds, at=now, outcome=outcome, **who)
        self._tell(run, status, now)
