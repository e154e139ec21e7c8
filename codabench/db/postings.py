"""Submissions as a site lists them: by whose they are, of which competition, and how they stand."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, exists, false, func, or_, select, update
from sqlalchemy import cast as as_type

from codabench.core.base import Record
from codabench.core.hosting import Posted, SharedTask
from codabench.core.posted import Posting, RunBrief
from codabench.core.records import HandScore, Outcome, Run, Status, effective
from codabench.db.connection import Connected
from codabench.db.convert import hand_score_from, run_from, submission_from
from codabench.db.shared_tasks import with_shares
from codabench.db.site_tables import ACCOUNT, COLLABORATOR, DATASET, HOSTED, POSTED, TASK
from codabench.db.tables import ATTEMPT, COMPETITION, HAND_SCORE, RUN, SUBMISSION

_PART = 500
"""Values in one statement."""


class Sought(Record):
    """Which submissions a list shows; everything that is said has to hold. What was deleted for good is never listed.

    Attributes
    ----------
    competition, phase
        The id of a competition, and the place of a phase in it.
    status
        Of the submission as a whole or, with `of_runs`, of one of its runs.
    text
        A part of the file name, or of the name of who submitted it.
    owner
        An account.
    deleted
        Also those that were deleted by their owners.
    visible_to
        This account submitted it or organizes the competition; None: whoever did.
    robots
        Also every one of a competition that allows robots.
    published
        Only of competitions that everybody may see.
    """

    competition: str | None = None
    phase: int | None = None
    status: Status | None = None
    of_runs: bool = False
    text: str | None = None
    owner: int | None = None
    deleted: bool = False
    visible_to: int | None = None
    robots: bool = False
    published: bool = False


class Postings(Connected):
    """What a site knows of submissions beside their rows, and the lists it shows of them."""

    # ------------------------------------------------------------------ what a site knows of one
    def post(self, posted: Posted) -> None:
        """Keep what a site knows of a submission."""
        row = posted.model_dump()
        insert = self._insert(POSTED).values(**row)
        kept = insert.on_conflict_do_update(index_elements=[POSTED.c.submission], set_=row)
        with self._change() as db:
            db.execute(kept)

    def post_copies(self) -> None:
        """Have submissions that repeat others, such as those taken to a next phase, know the same file."""
        known = POSTED.alias("known")
        found = (
            select(SUBMISSION.c.id, POSTED.c.dataset, false(), SUBMISSION.c.origin_kind == "aside")
            .join(POSTED, POSTED.c.submission == SUBMISSION.c.origin)
            .where(SUBMISSION.c.origin.is_not(None), ~exists().where(known.c.submission == SUBMISSION.c.id))
        )
        names = ["submission", "dataset", "is_public", "is_specific_task"]
        with self._change() as db:
            db.execute(self._insert(POSTED).from_select(names, found).on_conflict_do_nothing())

    def postings(self, ids: Collection[str]) -> dict[str, Posting]:
        """Submissions by their ids; those that are not there, or were deleted for good, are left out."""
        found: dict[str, Posting] = {}
        with self._read() as db:
            for some in _parts(ids):
                query = _POSTINGS.where(SUBMISSION.c.id.in_(some), _THERE)
                found |= {row.id: _posting_from(row) for row in db.execute(query)}
        return found

    def set_fact_sheet(self, submission: str, answers: dict[str, Any]) -> None:
        """Have a submission answer the questions of the fact sheet otherwise."""
        with self._change() as db:
            db.execute(update(SUBMISSION).where(SUBMISSION.c.id == submission).values(fact_sheet=json.dumps(answers)))

    # ------------------------------------------------------------------ lists
    def sought(self, sought: Sought, *, offset: int = 0, limit: int | None = None) -> list[Posting]:
        """The submissions of a list, newest first."""
        query = _within(_POSTINGS, sought)
        with self._read() as db:
            rows = db.execute(query.order_by(SUBMISSION.c.sequence.desc()).offset(offset).limit(limit))
            return [_posting_from(row) for row in rows]

    def count_sought(self, sought: Sought) -> int:
        """How many submissions a list has."""
        found = _within(_joined(select(SUBMISSION.c.id)), sought).subquery()
        with self._read() as db:
            return int(db.execute(select(func.count()).select_from(found)).scalar_one())

    def runs_shown(self, submissions: Collection[str]) -> dict[str, list[Run]]:
        """The runs of submissions that boards show, whole, in the order of the tasks."""
        found: dict[str, list[Run]] = defaultdict(list)
        with self._read() as db:
            for some in _parts(submissions):
                query = select(RUN).where(RUN.c.submission.in_(some), RUN.c.shown).order_by(RUN.c.position)
                for row in db.execute(query):
                    found[row.submission].append(run_from(row))
        return dict(found)

    def run_briefs(self, submissions: Collection[str]) -> dict[str, list[RunBrief]]:
        """The runs of submissions that boards show, as lists show them, in the order of the tasks."""
        rows: list[Any] = []
        by_hand: dict[str, list[HandScore]] = defaultdict(list)
        with self._read() as db:
            for some in _parts(submissions):
                rows += db.execute(_BRIEFS.where(RUN.c.submission.in_(some), RUN.c.shown).order_by(RUN.c.position))
                edits = select(HAND_SCORE).join(RUN, HAND_SCORE.c.run == RUN.c.id)
                for row in db.execute(edits.where(RUN.c.submission.in_(some)).order_by(HAND_SCORE.c.sequence)):
                    by_hand[row.run].append(hand_score_from(row))
        found: dict[str, list[RunBrief]] = defaultdict(list)
        for row in rows:
            found[row.submission].append(_brief_from(row, by_hand.get(row.id, ())))
        return dict(found)

    def tasks_ever(self, keys: Collection[str]) -> list[SharedTask]:
        """Tasks by their keys, also those that were deleted since somebody was run on them."""
        found: list[SharedTask] = []
        with self._read() as db:
            for some in _parts(keys):
                rows = db.execute(select(TASK).where(TASK.c.key.in_(some))).all()
                found += with_shares(db, rows)
        return found


# ---------------------------------------------------------------------- what is asked
def _joined(query: Select[Any]) -> Select[Any]:
    """Of submissions, with what a site knows of them."""
    known = query.outerjoin(POSTED, POSTED.c.submission == SUBMISSION.c.id)
    return known.outerjoin(DATASET, and_(DATASET.c.key == POSTED.c.dataset, DATASET.c.deleted_at.is_(None)))


def _within(query: Select[Any], sought: Sought) -> Select[Any]:
    """Those of a list, of competitions that are there."""
    there = query.join(COMPETITION, SUBMISSION.c.competition == COMPETITION.c.id)
    return there.where(_THERE, COMPETITION.c.deleted_at.is_(None), *_conditions(sought))


_POSTINGS = _joined(
    select(
        SUBMISSION,
        POSTED.c.dataset,
        POSTED.c.is_public,
        POSTED.c.is_specific_task,
        DATASET.c.file_name,
        DATASET.c.size,
    )
)
_BRIEFS = select(
    *(RUN.c[name] for name in ("id", "submission", "task", "position", "status", "scores", "fault")),
    *(RUN.c[name] for name in ("created_at", "finished_at")),
    ATTEMPT.c.started_at,
    # What a run came to is long; of those that went well a list says nothing of it.
    case((RUN.c.status == Status.FINISHED.value, None), else_=RUN.c.outcome).label("ended"),
).outerjoin(ATTEMPT, RUN.c.attempt == ATTEMPT.c.id)
_THERE = or_(SUBMISSION.c.deletion.is_(None), SUBMISSION.c.deletion != "hard")
_MINE = and_(RUN.c.submission == SUBMISSION.c.id, RUN.c.shown)


def _conditions(sought: Sought) -> Iterator[ColumnElement[bool]]:
    of = SUBMISSION.c
    if sought.competition is not None:
        yield of.competition == sought.competition
    if sought.phase is not None:
        yield of.phase == sought.phase
    if sought.owner is not None:
        yield of.participant == f"u{sought.owner}"
    if not sought.deleted:
        yield of.deleted_at.is_(None)
    if sought.status is not None:
        whole = _stands(sought.status)
        yield or_(whole, _some(sought.status)) if sought.of_runs else whole
    if sought.text is not None:
        yield _says(sought.text)
    if sought.visible_to is not None:
        yield or_(of.participant == f"u{sought.visible_to}", _organized_by(sought.visible_to, robots=sought.robots))
    if sought.published:
        yield of.competition.in_(select(HOSTED.c.competition).where(HOSTED.c.published))


def _says(text: str) -> ColumnElement[bool]:
    people = select("u" + as_type(ACCOUNT.c.id, String)).where(
        or_(
            ACCOUNT.c.username.icontains(text, autoescape=True), ACCOUNT.c.display_name.icontains(text, autoescape=True)
        )
    )
    named = [SUBMISSION.c.name, DATASET.c.file_name]
    return or_(*(column.icontains(text, autoescape=True) for column in named), SUBMISSION.c.participant.in_(people))


def _organized_by(account: int, *, robots: bool) -> ColumnElement[bool]:
    helps = and_(COLLABORATOR.c.competition == HOSTED.c.competition, COLLABORATOR.c.account == account)
    theirs = [HOSTED.c.owner == account, exists().where(helps)]
    if robots:
        theirs.append(HOSTED.c.allow_robots)
    return SUBMISSION.c.competition.in_(select(HOSTED.c.competition).where(or_(*theirs)))


def _some(*statuses: Status) -> ColumnElement[bool]:
    return exists().where(_MINE, RUN.c.status.in_([status.value for status in statuses]))


def _stands(status: Status) -> ColumnElement[bool]:
    """Whether that is the status of a submission: `codabench.core.events.submission_status`, as SQL."""
    live = _some(*(each for each in Status if not each.is_final))
    over = _some(*(each for each in Status if each.is_final))
    active = (Status.SCORING, Status.RUNNING, Status.PREPARING)
    match status:
        case Status.FINISHED:
            return and_(_some(Status.FINISHED), ~live)
        case Status.FAILED:
            return and_(_some(Status.FAILED), ~_some(Status.FINISHED), ~live)
        case Status.CANCELLED:
            return and_(_some(Status.CANCELLED), ~_some(Status.FINISHED, Status.FAILED), ~live)
        case Status.SCORING:
            return _some(Status.SCORING)
        case Status.RUNNING:
            others = and_(live, over, ~_some(*active))
            return and_(~_some(Status.SCORING), or_(_some(Status.RUNNING), others))
        case Status.PREPARING:
            return and_(_some(Status.PREPARING), ~_some(Status.SCORING, Status.RUNNING))
        case Status.SUBMITTED:
            return and_(_some(Status.SUBMITTED), ~_some(*active), ~over)
        case Status.SUBMITTING:
            return ~_some(*(each for each in Status if each is not Status.SUBMITTING))


def _parts(ids: Collection[str]) -> Iterator[list[str]]:
    listed = list(dict.fromkeys(ids))
    for start in range(0, len(listed), _PART):
        yield listed[start : start + _PART]


# ---------------------------------------------------------------------- records and rows
def _posting_from(row: Any) -> Posting:
    posted = Posted(
        submission=row.id,
        dataset=row.dataset,
        is_public=bool(row.is_public),
        is_specific_task=bool(row.is_specific_task),
    )
    return Posting(submission=submission_from(row), posted=posted, file_name=row.file_name, size=row.size)


def _brief_from(row: Any, by_hand: Collection[HandScore]) -> RunBrief:
    plain = ("id", "submission", "position", "status", "fault", "created_at", "started_at", "finished_at")
    written = json.loads(row.scores) if row.scores else {}
    outcome = Outcome.model_validate_json(row.ended) if row.ended else None
    return RunBrief(
        **{name: getattr(row, name) for name in plain},
        task=json.loads(row.task),
        scores=effective(written, by_hand),
        problem=outcome.problem if outcome else None,
    )
