"""The tables of the first versions, which did not say which revision they had."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table("meta", _text("key", key=True), _text("value"))
    op.create_table("lease", _text("name", key=True), _text("holder"), _text("token"), _moment("expires_at"))
    op.create_table(
        "competition", _text("id", key=True), _text("title"), _text("source"), _text("spec"), _moment("created_at")
    )
    op.create_table("tree", _text("competition", key=True, of="competition.id"), _text("path", key=True), _text("ref"))
    op.create_table(
        "submission",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        _text("competition", of="competition.id"),
        _number("phase"),
        _text("name"),
        _text("participant"),
        _number("number"),
        _text("tree"),
        _text("tasks"),
        _text("fact_sheet"),
        _text("options"),
        _moment("created_at"),
        sa.UniqueConstraint("competition", "participant", "number"),
    )
    op.create_index("ix_submission_competition", "submission", ["competition"])
    op.create_table(
        "run",
        _text("id", key=True),
        _text("submission", of="submission.id"),
        _text("task"),
        _number("position"),
        _text("status"),
        _number("last_event"),
        sa.Column("attempt", sa.String),
        sa.Column("outcome", sa.String),
        _moment("created_at"),
    )
    for name in ("submission", "status", "created_at"):
        op.create_index(f"ix_run_{name}", "run", [name])
    op.create_table(
        "attempt", _text("id", key=True), _text("run", of="run.id"), _number("number"), _text("token"),
        _moment("started_at"),
    )  # fmt: skip
    op.create_index("ix_attempt_run", "attempt", ["run"])
    op.create_table(
        "status_event",
        _text("run", key=True, of="run.id"),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        _text("kind"),
        _moment("at"),
        sa.Column("attempt", sa.String),
        _text("data"),
    )
    op.create_table(
        "score",
        _text("run", key=True, of="run.id"),
        _text("key", key=True),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.execute("INSERT INTO meta (key, value) VALUES ('format', '1')")


def _text(name: str, *, key: bool = False, of: str | None = None) -> sa.Column[str]:
    references = [sa.ForeignKey(of)] if of else []
    return sa.Column(name, sa.String, *references, primary_key=key, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, MOMENT, nullable=False)
