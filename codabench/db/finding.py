"""What people call submissions and runs: ids, the beginnings of ids, names, ``participant#number``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from codabench.core.records import Run, Status, Submission
from codabench.db.connection import Connected
from codabench.db.convert import run_from, submission_from
from codabench.db.tables import RUN, SUBMISSION

SHORTEST = 4
"""Characters of an id that have to be typed."""

_START = re.compile(rf"[0-9a-f]{{{SHORTEST},32}}")
_NUMBERED = re.compile(r"(.*)#([0-9]{1,9})", re.DOTALL)
_MOST = 20
"""More candidates than this are not looked at."""
_PART = 500
"""Ids in one question."""


class Finding(Connected):
    """Submissions and runs by what somebody types, and how many there are."""

    def find_submissions(self, wanted: str, competition: str | None = None) -> list[Submission]:
        """The submissions that `wanted` may mean, oldest first, at most 20.

        A whole id means that one. Otherwise it may be the beginning of an id (four characters or more), a name or
        ``participant#number``; what is meant in one way does not hide what is meant in another, or somebody could call
        a submission like the id of another one. What was deleted is found by its id.
        """
        column = SUBMISSION.c
        here = [] if competition is None else [column.competition == competition]
        ways: list[Any] = [column.name == wanted]
        if numbered := _NUMBERED.fullmatch(wanted):
            ways.append(and_(column.participant == numbered[1], column.number == int(numbered[2])))
        listed = and_(column.deleted_at.is_(None), or_(*ways))
        found = self._whole_or(column.id, wanted, select(SUBMISSION).where(*here), listed)
        return [submission_from(row) for row in self._rows(found.order_by(column.sequence))]

    def find_runs(self, wanted: str) -> list[Run]:
        """The runs whose id is, or begins with, what is wanted (four characters or more), oldest first, at most 20."""
        found = self._whole_or(RUN.c.id, wanted, select(RUN), None)
        return [run_from(row) for row in self._rows(found.order_by(RUN.c.created_at))]

    def _whole_or(self, id: Any, wanted: str, query: Select[Any], otherwise: Any) -> Select[Any]:
        if self._rows(whole := query.where(id == wanted)):
            return whole
        ways = [] if otherwise is None else [otherwise]
        if _START.fullmatch(wanted):
            # Of hexadecimal digits none is larger than "f": a range, which an index answers.
            ways.append(and_(id > wanted, id < wanted + "g"))
        return query.where(or_(*ways)) if ways else whole

    def _rows(self, query: Select[Any]) -> list[Any]:
        with self._read() as db:
            return list(db.execute(query.limit(_MOST)))

    def newest_submissions(self, many: int) -> list[Submission]:
        """The last ones that are not deleted, newest first."""
        query = select(SUBMISSION).where(SUBMISSION.c.deleted_at.is_(None)).order_by(SUBMISSION.c.sequence.desc())
        with self._read() as db:
            return [submission_from(row) for row in db.execute(query.limit(many))]

    def newest_runs(self, many: int) -> list[Run]:
        """The runs that were queued last, newest first."""
        with self._read() as db:
            return [run_from(row) for row in db.execute(select(RUN).order_by(RUN.c.created_at.desc()).limit(many))]

    def list_runs(
        self,
        *,
        competition: str | None = None,
        submission: str | None = None,
        statuses: Collection[Status] | None = None,
        last: int | None = None,
    ) -> list[tuple[Run, Submission]]:
        """The runs that boards show, with their submissions, oldest first.

        Parameters
        ----------
        competition, submission, statuses
            Only those of it, and of these statuses. Without a submission: not of those that are deleted.
        last
            Only so many, the newest.
        """
        query = select(RUN).join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id).where(RUN.c.shown)
        if submission is None:
            query = query.where(SUBMISSION.c.deleted_at.is_(None))
        else:
            query = query.where(RUN.c.submission == submission)
        if competition is not None:
            query = query.where(SUBMISSION.c.competition == competition)
        if statuses is not None:
            query = query.where(RUN.c.status.in_([status.value for status in statuses]))
        order = (SUBMISSION.c.sequence.desc(), RUN.c.position.desc(), RUN.c.created_at.desc())
        with self._read() as db:
            runs = [run_from(row) for row in db.execute(query.order_by(*order).limit(last))][::-1]
            ids = list(dict.fromkeys(run.submission for run in runs))
            whose: dict[str, Submission] = {}
            for start in range(0, len(ids), _PART):
                some = select(SUBMISSION).where(SUBMISSION.c.id.in_(ids[start : start + _PART]))
                whose |= {row.id: submission_from(row) for row in db.execute(some)}
        return [(run, whose[run.submission]) for run in runs]

    def run_counts(self) -> dict[str, dict[Status, int]]:
        """How many runs of each competition have each status, of submissions that are not deleted."""
        query = (
            select(RUN.c.competition, RUN.c.status, func.count().label("many"))
            .join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id)
            .where(RUN.c.shown, SUBMISSION.c.deleted_at.is_(None))
            .group_by(RUN.c.competition, RUN.c.status)
        )
        found: dict[str, dict[Status, int]] = defaultdict(dict)
        with self._read() as db:
            for row in db.execute(query):
                found[row.competition][Status(row.status)] = row.many
        return dict(found)

    def submission_counts(self) -> dict[str, int]:
        """How many submissions each competition has that are not deleted."""
        many = func.count().label("many")
        query = select(SUBMISSION.c.competition, many).where(SUBMISSION.c.deleted_at.is_(None))
        with self._read() as db:
            return {row.competition: row.many for row in db.execute(query.group_by(SUBMISSION.c.competition))}
