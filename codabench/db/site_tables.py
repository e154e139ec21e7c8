"""The tables of a site: people, what they host, what they were told. In use only where there is a site.

Private to this package, like `codabench.db.tables`, and in the same chain of revisions.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from codabench.db.tables import moment, table_of

_LIVE = text("deleted_at IS NULL")


class AccountRow(SQLModel, table=True):
    """Somebody. An account that is deleted is emptied and stays, so that what refers to it does not break."""

    __tablename__ = "account"
    id: int | None = Field(default=None, primary_key=True)
    username: str = Field(unique=True)
    email: str | None = Field(default=None, unique=True)
    password: str | None = None
    display_name: str = ""
    profile: str = "{}"
    notifications: str = "{}"
    is_active: bool = False
    is_staff: bool = False
    is_superuser: bool = False
    is_bot: bool = False
    quota: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = moment()
    banned_at: datetime | None = moment(default=None)
    deleted_at: datetime | None = moment(default=None)


class CredentialRow(SQLModel, table=True):
    """A session, a token, or a link by mail: only the SHA-256 of what its holder shows."""

    __tablename__ = "credential"
    digest: str = Field(primary_key=True)
    kind: str = Field(index=True)
    account: int | None = Field(default=None, foreign_key="account.id", index=True)
    name: str = ""
    scope: str = "write"
    created_at: datetime = moment()
    expires_at: datetime | None = moment(default=None)
    used_at: datetime | None = moment(default=None)


class ForgottenEmailRow(SQLModel, table=True):
    """The SHA-256 of an address whose account was deleted: nobody signs up with it until then."""

    __tablename__ = "forgotten_email"
    digest: str = Field(primary_key=True)
    until: datetime = moment()


class HostedRow(SQLModel, table=True):
    """What a site knows of a competition beside its specification."""

    __tablename__ = "hosted"
    competition: str = Field(primary_key=True, foreign_key="competition.id")
    owner: int = Field(foreign_key="account.id", index=True)
    published: bool = False
    secret_key: str = Field(unique=True)
    allow_robots: bool = False
    whitelist: str = "[]"
    is_featured: bool = False
    settings: str = "{}"
    created_at: datetime = moment()


class CollaboratorRow(SQLModel, table=True):
    """Somebody with the powers of the creator, but for deleting."""

    __tablename__ = "collaborator"
    competition: str = Field(primary_key=True, foreign_key="competition.id")
    account: int = Field(primary_key=True, foreign_key="account.id", index=True)


class ParticipationRow(SQLModel, table=True):
    """An application to take part: one for ever."""

    __tablename__ = "participation"
    __table_args__ = (UniqueConstraint("competition", "account"),)
    id: int | None = Field(default=None, primary_key=True)
    competition: str = Field(foreign_key="competition.id")
    account: int = Field(foreign_key="account.id", index=True)
    status: str
    created_at: datetime = moment()
    decided_at: datetime | None = moment(default=None)


class DatasetRow(SQLModel, table=True):
    """A file somebody uploaded, or that came with a bundle."""

    __tablename__ = "dataset"
    __table_args__ = (
        Index("ux_dataset_name", "owner", "name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
    )
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    owner: int = Field(foreign_key="account.id", index=True)
    type: str
    name: str
    description: str = ""
    file_name: str
    size: int = Field(sa_type=BigInteger)
    tree: str | None = None
    is_public: bool = False
    is_verified: bool = False
    license: str | None = None
    competition: str | None = Field(default=None, foreign_key="competition.id", index=True)
    came_with_bundle: bool = False
    downloads: int = 0
    created_at: datetime = moment()
    deleted_at: datetime | None = moment(default=None)


class TaskRow(SQLModel, table=True):
    """A task that competitions use by its key. Its parts are keys of datasets."""

    __tablename__ = "task"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    owner: int = Field(foreign_key="account.id", index=True)
    name: str
    description: str = ""
    scoring_program: str | None = Field(default=None, foreign_key="dataset.key")
    ingestion_program: str | None = Field(default=None, foreign_key="dataset.key")
    input_data: str | None = Field(default=None, foreign_key="dataset.key")
    reference_data: str | None = Field(default=None, foreign_key="dataset.key")
    ingestion_only_during_scoring: bool = False
    is_public: bool = False
    created_at: datetime = moment()
    deleted_at: datetime | None = moment(default=None)


class TaskShareRow(SQLModel, table=True):
    """Somebody who sees and uses a task of another."""

    __tablename__ = "task_share"
    task: int = Field(primary_key=True, foreign_key="task.id")
    account: int = Field(primary_key=True, foreign_key="account.id", index=True)


class PostedRow(SQLModel, table=True):
    """What a site knows of a submission beside its row."""

    __tablename__ = "posted"
    submission: str = Field(primary_key=True, foreign_key="submission.id")
    dataset: str | None = Field(default=None, foreign_key="dataset.key", index=True)
    is_public: bool = False
    is_specific_task: bool = False


class MailRow(SQLModel, table=True):
    """A mail, kept until it is sent."""

    __tablename__ = "mail"
    id: int | None = Field(default=None, primary_key=True)
    kind: str = "plain"
    recipient: str
    subject: str
    body: str
    created_at: datetime = moment()
    not_before: datetime | None = moment(default=None)
    sent_at: datetime | None = moment(default=None)
    attempts: int = 0
    error: str | None = None


class JobRow(SQLModel, table=True):
    """Work that somebody waits for: a bundle that is unpacked, a dump."""

    __tablename__ = "job"
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    account: int = Field(foreign_key="account.id", index=True)
    competition: str | None = Field(default=None, foreign_key="competition.id", index=True)
    given: str = "{}"
    state: str
    done: float = 0.0
    details: str = ""
    result: str | None = None
    holder: str | None = None
    expires_at: datetime | None = moment(default=None)
    created_at: datetime = moment()
    ended_at: datetime | None = moment(default=None)


class NumberRow(SQLModel, table=True):
    """The integer by which clients of Codabench know something; given out once and never again."""

    __tablename__ = "number"
    __table_args__ = (UniqueConstraint("kind", "key"), {"sqlite_autoincrement": True})
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    key: str


ACCOUNT, CREDENTIAL, FORGOTTEN = table_of(AccountRow), table_of(CredentialRow), table_of(ForgottenEmailRow)
HOSTED, COLLABORATOR, PARTICIPATION = table_of(HostedRow), table_of(CollaboratorRow), table_of(ParticipationRow)
DATASET, TASK, TASK_SHARE, POSTED = table_of(DatasetRow), table_of(TaskRow), table_of(TaskShareRow), table_of(PostedRow)
MAIL, JOB, NUMBER = table_of(MailRow), table_of(JobRow), table_of(NumberRow)

METADATA = SQLModel.metadata
"""Everything, also what `codabench.db.tables` has."""
