"""Revisions of the tables, for alembic. A revision that was released is never changed."""
