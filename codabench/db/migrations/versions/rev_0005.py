"""The scores of a run lie in its row, and in the index that boards are read from; what boards were is kept."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_RUN = ["submission", "task", "status", "shown", "batch", "finished_at", "id"]


def upgrade() -> None:
    op.add_column("run", sa.Column("scores", sa.String))
    _fill()
    op.drop_index("ix_score_board", "score")
    op.drop_table("score")
    op.drop_index("ix_run_board", "run")
    last = ["scores"] if op.get_bind().dialect.name == "sqlite" else []
    op.create_index("ix_run_board", "run", ["competition", *_RUN, *last])
    op.create_table(
        "board",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("competition", sa.String, sa.ForeignKey("competition.id"), nullable=False),
        sa.Column("leaderboards", sa.String, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_board_competition", "board", ["competition"])
    op.execute("UPDATE meta SET value = '5' WHERE key = 'format'")


def _fill() -> None:
    """Bring what was one row for each number into the rows of the runs."""
    db = op.get_bind()
    rows = db.execute(sa.text("SELECT run, key, value FROM score ORDER BY run, key")).all()
    made = [
        {"run": run, "scores": json.dumps({key: value for _, key, value in own})}
        for run, own in groupby(rows, key=itemgetter(0))
    ]
    if made:
        db.execute(sa.text("UPDATE run SET scores = :scores WHERE id = :run"), made)
