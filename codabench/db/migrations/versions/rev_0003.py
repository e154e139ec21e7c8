"""Indexes that hold all that a board needs of submissions, runs and scores, so that no row is read for it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SUBMISSION = ["sequence", "id", "participant", "created_at", "origin", "origin_kind", "deleted_at"]
_RUN = ["submission", "task", "status", "shown", "batch", "finished_at", "id"]


def upgrade() -> None:
    op.create_index("ix_submission_board", "submission", ["competition", "phase", *_SUBMISSION])
    where = sa.text("deleted_at IS NOT NULL")
    gone: dict[str, Any] = {"sqlite_where": where, "postgresql_where": where}
    op.create_index("ix_submission_deleted", "submission", ["competition", "phase"], **gone)
    op.create_index("ix_run_board", "run", ["competition", *_RUN])
    op.create_index("ix_score_board", "score", ["run", "key", "value"])
    op.execute("UPDATE meta SET value = '3' WHERE key = 'format'")
