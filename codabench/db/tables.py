"""The tables. Private to this package: table models do not validate, so records go in and come out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, UniqueConstraint
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

FORMAT = 1
"""Raised with every change of the tables; a database says which it has from its first day."""


class Moment(TypeDecorator[datetime]):
    """A point in time: UTC in the database and timezone-aware outside, also on SQLite, which drops the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        # A naive time is UTC, as everywhere here.
        return value.astimezone(UTC) if value and value.tzinfo else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def _moment(**options: Any) -> Any:
    return Field(sa_type=Moment, **options)


class MetaRow(SQLModel, table=True):
    __tablename__ = "meta"
    key: str = Field(primary_key=True)
    value: str


class LeaseRow(SQLModel, table=True):
    """Who may dispatch: one holder at a time, until `expires_at`."""

    __tablename__ = "lease"
    name: str = Field(primary_key=True)
    holder: str
    token: str
    expires_at: datetime = _moment()


class CompetitionRow(SQLModel, table=True):
    __tablename__ = "competition"
    id: str = Field(primary_key=True)
    title: str
    source: str
    spec: str
    created_at: datetime = _moment()


class TreeRow(SQLModel, table=True):
    """A program or data set of a competition, by its path in the bundle."""

    __tablename__ = "tree"
    competition: str = Field(primary_key=True, foreign_key="competition.id")
    path: str = Field(primary_key=True)
    ref: str


class SubmissionRow(SQLModel, table=True):
    __tablename__ = "submission"
    __table_args__ = (UniqueConstraint("competition", "participant", "number"),)
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
    created_at: datetime = _moment()


class RunRow(SQLModel, table=True):
    """`status` and `last_event` are a cache of the fold of the run's status events."""

    __tablename__ = "run"
    id: str = Field(primary_key=True)
    submission: str = Field(foreign_key="submission.id", index=True)
    task: str
    position: int
    status: str = Field(index=True)
    last_event: int
    attempt: str | None = None
    outcome: str | None = None
    created_at: datetime = _moment(index=True)


class AttemptRow(SQLModel, table=True):
    __tablename__ = "attempt"
    id: str = Field(primary_key=True)
    run: str = Field(foreign_key="run.id", index=True)
    number: int
    token: str
    started_at: datetime = _moment()


class StatusEventRow(SQLModel, table=True):
    """Append-only: the history that everything else follows from."""

    __tablename__ = "status_event"
    run: str = Field(primary_key=True, foreign_key="run.id")
    sequence: int = Field(primary_key=True)
    kind: str
    at: datetime = _moment()
    attempt: str | None = None
    data: str


class ScoreRow(SQLModel, table=True):
    """One number of a finished run; never replaced, so a second delivery cannot add up."""

    __tablename__ = "score"
    run: str = Field(primary_key=True, foreign_key="run.id")
    key: str = Field(primary_key=True)
    value: float
