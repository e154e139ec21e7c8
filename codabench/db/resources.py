"""Data sets and tasks of a site."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from codabench.core.errors import NotFound
from codabench.core.hosting import Dataset, SharedTask
from codabench.core.trees import BlobRef, TreeRef
from codabench.db.connection import Connected
from codabench.db.site_tables import DATASET, TASK, TASK_SHARE


class Resources(Connected):
    """Files that people uploaded or that came with bundles, and the tasks that are made of them."""

    def add_dataset(self, dataset: Dataset) -> Dataset:
        """Keep a data set. Its number is given out here; a name that its owner has already gets a part of its key."""
        with self._change() as db:
            return insert_dataset(db, dataset)

    def dataset(self, key: str) -> Dataset:
        """A data set by its key; `NotFound` if there is none, or it was deleted."""
        found = self.datasets(keys=[key])
        if not found:
            raise NotFound(f"no data set {key}")
        return found[0]

    def datasets(self, *, keys: Collection[str] | None = None, competition: str | None = None) -> list[Dataset]:
        """Data sets that are not deleted, oldest first.

        Parameters
        ----------
        competition
            Those that belong to one: what came with its bundle, the bundle, and its dumps.
        """
        query = select(DATASET).where(DATASET.c.deleted_at.is_(None)).order_by(DATASET.c.id)
        if keys is not None:
            query = query.where(DATASET.c.key.in_(keys))
        if competition is not None:
            query = query.where(DATASET.c.competition == competition)
        with self._read() as db:
            return [dataset_from(row) for row in db.execute(query)]

    def change_dataset(self, key: str, **values: Any) -> None:
        """Change columns of a data set; `NotFound` if there is none."""
        with self._change() as db:
            if not db.execute(update(DATASET).where(DATASET.c.key == key).values(**values)).rowcount:
                raise NotFound(f"no data set {key}")

    def add_task(self, task: SharedTask) -> SharedTask:
        """Keep a task; its number is given out here."""
        with self._change() as db:
            return task_from(db.execute(insert(TASK).values(**task_row(task)).returning(TASK)).one())

    def tasks(self, keys: Collection[str]) -> list[SharedTask]:
        """Tasks by their keys, those that are not deleted, oldest first."""
        query = select(TASK).where(TASK.c.key.in_(keys), TASK.c.deleted_at.is_(None)).order_by(TASK.c.id)
        with self._read() as db:
            rows = db.execute(query).all()
            shared = shares(db, [row.id for row in rows])
        return [task_from(row, shared.get(row.id, ())) for row in rows]


# ---------------------------------------------------------------------- records and rows
def insert_dataset(db: Connection, dataset: Dataset) -> Dataset:
    """Keep a data set within a transaction."""
    row = dataset.model_dump(exclude={"id", "content", "type"}) | {"type": dataset.type.value}
    row |= {"name": _free_name(db, dataset), "tree": dataset.content and dataset.content.model_dump_json()}
    return dataset_from(db.execute(insert(DATASET).values(**row).returning(DATASET)).one())


def _free_name(db: Connection, dataset: Dataset) -> str:
    mine = (DATASET.c.owner == dataset.owner) & (DATASET.c.name == dataset.name) & DATASET.c.deleted_at.is_(None)
    taken = db.execute(select(DATASET.c.id).where(mine)).first()
    return dataset.name if taken is None else f"{dataset.name} ({dataset.key[:8]})"


def dataset_from(row: Any) -> Dataset:
    content = None if row.tree is None else json.loads(row.tree)
    fields = {name: getattr(row, name) for name in Dataset.model_fields if name != "content"}
    kind = TreeRef if content and "archive" in content else BlobRef
    return Dataset(**fields, content=content and kind.model_validate(content))


def task_row(task: SharedTask) -> dict[str, Any]:
    """A new task: its number is given out by the database."""
    return task.model_dump(exclude={"id", "shared_with"})


def task_from(row: Any, shared_with: Iterable[int] = ()) -> SharedTask:
    fields = {name: getattr(row, name) for name in SharedTask.model_fields if name != "shared_with"}
    return SharedTask(**fields, shared_with=frozenset(shared_with))


def shares(db: Connection, tasks: Sequence[int]) -> dict[int, set[int]]:
    """With whom tasks are shared, by their numbers."""
    found: dict[int, set[int]] = {}
    for row in db.execute(select(TASK_SHARE).where(TASK_SHARE.c.task.in_(tasks))):
        found.setdefault(row.task, set()).add(row.account)
    return found
