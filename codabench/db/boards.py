"""What boards are made of, read from indexes alone: no outcome, no specification, nothing that is not compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, overload

from sqlalchemy import ColumnElement, Connection, Select, String, Table, distinct, func, literal, select, type_coerce

from codabench.core.boards import BoardMark, BoardRows, BoardsBefore, ChoiceSeen, EditSeen, RunSeen, SubmissionSeen
from codabench.core.competition import LeaderboardSpec
from codabench.core.records import Run, Status
from codabench.core.trees import TreeRef
from codabench.db.connection import Connected
from codabench.db.convert import run_from
from codabench.db.tables import BATCH, BOARD, CHOICE, HAND_SCORE, OF_RUN, OF_SUBMISSION, RUN, SUBMISSION

_LIVE = [s.value for s in Status if not s.is_final]
_MANY = 500
"""Values in one statement."""


class Boards(Connected):
    """Rows of boards, and whether they have changed."""

    def board_mark(self, competition: str, phase: int) -> BoardMark:
        """What a board of a phase rests on; as long as it is the same, so is the board."""
        with self._snapshot() as db:
            return self._mark(db, competition, phase)

    @overload
    def board_rows(self, competition: str, phase: int) -> BoardRows: ...
    @overload
    def board_rows(self, competition: str, phase: int, since: BoardMark) -> BoardRows | None: ...
    def board_rows(self, competition: str, phase: int, since: BoardMark | None = None) -> BoardRows | None:
        """All that boards of a phase are made of, in one state of the database.

        Parameters
        ----------
        since
            Only what is new since then; None is returned if more has changed than was added: a submission was deleted,
            a re-evaluation promoted, the leaderboards became others.
        """
        with self._snapshot() as db:
            mark = self._mark(db, competition, phase)
            if since is None:
                return self._everything(db, competition, phase, mark)
            if mark == since:
                return BoardRows(mark)
            if mark[3:6] != since[3:6]:
                return None
            found = self._news(db, competition, phase, mark, since)
        # On PostgreSQL a row may come after one with a higher number; then there are more than were found.
        news = (found.submissions, found.edits, found.choices)
        seen = [after[1] - before[1] for after, before in zip(mark[:3], since[:3], strict=True)]
        return found if self.is_sqlite or seen == [len(each) for each in news] else None

    def latest_phase(self, competition: str) -> int | None:
        """The phase of the last submission to a competition that is not deleted; None: there is none."""
        query = select(SUBMISSION.c.phase).where(SUBMISSION.c.competition == competition)
        query = query.where(SUBMISSION.c.deleted_at.is_(None)).order_by(SUBMISSION.c.sequence.desc()).limit(1)
        with self._read() as db:
            return db.execute(query).scalar()

    def called(
        self, competition: str, phase: int, only: Sequence[str] | None = None
    ) -> dict[str, tuple[str, dict[str, Any] | None]]:
        """Submissions in their order: what each is called, and its fact sheet.

        Parameters
        ----------
        only
            Of these alone; None: of all that are not deleted.
        """
        query = select(SUBMISSION.c.id, SUBMISSION.c.name, SUBMISSION.c.fact_sheet).order_by(SUBMISSION.c.sequence)
        here = query.where(SUBMISSION.c.competition == competition, SUBMISSION.c.phase == phase)
        with self._read() as db:
            if only is None:
                rows = db.execute(here.where(SUBMISSION.c.deleted_at.is_(None))).all()
            else:
                rows = [row for part in _parts(only) for row in db.execute(query.where(SUBMISSION.c.id.in_(part)))]
            return {id: (name, json.loads(sheet)) for id, name, sheet in rows}

    def shown_runs(self, submissions: Sequence[str]) -> list[tuple[Run, TreeRef]]:
        """The runs that boards show of some submissions, with what was submitted."""
        query = select(RUN, SUBMISSION.c.tree).join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id).where(RUN.c.shown)
        query = query.order_by(SUBMISSION.c.sequence, RUN.c.position)
        with self._read() as db:
            rows = [row for part in _parts(submissions) for row in db.execute(query.where(SUBMISSION.c.id.in_(part)))]
        return [(run_from(row), TreeRef.model_validate_json(row.tree)) for row in rows]

    def submitted_for(self, submissions: Sequence[str]) -> dict[str, tuple[int | str, ...]]:
        """The tasks that submissions are run on, in their order."""
        query = select(SUBMISSION.c.id, SUBMISSION.c.tasks)
        with self._read() as db:
            rows = [row for part in _parts(submissions) for row in db.execute(query.where(SUBMISSION.c.id.in_(part)))]
        return {row.id: tuple(json.loads(row.tasks)) for row in rows}

    def holdouts(self, competition: str) -> dict[int | str, int]:
        """For each task, how many submissions were scored on it; deleted ones, too: whoever was told has learnt."""
        counted = select(RUN.c.task, func.count(distinct(RUN.c.submission))).group_by(RUN.c.task)
        query = counted.where(RUN.c.competition == competition, RUN.c.status == Status.FINISHED.value)
        with self._read() as db:
            return {json.loads(task): int(count) for task, count in db.execute(query)}

    def _mark(self, db: Connection, competition: str, phase: int) -> BoardMark:
        here = (SUBMISSION.c.competition == competition, SUBMISSION.c.phase == phase)
        highest = [func.coalesce(select(func.max(t.c.sequence)).scalar_subquery(), 0) for t in _NUMBERED]
        counted = [self._count(SUBMISSION, *here), self._count(HAND_SCORE), self._count(CHOICE)]
        deleted = select(func.count()).where(*here, SUBMISSION.c.deleted_at.is_not(None)).scalar_subquery()
        promoted = select(func.count()).where(BATCH.c.competition == competition, BATCH.c.promoted_at.is_not(None))
        changed = select(func.count()).where(BOARD.c.competition == competition)
        others = (deleted, promoted.scalar_subquery(), changed.scalar_subquery())
        row = db.execute(select(*highest, *counted, *others)).one()
        live = db.execute(select(RUN.c.id).where(RUN.c.status.in_(_LIVE))).scalars()
        return BoardMark((row[0], row[3]), (row[1], row[4]), (row[2], row[5]), row[6], row[7], row[8], frozenset(live))

    def _count(self, table: Table, *where: ColumnElement[bool]) -> Any:
        """How many rows there are; SQLite has one writer, so numbers come in their order and say enough."""
        if self.is_sqlite:
            return literal(0)
        return select(func.count()).select_from(table).where(*where).scalar_subquery()

    def _everything(self, db: Connection, competition: str, phase: int, mark: BoardMark) -> BoardRows:
        counts = (RUN.c.competition == competition, _counts(competition))
        edits = _EDITS.join(RUN, HAND_SCORE.c.run == RUN.c.id).where(RUN.c.competition == competition)
        choices = _CHOICES.join(SUBMISSION, CHOICE.c.submission == SUBMISSION.c.id)
        return BoardRows(
            mark=mark,
            submissions=_submissions(db, competition, phase),
            runs=_runs(db, *counts),
            edits=[EditSeen(*row) for row in db.execute(edits)],
            choices=[ChoiceSeen(*row) for row in db.execute(choices.where(SUBMISSION.c.competition == competition))],
            promoted=_promoted(db, competition),
            before=_before(db, competition),
        )

    def _news(self, db: Connection, competition: str, phase: int, mark: BoardMark, since: BoardMark) -> BoardRows:
        submissions = _submissions(db, competition, phase, SUBMISSION.c.sequence > since.submissions[0])
        edits = [EditSeen(*row) for row in db.execute(_EDITS.where(HAND_SCORE.c.sequence > since.edits[0]))]
        # What a submission came to is told by all its runs; whether a rerun is one of everything, by what it repeats.
        concerned = {s.id for s in submissions} | {s.origin for s in submissions if s.origin}
        for part in _parts({*(since.live - mark.live), *(edit.run for edit in edits)}):
            query = select(RUN.c.submission).where(RUN.c.competition == competition, RUN.c.id.in_(part))
            concerned.update(db.execute(query).scalars())
        runs: list[RunSeen] = []
        for part in _parts(concerned):
            runs += _runs(db, RUN.c.competition == competition, _counts(competition), RUN.c.submission.in_(part))
        return BoardRows(
            mark=mark,
            submissions=submissions,
            runs=runs,
            edits=edits,
            choices=[ChoiceSeen(*row) for row in db.execute(_CHOICES.where(CHOICE.c.sequence > since.choices[0]))],
            promoted=_promoted(db, competition),
        )


_NUMBERED = (SUBMISSION, HAND_SCORE, CHOICE)
_EDITS = select(HAND_SCORE.c.run, HAND_SCORE.c.key, HAND_SCORE.c.value, HAND_SCORE.c.at).order_by(HAND_SCORE.c.sequence)
_CHOICES = select(CHOICE.c.submission, CHOICE.c.shown, CHOICE.c.by, CHOICE.c.at).order_by(CHOICE.c.sequence)


def _submissions(db: Connection, competition: str, phase: int, *where: ColumnElement[bool]) -> list[SubmissionSeen]:
    times = ("created_at", "deleted_at")
    columns = [_plain(SUBMISSION.c[name]) if name in times else SUBMISSION.c[name] for name in OF_SUBMISSION]
    query = select(*columns).where(SUBMISSION.c.competition == competition, SUBMISSION.c.phase == phase, *where)
    found = _fetched(db, query.order_by(SUBMISSION.c.sequence))
    if not found:
        return []
    # Columns are converted one after the other, which is faster than row by row.
    numbers, ids, who, at, origins, kinds, gone = zip(*found, strict=True)
    return list(map(SubmissionSeen, numbers, ids, who, _moments(at), origins, kinds, _moments(gone)))


def _runs(db: Connection, *where: ColumnElement[bool]) -> list[RunSeen]:
    columns = [_plain(RUN.c[name]) if name == "finished_at" else RUN.c[name] for name in OF_RUN]
    found = _fetched(db, select(*columns, RUN.c.scores).where(*where))
    if not found:
        return []
    submissions, tasks, statuses, shown, batches, ended, ids, texts = zip(*found, strict=True)
    # One document is read far faster than many.
    scores: list[dict[str, float]] = json.loads(f"[{','.join([text or '{}' for text in texts])}]")
    known = {task: json.loads(task) for task in set(tasks)}
    of_task = [known[task] for task in tasks]
    return list(map(RunSeen, submissions, of_task, statuses, map(bool, shown), batches, _moments(ended), ids, scores))


def _counts(competition: str) -> ColumnElement[bool]:
    """Runs that are or were on boards: those queued first, and those of re-evaluations that were promoted."""
    promoted = select(BATCH.c.id).where(BATCH.c.competition == competition, BATCH.c.promoted_at.is_not(None))
    return RUN.c.batch.is_(None) | RUN.c.batch.in_(promoted)


def _before(db: Connection, competition: str) -> list[BoardsBefore]:
    query = select(BOARD.c.until, BOARD.c.leaderboards).where(BOARD.c.competition == competition)
    rows = db.execute(query.order_by(BOARD.c.sequence))
    return [BoardsBefore(at, [LeaderboardSpec(**b) for b in json.loads(boards)]) for at, boards in rows]


def _promoted(db: Connection, competition: str) -> dict[str, datetime]:
    query = select(BATCH.c.id, BATCH.c.promoted_at)
    rows = db.execute(query.where(BATCH.c.competition == competition, BATCH.c.promoted_at.is_not(None)))
    return {row.id: row.promoted_at for row in rows}


def _fetched(db: Connection, query: Select[Any]) -> list[Any]:
    """Rows as the driver gives them: to wrap each one takes longer than to read it, and so does to convert times."""
    cursor = db.execute(query).cursor
    found: list[Any] = list(cursor.fetchall()) if cursor is not None else []
    return found


def _plain(column: Any) -> ColumnElement[Any]:
    return type_coerce(column, String).label(column.name)


def _moments(values: Sequence[Any]) -> list[Any]:
    """Points in time, as PostgreSQL or SQLite give them, in UTC; None where there is none."""
    read = datetime.fromisoformat
    return [v and (read(v + "+00:00") if isinstance(v, str) else v.astimezone(UTC)) for v in values]


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while part := list(islice(rest, _MANY)):
        yield part
