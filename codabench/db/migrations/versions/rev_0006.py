"""Dispatchers say what they have: backends, engines, slots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("lease", sa.Column("about", sa.String))
    op.execute("UPDATE meta SET value = '6' WHERE key = 'format'")
