"""The tables of a site: people, what they host, what they were told."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)
LIVE = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    _people()
    _hosting()
    _resources()
    _work()
    op.execute("UPDATE meta SET value = '4' WHERE key = 'format'")


def _number() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _must(name: str, kind: Any = sa.String, *constraints: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *constraints, nullable=False, **options)


def _people() -> None:
    flags = [_must(name, sa.Boolean) for name in ("is_active", "is_staff", "is_superuser", "is_bot")]
    op.create_table(
        "account",
        _number(),
        _must("username", unique=True),
        sa.Column("email", sa.String, unique=True),
        sa.Column("password", sa.String),
        *[_must(name) for name in ("display_name", "profile", "notifications")],
        *flags,
        sa.Column("quota", sa.BigInteger),
        _must("created_at", MOMENT),
        *[sa.Column(name, MOMENT) for name in ("banned_at", "deleted_at")],
    )
    op.create_table(
        "credential",
        sa.Column("digest", sa.String, primary_key=True),
        _must("kind"),
        sa.Column("account", sa.Integer, sa.ForeignKey("account.id")),
        *[_must(name) for name in ("name", "scope")],
        _must("created_at", MOMENT),
        *[sa.Column(name, MOMENT) for name in ("expires_at", "used_at")],
    )
    op.create_index("ix_credential_kind", "credential", ["kind"])
    op.create_index("ix_credential_account", "credential", ["account"])
    op.create_table("forgotten_email", sa.Column("digest", sa.String, primary_key=True), _must("until", MOMENT))


def _hosting() -> None:
    op.create_table(
        "hosted",
        sa.Column("competition", sa.String, sa.ForeignKey("competition.id"), primary_key=True),
        _must("owner", sa.Integer, sa.ForeignKey("account.id")),
        _must("published", sa.Boolean),
        _must("secret_key", unique=True),
        _must("allow_robots", sa.Boolean),
        _must("whitelist"),
        _must("is_featured", sa.Boolean),
        _must("settings"),
        _must("created_at", MOMENT),
    )
    op.create_index("ix_hosted_owner", "hosted", ["owner"])
    op.create_table(
        "collaborator",
        sa.Column("competition", sa.String, sa.ForeignKey("competition.id"), primary_key=True),
        sa.Column("account", sa.Integer, sa.ForeignKey("account.id"), primary_key=True),
    )
    op.create_index("ix_collaborator_account", "collaborator", ["account"])
    op.create_table(
        "participation",
        _number(),
        _must("competition", sa.String, sa.ForeignKey("competition.id")),
        _must("account", sa.Integer, sa.ForeignKey("account.id")),
        _must("status"),
        _must("created_at", MOMENT),
        sa.Column("decided_at", MOMENT),
        sa.UniqueConstraint("competition", "account"),
    )
    op.create_index("ix_participation_account", "participation", ["account"])


def _resources() -> None:
    op.create_table(
        "dataset",
        _number(),
        _must("key", unique=True),
        _must("owner", sa.Integer, sa.ForeignKey("account.id")),
        *[_must(name) for name in ("type", "name", "description", "file_name")],
        _must("size", sa.BigInteger),
        sa.Column("tree", sa.String),
        *[_must(name, sa.Boolean) for name in ("is_public", "is_verified")],
        sa.Column("license", sa.String),
        sa.Column("competition", sa.String, sa.ForeignKey("competition.id")),
        _must("came_with_bundle", sa.Boolean),
        _must("downloads", sa.Integer),
        _must("created_at", MOMENT),
        sa.Column("deleted_at", MOMENT),
    )
    op.create_index(
        "ux_dataset_name", "dataset", ["owner", "name"], unique=True, sqlite_where=LIVE, postgresql_where=LIVE
    )
    op.create_index("ix_dataset_owner", "dataset", ["owner"])
    op.create_index("ix_dataset_competition", "dataset", ["competition"])
    parts = ("scoring_program", "ingestion_program", "input_data", "reference_data")
    op.create_table(
        "task",
        _number(),
        _must("key", unique=True),
        _must("owner", sa.Integer, sa.ForeignKey("account.id")),
        *[_must(name) for name in ("name", "description")],
        *[sa.Column(name, sa.String, sa.ForeignKey("dataset.key")) for name in parts],
        *[_must(name, sa.Boolean) for name in ("ingestion_only_during_scoring", "is_public")],
        _must("created_at", MOMENT),
        sa.Column("deleted_at", MOMENT),
    )
    op.create_index("ix_task_owner", "task", ["owner"])
    op.create_table(
        "task_share",
        sa.Column("task", sa.Integer, sa.ForeignKey("task.id"), primary_key=True),
        sa.Column("account", sa.Integer, sa.ForeignKey("account.id"), primary_key=True),
    )
    op.create_index("ix_task_share_account", "task_share", ["account"])
    op.create_table(
        "posted",
        sa.Column("submission", sa.String, sa.ForeignKey("submission.id"), primary_key=True),
        sa.Column("dataset", sa.String, sa.ForeignKey("dataset.key")),
        *[_must(name, sa.Boolean) for name in ("is_public", "is_specific_task")],
    )
    op.create_index("ix_posted_dataset", "posted", ["dataset"])


def _work() -> None:
    op.create_table(
        "mail",
        _number(),
        *[_must(name) for name in ("kind", "recipient", "subject", "body")],
        _must("created_at", MOMENT),
        *[sa.Column(name, MOMENT) for name in ("not_before", "sent_at")],
        _must("attempts", sa.Integer),
        sa.Column("error", sa.String),
    )
    op.create_table(
        "job",
        _number(),
        _must("kind"),
        _must("account", sa.Integer, sa.ForeignKey("account.id")),
        sa.Column("competition", sa.String, sa.ForeignKey("competition.id")),
        *[_must(name) for name in ("given", "state")],
        _must("done", sa.Float),
        _must("details"),
        *[sa.Column(name, sa.String) for name in ("result", "holder")],
        sa.Column("expires_at", MOMENT),
        _must("created_at", MOMENT),
        sa.Column("ended_at", MOMENT),
    )
    op.create_index("ix_job_account", "job", ["account"])
    op.create_index("ix_job_competition", "job", ["competition"])
    op.create_table(
        "number",
        _number(),
        _must("kind"),
        _must("key"),
        sa.UniqueConstraint("kind", "key"),
        sqlite_autoincrement=True,
    )
