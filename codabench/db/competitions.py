"""Competitions, their trees, the revisions of their tasks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from codabench.core.competition import CompetitionSpec, TaskSpec
from codabench.core.errors import NotFound, StateError
from codabench.core.evaluations import Revision
from codabench.core.records import Status
from codabench.core.trees import TreeRef
from codabench.db.connection import Connected
from codabench.db.convert import revision_from, revision_row
from codabench.db.tables import BOARD, COMPETITION, MIGRATED, REVISION, RUN, TREE


class Kept(NamedTuple):
    """What is kept of a competition.

    Attributes
    ----------
    source
        Where it came from.
    created_at
        When it came first.
    trees
        Its stored programs, data and other files, by path.
    """

    spec: CompetitionSpec
    source: str
    created_at: datetime
    trees: dict[str, TreeRef]


class Competitions(Connected):
    """What is kept of competitions."""

    def add_competition(
        self, id: str, spec: CompetitionSpec, *, source: str, at: datetime, trees: Mapping[str, TreeRef] | None = None
    ) -> None:
        """Keep a competition; one that is known by this id stays as it is, and is listed again if it was deleted.

        Parameters
        ----------
        trees
            Its stored programs and data: a new one is there with all of them, or not at all.
        """
        row = {"title": spec.title, "source": source, "spec": spec.model_dump_json(), "created_at": at}
        with self._read() as db:
            known = db.execute(select(COMPETITION.c.id, COMPETITION.c.deleted_at).where(COMPETITION.c.id == id)).first()
        if known is not None and known.deleted_at is None:
            return
        with self._change() as db:
            new = self._insert(COMPETITION).values(id=id, **row)
            db.execute(new.on_conflict_do_update(index_elements=[COMPETITION.c.id], set_={"deleted_at": None}))
            if trees and not _trees(db, id):
                _replace(db, id, trees)

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
        """List a competition no more; what was kept of it stays.

        Raises
        ------
        StateError
            Runs of it are not over.
        """
        going = (RUN.c.competition == id) & RUN.c.status.not_in([s.value for s in Status if s.is_final])
        with self._change() as db:
            if db.execute(select(RUN.c.id).where(going).limit(1)).first() is not None:
                raise StateError(f"competition {id} has runs that are not over", hint="cancel them first")
            if not db.execute(update(COMPETITION).where(COMPETITION.c.id == id).values(deleted_at=at)).rowcount:
                raise NotFound(f"no competition {id!r} in {self.url}")

    def set_trees(self, competition: str, trees: dict[str, TreeRef]) -> None:
        """Keep which stored trees are the programs and data of a competition; what is known by a path is replaced."""
        if not trees:
            return
        with self._change() as db:
            # Who changes the same trees waits here, or PostgreSQL would find a path twice.
            db.execute(select(COMPETITION.c.id).where(COMPETITION.c.id == competition).with_for_update())
            _replace(db, competition, trees)

    def trees(self, competition: str) -> dict[str, TreeRef]:
        """The stored trees of a competition by path."""
        with self._read() as db:
            return _trees(db, competition)

    def kept_competition(self, id: str) -> Kept:
        """All that is kept of a competition, as of one moment; `NotFound` if there is none."""
        with self._snapshot() as db:
            row = db.execute(select(COMPETITION).where(COMPETITION.c.id == id)).first()
            if row is None:
                raise NotFound(f"no competition {id!r} in {self.url}")
            return Kept(CompetitionSpec.model_validate_json(row.spec), row.source, row.created_at, _trees(db, id))

    # ------------------------------------------------------------------ revisions
    def change_competition(
        self,
        id: str,
        before: CompetitionSpec,
        spec: CompetitionSpec,
        trees: Mapping[str, TreeRef],
        *,
        revised: Sequence[int | str] = (),
        gone: Iterable[str] = (),
        note: str = "",
        at: datetime,
    ) -> list[Revision]:
        """Have a competition be another one from now on: all of it at once.

        The first change of a task also keeps how it came, as revision 1. Where leaderboards change, what they were is
        kept.

        Parameters
        ----------
        before
            What it was when the change was made.
        trees, gone
            Stored programs and data by path: those that are new or changed, and the paths that it has no more.
        revised
            The tasks whose programs or data change.

        Raises
        ------
        NotFound
            No such competition, or no such task in it.
        StateError
            ``CB717``: somebody else changed it in the meantime.
        """
        with self._change() as db:
            row = db.execute(select(COMPETITION).where(COMPETITION.c.id == id).with_for_update()).first()
            if row is None:
                raise NotFound(f"no competition {id!r} in {self.url}")
            if CompetitionSpec.model_validate_json(row.spec) != before:
                raise changed_meanwhile(before.title)
            had = _trees(db, id)
            have = {**{path: ref for path, ref in had.items() if path not in set(gone)}, **trees}
            made = [
                _revise(
                    db,
                    _revision(id, _task(before, task), had, "", row.created_at),
                    _revision(id, _task(spec, task), have, note, at),
                )
                for task in revised
            ]
            if spec.leaderboards != before.leaderboards:
                boards = json.dumps([board.model_dump(mode="json") for board in before.leaderboards])
                db.execute(insert(BOARD).values(competition=id, leaderboards=boards, until=at))
            changed = {"title": spec.title, "spec": spec.model_dump_json()}
            db.execute(update(COMPETITION).where(COMPETITION.c.id == id).values(**changed))
            _replace(db, id, trees, gone)
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

    def newest_revisions(self, competition: str) -> dict[int | str, int]:
        """The newest revision of each task, on which new submissions are run; a task never changed is absent."""
        mine = select(REVISION.c.task, func.max(REVISION.c.number).label("number"))
        with self._read() as db:
            rows = db.execute(mine.where(REVISION.c.competition == competition).group_by(REVISION.c.task))
            return {json.loads(row.task): row.number for row in rows}

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


def changed_meanwhile(title: str) -> StateError:
    """The error of whoever comes second with a change."""
    message = f"competition {title!r} was changed by somebody else in the meantime"
    return StateError(message, code="CB717", hint="open it again, look at it, and repeat your change")


def _task(spec: CompetitionSpec, index: int | str) -> TaskSpec:
    try:
        return spec.task(index)
    except KeyError:
        raise NotFound(f"{spec.title!r} has no task {index!r}") from None


def _revision(id: str, task: TaskSpec, trees: Mapping[str, TreeRef], note: str, at: datetime) -> Revision:
    """A task as it is, or was, with its own trees."""
    names = {part.tree for part in task.parts.values()}
    # What is kept of a function that is called has the name of its program, and more.
    own = {path: ref for path, ref in trees.items() if {path, path.rpartition("#")[0]} & names}
    return Revision(competition=id, task=task.index, number=1, spec=task, trees=own, note=note, created_at=at)


def _revise(db: Connection, was: Revision, now: Revision) -> Revision:
    mine = (REVISION.c.competition == now.competition) & (REVISION.c.task == json.dumps(now.task))
    number = db.execute(select(func.max(REVISION.c.number)).where(mine)).scalar()
    if number is None:
        db.execute(insert(REVISION).values(**revision_row(was)))
    made = now.model_copy(update={"number": (number or 1) + 1})
    db.execute(insert(REVISION).values(**revision_row(made)))
    return made


def _replace(db: Connection, competition: str, trees: Mapping[str, TreeRef], gone: Iterable[str] = ()) -> None:
    rows = [{"competition": competition, "path": p, "ref": r.model_dump_json()} for p, r in sorted(trees.items())]
    db.execute(delete(TREE).where(TREE.c.competition == competition, TREE.c.path.in_([*trees, *gone])))
    if rows:
        db.execute(insert(TREE), rows)


def _trees(db: Connection, competition: str) -> dict[str, TreeRef]:
    rows = db.execute(select(TREE.c.path, TREE.c.ref).where(TREE.c.competition == competition))
    return {row.path: TreeRef.model_validate_json(row.ref) for row in rows}
