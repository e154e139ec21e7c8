"""The tables. Private to this package: table models do not validate, so records go in and come out.

A change here needs a revision in `codabench.db.migrations`; a test compares both ways to the same tables.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DDL, Column, DateTime, Dialect, Index, String, Table, UniqueConstraint, event, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

FORMAT = 6
"""Raised with every revision, for versions of this library that know nothing of revisions."""

HEAD = "0006"
"""The revision of the tables below."""


class Moment(TypeDecorator[datetime]):
    """A point in time: UTC in the database and timezone-aware outside, also on SQLite, which drops the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        # A naive time is UTC, as everywhere here.
        return value.astimezone(UTC) if value and value.tzinfo else value and value.replace(tzinfo=UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value and value.astimezone(UTC)


def moment(**options: Any) -> Any:
    return Field(sa_type=Moment, **options)


def _since_2(default: Any, text_of: str) -> Any:
    """A column that rows of revision 1 got with a value of the database."""
    return Field(default=default, sa_column_kwargs={"server_default": text(text_of)})


class MetaRow(SQLModel, table=True):
    __tablename__ = "meta"
    key: str = Field(primary_key=True)
    value: str


class LeaseRow(SQLModel, table=True):
    """What only one holder does at a time, until `expires_at`. `about` is what a dispatcher says of itself, as JSON."""

    __tablename__ = "lease"
    name: str = Field(primary_key=True)
    holder: str
    token: str
    expires_at: datetime = moment()
    about: str | None = None


class CompetitionRow(SQLModel, table=True):
    __tablename__ = "competition"
    id: str = Field(primary_key=True)
    title: str
    source: str
    spec: str
    created_at: datetime = moment()
    deleted_at: datetime | None = moment(default=None)


class TreeRow(SQLModel, table=True):
    """A program or data set of a competition, by its path in the bundle."""

    __tablename__ = "tree"
    competition: str = Field(primary_key=True, foreign_key="competition.id")
    path: str = Field(primary_key=True)
    ref: str


class RevisionRow(SQLModel, table=True):
    """A task as it was from `created_at` on; never changed. Revision 1 is how the competition came."""

    __tablename__ = "revision"
    competition: str = Field(primary_key=True, foreign_key="competition.id")
    task: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    spec: str
    trees: str
    note: str
    created_at: datetime = moment()


class MigratedRow(SQLModel, table=True):
    """A phase that submissions of the phase before it were taken to."""

    __tablename__ = "migrated_phase"
    competition: str = Field(primary_key=True, foreign_key="competition.id")
    phase: int = Field(primary_key=True)
    at: datetime = moment()


class SlotRow(SQLModel, table=True):
    """A participant of a competition. Whoever changes this row keeps others out until the end of the transaction."""

    __tablename__ = "slot"
    competition: str = Field(primary_key=True, foreign_key="competition.id")
    participant: str = Field(primary_key=True)
    number: int
    served_at: datetime | None = moment(default=None)


OF_SUBMISSION = ("sequence", "id", "participant", "created_at", "origin", "origin_kind", "deleted_at")
OF_RUN = ("submission", "task", "status", "shown", "batch", "finished_at", "id")
"""All that is asked of submissions and runs for a board, beside scores, so that SQLite reads no row for it."""


class SubmissionRow(SQLModel, table=True):
    __tablename__ = "submission"
    __table_args__ = (
        UniqueConstraint("competition", "participant", "number"),
        Index("ix_submission_phase", "competition", "phase", "participant"),
        Index("ix_submission_board", "competition", "phase", *OF_SUBMISSION),
        Index(
            "ix_submission_deleted",
            "competition",
            "phase",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )
    sequence: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    competition: str = Field(foreign_key="competition.id", index=True)
    phase: int
    name: str
    participant: str
    number: int
    tree: str
    tasks: str
    fact_sheet: str
    options: str
    created_at: datetime = moment()
    deleted_at: datetime | None = moment(default=None)
    deletion: str | None = None
    origin: str | None = None
    origin_kind: str | None = None


QUEUE = (
    "priority",
    "scoring_only",
    "competition",
    "participant",
    "created_at",
    "not_before",
    "pinned",
    "cancel_reason",
)
"""All that is asked of runs that wait to say who is next, so that no row is read for it."""


class RunRow(SQLModel, table=True):
    """`status` and `last_event` are a cache of the fold of the run's status events.

    `competition` and `participant` are those of the submission, for the queue; `scores` are those of the outcome of a
    finished run, for boards.
    """

    __tablename__ = "run"
    id: str = Field(primary_key=True)
    submission: str = Field(foreign_key="submission.id", index=True)
    task: str
    position: int
    status: str = Field(index=True)
    last_event: int
    attempt: str | None = None
    outcome: str | None = None
    scores: str | None = None
    created_at: datetime = moment(index=True)
    competition: str = _since_2("", "''")
    participant: str = _since_2("", "''")
    revision: int = _since_2(1, "1")
    priority: int = _since_2(0, "0")
    scoring_only: bool = _since_2(False, "false")
    shown: bool = _since_2(True, "true")
    backend: str | None = None
    pinned: str | None = None
    batch: str | None = None
    fault: str | None = None
    cancel_reason: str | None = None
    cancel_fault: str | None = None
    not_before: datetime | None = moment(default=None)
    finished_at: datetime | None = moment(default=None)
    __table_args__ = (
        Index("ix_run_queue", "status", *QUEUE),
        Index("ix_run_batch", "batch"),
        # An entry of an index has no room for many scores on PostgreSQL, which reads rows of this table well enough.
        Index("ix_run_board", "competition", *OF_RUN, "scores").ddl_if(dialect="sqlite"),
        Index("ix_run_board", "competition", *OF_RUN).ddl_if(dialect="postgresql"),
        Index(
            "ux_run_shown",
            "submission",
            "task",
            unique=True,
            sqlite_where=text("shown"),
            postgresql_where=text("shown"),
        ),
    )


class AttemptRow(SQLModel, table=True):
    """A try at a run, held by a dispatcher until `expires_at` unless its heart beats."""

    __tablename__ = "attempt"
    id: str = Field(primary_key=True)
    run: str = Field(foreign_key="run.id", index=True)
    number: int
    token: str
    started_at: datetime = moment()
    holder: str | None = Field(default=None, index=True)
    expires_at: datetime | None = moment(default=None)
    heartbeat_at: datetime | None = moment(default=None)


class StepRow(SQLModel, table=True):
    """What a step of an attempt came to, to be found again by its digest."""

    __tablename__ = "step"
    attempt: str = Field(primary_key=True, foreign_key="attempt.id")
    name: str = Field(primary_key=True)
    run: str = Field(foreign_key="run.id", index=True)
    digest: str = Field(index=True)
    ok: bool
    output: str | None = None
    seconds: float
    reused_from: str | None = None


class StatusEventRow(SQLModel, table=True):
    """Append-only: the history that everything else follows from."""

    __tablename__ = "status_event"
    run: str = Field(primary_key=True, foreign_key="run.id")
    sequence: int = Field(primary_key=True)
    kind: str
    at: datetime = moment()
    attempt: str | None = None
    data: str


class HandScoreRow(SQLModel, table=True):
    """A number that an organizer set; the last one for a key holds, and without a value what the scorer wrote."""

    __tablename__ = "hand_score"
    sequence: int | None = Field(default=None, primary_key=True)
    run: str = Field(foreign_key="run.id", index=True)
    key: str
    value: float | None = None
    by: str
    note: str
    at: datetime = moment()


class BoardChoiceRow(SQLModel, table=True):
    """Somebody put a submission on the board or took it off."""

    __tablename__ = "board_choice"
    sequence: int | None = Field(default=None, primary_key=True)
    submission: str = Field(foreign_key="submission.id", index=True)
    shown: bool
    by: str
    at: datetime = moment()


class BoardRow(SQLModel, table=True):
    """The leaderboards of a competition as they were until `until`, when they became others."""

    __tablename__ = "board"
    sequence: int | None = Field(default=None, primary_key=True)
    competition: str = Field(foreign_key="competition.id", index=True)
    leaderboards: str
    until: datetime = moment()


class BatchRow(SQLModel, table=True):
    """A re-evaluation. The same plan has the same key."""

    __tablename__ = "batch"
    id: str = Field(primary_key=True)
    competition: str = Field(foreign_key="competition.id", index=True)
    key: str = Field(index=True)
    plan: str
    state: str
    note: str
    created_at: datetime = moment()
    promoted_at: datetime | None = moment(default=None)


class BatchRunRow(SQLModel, table=True):
    """A run that a batch does again: `run` is the new one, once it is queued."""

    __tablename__ = "batch_run"
    batch: str = Field(primary_key=True, foreign_key="batch.id")
    replaces: str = Field(primary_key=True, foreign_key="run.id")
    position: int
    run: str | None = Field(default=None, foreign_key="run.id")
    action: str
    reason: str


def table_of(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


META, LEASE, COMPETITION, TREE = table_of(MetaRow), table_of(LeaseRow), table_of(CompetitionRow), table_of(TreeRow)
REVISION, MIGRATED, SLOT = table_of(RevisionRow), table_of(MigratedRow), table_of(SlotRow)
SUBMISSION = table_of(SubmissionRow)
RUN, ATTEMPT, STEP, EVENT = table_of(RunRow), table_of(AttemptRow), table_of(StepRow), table_of(StatusEventRow)
HAND_SCORE, CHOICE, BOARD = table_of(HandScoreRow), table_of(BoardChoiceRow), table_of(BoardRow)
BATCH, BATCH_RUN = table_of(BatchRow), table_of(BatchRunRow)
VERSION = Table("alembic_version", SQLModel.metadata, Column("version_num", String(32), primary_key=True))

# History is never rewritten, not even by a mistake of this library.
APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER status_event_no_{verb} BEFORE {verb.upper()} ON status_event "
        "BEGIN SELECT RAISE(ABORT, 'status events are never changed'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        "CREATE FUNCTION status_event_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''status events are never changed''; END'",
        "CREATE TRIGGER status_event_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON status_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION status_event_kept()",
    ],
}
for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        _made = DDL(_statement)  # type: ignore[no-untyped-call]
        event.listen(EVENT, "after_create", _made.execute_if(dialect=_dialect))
