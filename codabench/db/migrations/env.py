"""Run by alembic: the connection, its transaction and its lock are those of `codabench.db.schema`."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
