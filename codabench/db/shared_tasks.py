"""Tasks of a site: what competitions use by its key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from codabench.core.base import Record
from codabench.core.errors import NotFound
from codabench.core.hosting import Dataset, SharedTask
from codabench.db.connection import Connected
from codabench.db.resources import alone, bytes_of, insert_dataset
from codabench.db.site_tables import DATASET, TASK, TASK_SHARE
from codabench.db.uses import PARTS, competitions_naming


class WantedTasks(Record):
    """Which tasks a list shows; everything that is said has to hold.

    Attributes
    ----------
    account
        Theirs, or shared with them; with `or_public` also public ones.
    text
        A part of the name or of the description.
    """

    account: int | None = None
    or_public: bool = False
    owned: bool | None = None
    text: str | None = None
    newest: bool = True


class SharedTasks(Connected):
    """Tasks, with whom they are shared, and what is made of them."""

    def add_task(
        self, task: SharedTask, datasets: Iterable[Dataset] = (), admit: Callable[[int], None] | None = None
    ) -> SharedTask:
        """Keep a task, with data sets that come with it; its number is given out here.

        Parameters
        ----------
        admit
            Raises unless they may be kept; told how many bytes the data sets of the owner have.

        Raises
        ------
        NotFound
            One of its data sets was deleted.
        """
        with self._change() as db:
            if admit is not None:
                alone(db, task.owner)
                admit(bytes_of(db, task.owner))
            for dataset in datasets:
                insert_dataset(db, dataset)
            _hold(db, task.parts.values())
            return _task_from(db.execute(insert(TASK).values(**task_row(task)).returning(TASK)).one())

    def tasks(self, keys: Collection[str]) -> list[SharedTask]:
        """Tasks by their keys, those that are not deleted, oldest first."""
        return self._tasks(TASK.c.key.in_(keys))

    def task_keyed(self, key: str) -> SharedTask:
        """A task by its key; `NotFound` if there is none, or it was deleted."""
        found = self.tasks([key])
        if not found:
            raise NotFound(f"no task {key}")
        return found[0]

    def task_numbered(self, id: int) -> SharedTask:
        """The same by its number."""
        found = self._tasks(TASK.c.id == id)
        if not found:
            raise NotFound(f"no task {id}")
        return found[0]

    def tasks_made_of(self, datasets: Collection[str]) -> list[SharedTask]:
        """Tasks of which one of these data sets is a part, oldest first."""
        return self._tasks(or_(*(TASK.c[role].in_(datasets) for role in PARTS)))

    def _tasks(self, condition: ColumnElement[bool]) -> list[SharedTask]:
        query = select(TASK).where(condition, _LIVE).order_by(TASK.c.id)
        with self._read() as db:
            return with_shares(db, db.execute(query).all())

    def wanted_tasks(
        self, wanted: WantedTasks, *, offset: int = 0, limit: int | None = None
    ) -> tuple[list[SharedTask], int]:
        """A piece of a list, and how many there are in all."""
        conditions = _conditions(wanted)
        order = TASK.c.id.desc() if wanted.newest else TASK.c.id
        query = select(TASK).where(*conditions).order_by(order).offset(offset).limit(limit)
        with self._read() as db:
            total = int(db.execute(select(func.count()).select_from(TASK).where(*conditions)).scalar_one())
            return with_shares(db, db.execute(query).all()), total

    def change_task(self, key: str, changes: Mapping[str, Any]) -> None:
        """Change columns of a task; `NotFound` if there is none, or a data set that it should have was deleted."""
        with self._change() as db:
            _hold(db, [value for name, value in changes.items() if name in PARTS and value is not None])
            if not db.execute(update(TASK).where(TASK.c.key == key, _LIVE).values(**changes)).rowcount:
                raise NotFound(f"no task {key}")

    def share_task(self, id: int, accounts: Collection[int]) -> None:
        """Have these accounts see and use a task, and no others beside its owner."""
        with self._change() as db:
            db.execute(delete(TASK_SHARE).where(TASK_SHARE.c.task == id))
            if accounts:
                db.execute(insert(TASK_SHARE), [{"task": id, "account": each} for each in sorted(accounts)])

    def drop_tasks(self, keys: Collection[str], *, at: datetime) -> set[str]:
        """Delete tasks; returns those that are in use, and then nothing has changed."""
        with self._change() as db:
            if used := set(competitions_naming(db, keys)):
                return used
            db.execute(update(TASK).where(TASK.c.key.in_(keys), _LIVE).values(deleted_at=at))
        return set()


_LIVE = TASK.c.deleted_at.is_(None)


def _conditions(wanted: WantedTasks) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_LIVE]
    if wanted.account is not None:
        mine = TASK.c.owner == wanted.account
        shared = TASK.c.id.in_(select(TASK_SHARE.c.task).where(TASK_SHARE.c.account == wanted.account))
        found.append(or_(mine, shared, TASK.c.is_public) if wanted.or_public else or_(mine, shared))
        if wanted.owned is not None:
            found.append(mine if wanted.owned else ~mine)
    if wanted.text:
        columns = (TASK.c.name, TASK.c.description)
        found.append(or_(*(func.lower(c).contains(wanted.text.lower(), autoescape=True) for c in columns)))
    return found


def _hold(db: Connection, keys: Iterable[str]) -> None:
    """Keep data sets from being deleted until the end of the transaction."""
    for key in sorted(set(keys)):
        here = select(DATASET.c.id).where(DATASET.c.key == key, DATASET.c.deleted_at.is_(None))
        if db.execute(here.with_for_update(read=True)).first() is None:
            raise NotFound(f"no data set {key}")


# ---------------------------------------------------------------------- records and rows
def task_row(task: SharedTask) -> dict[str, Any]:
    """A new task: its number is given out by the database."""
    return task.model_dump(exclude={"id", "shared_with"})


def _task_from(row: Any, shared_with: Iterable[int] = ()) -> SharedTask:
    fields = {name: getattr(row, name) for name in SharedTask.model_fields if name != "shared_with"}
    return SharedTask(**fields, shared_with=frozenset(shared_with))


def with_shares(db: Connection, rows: Sequence[Any]) -> list[SharedTask]:
    """Tasks of their rows."""
    shared: dict[int, set[int]] = {}
    for each in db.execute(select(TASK_SHARE).where(TASK_SHARE.c.task.in_([row.id for row in rows]))):
        shared.setdefault(each.task, set()).add(each.account)
    return [_task_from(row, shared.get(row.id, ())) for row in rows]
