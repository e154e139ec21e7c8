"""Submissions: admission, where the limits of a phase are kept, and deletion."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import Connection, and_, exists, func, insert, or_, select, update

from codabench.core.errors import NotFound, StateError
from codabench.core.events import EventKind
from codabench.core.records import UNCOUNTED, BoardChoice, Run, Status, Submission
from codabench.db.connection import Connected
from codabench.db.convert import submission_from, submission_row
from codabench.db.runs import Runs
from codabench.db.tables import CHOICE, RUN, SLOT, SUBMISSION

_UNCOUNTED = or_(*(and_(RUN.c.status == status.value, RUN.c.fault == fault.value) for status, fault in UNCOUNTED))
_FAULTLESS = RUN.c.fault.is_(None)

Admit = Callable[[Sequence[datetime]], None]
"""Raises unless one more submission is admitted, told when those were made that count."""


class _AlreadyThere(Exception):  # noqa: N818 - it ends a transaction, and is no error
    pass


class Used(NamedTuple):
    """What the submissions to a competition name of it, also those that were deleted.

    Attributes
    ----------
    phases
        Place of a phase -> submissions.
    tasks
        Index of a task -> runs.
    """

    phases: dict[int, int]
    tasks: dict[int | str, int]


class Submissions(Runs, Connected):
    """What is kept of submissions."""

    def add_submission(
        self,
        submission: Submission,
        runs: Sequence[Run],
        *,
        kind: EventKind,
        admit: Admit | None = None,
        once: bool = False,
    ) -> Submission:
        """Keep a submission, its runs and their first event; returns it with its number counted.

        Parameters
        ----------
        admit
            Decides whether it is admitted. No other submission of the same participant to the same competition can
            come between what it is told and what is written, whatever thread, process or machine it comes from.
        once
            If there is one of this id, that one is returned, and nothing is added.
        """
        try:
            return self._added(submission, runs, kind, admit, once)
        except _AlreadyThere:
            return self.submission(submission.id)

    def _added(
        self, submission: Submission, runs: Sequence[Run], kind: EventKind, admit: Admit | None, once: bool
    ) -> Submission:
        with self._change() as db:
            # First of all: from here on others who submit for this participant wait.
            number = self._next_number(db, submission.competition, submission.participant)
            if once and db.execute(select(SUBMISSION.c.id).where(SUBMISSION.c.id == submission.id)).first():
                raise _AlreadyThere  # which also takes the number back
            if admit is not None:
                admit(_times(db, submission.competition, submission.phase, submission.participant))
            submission = submission.model_copy(update={"number": number})
            db.execute(insert(SUBMISSION).values(**submission_row(submission)))
            for run in runs:
                self._add_run(db, run, submission, kind)
        return submission

    def _next_number(self, db: Connection, competition: str, participant: str) -> int:
        slot = self._insert(SLOT).values(competition=competition, participant=participant, number=1)
        key = [SLOT.c.competition, SLOT.c.participant]
        counted = slot.on_conflict_do_update(index_elements=key, set_={"number": SLOT.c.number + 1})
        return int(db.execute(counted.returning(SLOT.c.number)).scalar_one())

    def submission_times(self, competition: str, phase: int, participant: str) -> list[datetime]:
        """When a participant's submissions to a phase were made that count against its limits.

        One counts unless each of its runs ended in a way that does not (`UNCOUNTED`): the machine failed, or somebody
        else than the participant cancelled it. What was deleted for good does not count, a soft deletion does.
        """
        with self._read() as db:
            return _times(db, competition, phase, participant)

    def submissions(self, competition: str, phase: int | None = None, *, deleted: bool = False) -> list[Submission]:
        """In the order in which they were admitted; with `deleted`, also those that were deleted."""
        query = select(SUBMISSION).where(SUBMISSION.c.competition == competition)
        if phase is not None:
            query = query.where(SUBMISSION.c.phase == phase)
        if not deleted:
            query = query.where(SUBMISSION.c.deleted_at.is_(None))
        with self._read() as db:
            return [submission_from(row) for row in db.execute(query.order_by(SUBMISSION.c.sequence))]

    def submission(self, id: str) -> Submission:
        """A submission by its id, also one that was deleted; `NotFound` if there is none."""
        with self._read() as db:
            row = db.execute(select(SUBMISSION).where(SUBMISSION.c.id == id)).first()
        if row is None:
            raise NotFound(f"no submission {id!r} in {self.url}")
        return submission_from(row)

    def submissions_named(self, ids: Collection[str]) -> list[Submission]:
        """Those of these ids that there are, in no order."""
        with self._read() as db:
            rows = db.execute(select(SUBMISSION).where(SUBMISSION.c.id.in_(sorted(ids))))
            return [submission_from(row) for row in rows]

    def delete_submission(self, id: str, *, at: datetime, kind: Literal["soft", "hard"] = "soft") -> None:
        """List a submission no more. Its rows stay; what it had in storage is no longer named and may go.

        Raises
        ------
        StateError
            If one of its runs is not over.
        """
        with self._change() as db:
            unfinished = RUN.c.status.not_in([s.value for s in Status if s.is_final])
            if db.execute(select(RUN.c.id).where(RUN.c.submission == id, unfinished)).first() is not None:
                raise StateError(f"submission {id} has runs that are not over", hint="cancel them first")
            values = {"deletion": kind, "deleted_at": func.coalesce(SUBMISSION.c.deleted_at, at)}
            if not db.execute(update(SUBMISSION).where(SUBMISSION.c.id == id).values(**values)).rowcount:
                raise NotFound(f"no submission {id!r} in {self.url}")

    def used(self, competition: str) -> Used:
        """The phases that have submissions, and the tasks that have runs."""
        many = func.count().label("many")
        phases = select(SUBMISSION.c.phase, many).where(SUBMISSION.c.competition == competition)
        tasks = select(RUN.c.task, many).where(RUN.c.competition == competition)
        with self._read() as db:
            return Used(
                {row.phase: row.many for row in db.execute(phases.group_by(SUBMISSION.c.phase))},
                {json.loads(row.task): row.many for row in db.execute(tasks.group_by(RUN.c.task))},
            )

    # ------------------------------------------------------------------ the board
    def choose(self, choice: BoardChoice) -> None:
        """Keep that somebody put a submission on the board, or off it; the rule of the board says what that does."""
        with self._change() as db:
            db.execute(insert(CHOICE).values(**choice.model_dump()))

    def choices(self, competition: str) -> list[BoardChoice]:
        """What was put on boards and taken off, oldest first."""
        query = select(CHOICE).join(SUBMISSION, CHOICE.c.submission == SUBMISSION.c.id)
        with self._read() as db:
            rows = db.execute(query.where(SUBMISSION.c.competition == competition).order_by(CHOICE.c.sequence))
            return [BoardChoice(submission=r.submission, shown=r.shown, by=r.by, at=r.at) for r in rows]


def _times(db: Connection, competition: str, phase: int, participant: str) -> list[datetime]:
    counts = exists().where(RUN.c.submission == SUBMISSION.c.id, RUN.c.batch.is_(None), or_(_FAULTLESS, ~_UNCOUNTED))
    query = select(SUBMISSION.c.created_at).where(
        SUBMISSION.c.competition == competition,
        SUBMISSION.c.phase == phase,
        SUBMISSION.c.participant == participant,
        or_(SUBMISSION.c.deletion.is_(None), SUBMISSION.c.deletion != "hard"),
        counts,
    )
    return list(db.execute(query).scalars())
