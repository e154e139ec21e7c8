"""The integers by which clients of Codabench know things."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from codabench.db.connection import Connected
from codabench.db.site_tables import NUMBER


class Numbers(Connected):
    """Each thing has one number of its kind, for ever."""

    def numbers(self, kind: str, keys: Iterable[str]) -> dict[str, int]:
        """The numbers of many things by their keys; those that have none get the next ones, in this order."""
        wanted = list(dict.fromkeys(keys))
        found = self._numbers(kind, wanted)
        new = [{"kind": kind, "key": key} for key in wanted if key not in found]
        if not new:
            return found
        with self._change() as db:
            # Whoever asks for the same at the same time gets the same: one of both writes it.
            db.execute(self._insert(NUMBER).on_conflict_do_nothing(), new)
        return {**found, **self._numbers(kind, [row["key"] for row in new])}

    def _numbers(self, kind: str, keys: list[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        with self._read() as db:
            for start in range(0, len(keys), 500):
                these = NUMBER.c.key.in_(keys[start : start + 500])
                found |= {row.key: row.id for row in db.execute(select(NUMBER).where(NUMBER.c.kind == kind, these))}
        return found

    def numbered(self, kind: str, number: int) -> str | None:
        """The key of the thing of that number; None: there is none of this kind."""
        with self._read() as db:
            mine = (NUMBER.c.kind == kind) & (NUMBER.c.id == number)
            return db.execute(select(NUMBER.c.key).where(mine)).scalar()
