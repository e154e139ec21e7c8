"""Competitions, their trees, the revisions of their tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from codabench.core.competition import CompetitionSpec, TaskSpec
from codabench.core.errors import NotFound
from codabench.core.evaluations import Revision
from codabench.core.trees import TreeRef
from codabench.db.connection import Connected
from codabench.db.convert import revision_from, revision_row
from codabench.db.tables import COMPETITION, MIGRATED, REVISION, TREE


class Competitions(Connected):
    """What is kept of competitions."""

    def add_competition(self, id: str, spec: CompetitionSpec, *, source: str, at: datetime) -> None:
        """Keep a competition; one that is known by this id stays as it is, and is listed again if it was deleted."""
        row = {"title": spec.title, "source": source, "spec": spec.model_dump_json(), "created_at": at}
        with self._read() as db:
            known = db.execute(select(COMPETITION.c.id, COMPETITION.c.deleted_at).where(COMPETITION.c.id == id)).first()
        if known is not None and known.deleted_at is None:
            return
        with self._change() as db:
            new = self._insert(COMPETITION).values(id=id, **row)
            db.execute(new.on_conflict_do_update(index_elements=[COMPETITION.c.id], set_={"deleted_at": None}))

    def competition(self, id: str) -> CompetitionSpec:
        """A competition by its id; `NotFound` if there is none."""
        with self._read() as db:
            row = db.execute(select(COMPETITION.c.spec).where(COMPETITION.c.id == id)).first()
        if row is None:
            raise NotFound(f"no competition {id!r} in {self.url}")
        return CompetitionSpec.model_validate_json(row.spec)

    def competitions(self) -> list[tuple[str, str]]:
        """(id, title) of every competition that is not deleted, oldest first."""
        listed = select(COMPETITION.c.id, COMPETITION.c.title).where(COMPETITION.c.deleted_at.is_(None))
        with self._read() as db:
            return [(row.id, row.title) for row in db.execute(listed.order_by(COMPETITION.c.created_at))]

    def delete_competition(self, id: str, *, at: datetime) -> None:
        """List a competition no more; what was kept of it stays."""
        with self._change() as db:
            if not db.execute(update(COMPETITION).where(COMPETITION.c.id == id).values(deleted_at=at)).rowcount:
                raise NotFound(f"no competition {id!r} in {self.url}")

    def set_trees(self, competition: str, trees: dict[str, TreeRef]) -> None:
        """Keep which stored trees are the programs and data of a competition; what is known by a path is replaced."""
        rows = [{"competition": competition, "path": p, "ref": r.model_dump_json()} for p, r in sorted(trees.items())]
        if not rows:
            return
        with self._change() as db:
            # Who changes the same trees waits here, or PostgreSQL would find a path twice.
            db.execute(select(COMPETITION.c.id).where(COMPETITION.c.id == competition).with_for_update())
            db.execute(delete(TREE).where(TREE.c.competition == competition, TREE.c.path.in_(list(trees))))
            db.execute(insert(TREE), rows)

    def trees(self, competition: str) -> dict[str, TreeRef]:
        """The stored trees of a competition by path."""
        with self._read() as db:
            return _trees(db, competition)

    # ------------------------------------------------------------------ revisions
    def add_revision(
        self,
        competition: str,
        task: int | str,
        spec: TaskSpec,
        trees: Mapping[str, TreeRef],
        *,
        note: str,
        at: datetime,
    ) -> Revision:
        """Keep a task as it is from now on. The first change also keeps how the competition came, as revision 1.

        Raises
        ------
        NotFound
            No such competition, or no such task in it.
        """
        key = json.dumps(task)
        mine = (REVISION.c.competition == competition) & (REVISION.c.task == key)
        with self._change() as db:
            row = db.execute(select(COMPETITION).where(COMPETITION.c.id == competition).with_for_update()).first()
            if row is None:
                raise NotFound(f"no competition {competition!r} in {self.url}")
            number = db.execute(select(func.max(REVISION.c.number)).where(mine)).scalar()
            if number is None:
                before = _task(CompetitionSpec.model_validate_json(row.spec), task)
                first = Revision(
                    competition=competition,
                    task=task,
                    number=1,
                    spec=before,
                    trees=_trees(db, competition),
                    created_at=row.created_at,
                )
                db.execute(insert(REVISION).values(**revision_row(first)))
                number = 1
            made = Revision(
                competition=competition,
                task=task,
                number=number + 1,
                spec=spec,
                trees=dict(trees),
                note=note,
                created_at=at,
            )
            db.execute(insert(REVISION).values(**revision_row(made)))
        return made

    def revisions(self, competition: str, task: int | str | None = None) -> list[Revision]:
        """The revisions of a competition's tasks, oldest first; a task that was never changed has none."""
        query = select(REVISION).where(REVISION.c.competition == competition)
        if task is not None:
            query = query.where(REVISION.c.task == json.dumps(task))
        with self._read() as db:
            return [revision_from(row) for row in db.execute(query.order_by(REVISION.c.task, REVISION.c.number))]

    def revision(self, competition: str, task: int | str, number: int) -> Revision | None:
        """One revision of a task; None if the task was never changed."""
        mine = (REVISION.c.competition == competition) & (REVISION.c.task == json.dumps(task))
        with self._read() as db:
            row = db.execute(select(REVISION).where(mine, REVISION.c.number == number)).first()
        return None if row is None else revision_from(row)

    # ------------------------------------------------------------------ phases
    def mark_migrated(self, competition: str, phase: int, *, at: datetime) -> bool:
        """Note that a phase got the submissions of the one before it; False if somebody did so already."""
        with self._change() as db:
            new = self._insert(MIGRATED).values(competition=competition, phase=phase, at=at)
            return db.execute(new.on_conflict_do_nothing().returning(MIGRATED.c.phase)).first() is not None

    def migrated(self, competition: str) -> dict[int, datetime]:
        """Which phases were migrated to, and when."""
        with self._read() as db:
            rows = db.execute(select(MIGRATED.c.phase, MIGRATED.c.at).where(MIGRATED.c.competition == competition))
            return {row.phase: row.at for row in rows}


def _task(spec: CompetitionSpec, index: int | str) -> TaskSpec:
    try:
        return spec.task(index)
    except KeyError:
        raise NotFound(f"{spec.title!r} has no task {index!r}") from None


def _trees(db: Connection, competition: str) -> dict[str, TreeRef]:
    rows = db.execute(select(TREE.c.path, TREE.c.ref).where(TREE.c.competition == competition))
    return {row.path: TreeRef.model_validate_json(row.ref) for row in rows}
