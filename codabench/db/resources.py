"""Data sets of a site: files that people uploaded, or that came with bundles."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from codabench.core.base import Record
from codabench.core.competition import DataRole
from codabench.core.errors import NotFound
from codabench.core.hosting import Dataset
from codabench.core.trees import BlobRef, TreeRef
from codabench.db.connection import Connected
from codabench.db.site_tables import ACCOUNT, DATASET
from codabench.db.uses import needed_datasets


class WantedDatasets(Record):
    """Which data sets a list shows; everything that is said has to hold.

    Attributes
    ----------
    owner
        Theirs; with `or_public` also those of others that are public.
    text
        A part of the name or of the description.
    uploaded
        Its bytes are there.
    """

    owner: int | None = None
    or_public: bool = False
    types: tuple[DataRole, ...] | None = None
    name: str | None = None
    key: str | None = None
    text: str | None = None
    is_public: bool | None = None
    is_verified: bool | None = None
    has_license: bool | None = None
    came_with_bundle: bool | None = None
    uploaded: bool | None = None
    order: Literal["oldest", "newest", "downloads"] = "newest"


class Resources(Connected):
    """Data sets. One that is deleted keeps its row, and names no bytes any more."""

    def add_dataset(self, dataset: Dataset) -> Dataset:
        """Keep a data set. Its number is given out here; a name that its owner has already gets a part of its key."""
        with self._change() as db:
            return insert_dataset(db, dataset)

    def admit_dataset(self, dataset: Dataset, admit: Callable[[int, bool], None]) -> Dataset:
        """The same, if there is room.

        Parameters
        ----------
        admit
            Raises unless it may be kept; told how many bytes the data sets of its owner have, and whether one of them
            has this name. No other data set of this owner can come between that and what is written.
        """
        with self._change() as db:
            # Of two uploads that fit one by one, both need not fit.
            alone(db, dataset.owner)
            admit(bytes_of(db, dataset.owner), _name_taken(db, dataset.owner, dataset.name))
            return insert_dataset(db, dataset)

    def dataset(self, key: str) -> Dataset:
        """A data set by its key; `NotFound` if there is none, or it was deleted."""
        found = self.datasets(keys=[key])
        if not found:
            raise NotFound(f"no data set {key}")
        return found[0]

    def dataset_numbered(self, id: int) -> Dataset:
        """The same by its number."""
        with self._read() as db:
            row = db.execute(select(DATASET).where(DATASET.c.id == id, LIVE)).first()
        if row is None:
            raise NotFound(f"no data set {id}")
        return dataset_from(row)

    def datasets(self, *, keys: Collection[str] | None = None, competition: str | None = None) -> list[Dataset]:
        """Data sets that are not deleted, oldest first.

        Parameters
        ----------
        competition
            Those that belong to one: what came with its bundle, the bundle, and its dumps.
        """
        query = select(DATASET).where(LIVE).order_by(DATASET.c.id)
        if keys is not None:
            query = query.where(DATASET.c.key.in_(keys))
        if competition is not None:
            query = query.where(DATASET.c.competition == competition)
        with self._read() as db:
            return [dataset_from(row) for row in db.execute(query)]

    def wanted_datasets(
        self, wanted: WantedDatasets, *, offset: int = 0, limit: int | None = None
    ) -> tuple[list[Dataset], int]:
        """A piece of a list, and how many there are in all."""
        conditions = _conditions(wanted)
        orders: dict[str, tuple[Any, ...]] = {
            "oldest": (DATASET.c.id,),
            "newest": (DATASET.c.id.desc(),),
            "downloads": (DATASET.c.downloads.desc(), DATASET.c.id.desc()),
        }
        query = select(DATASET).where(*conditions).order_by(*orders[wanted.order]).offset(offset).limit(limit)
        with self._read() as db:
            total = int(db.execute(select(func.count()).select_from(DATASET).where(*conditions)).scalar_one())
            return [dataset_from(row) for row in db.execute(query)], total

    def dataset_bytes(self, owner: int) -> int:
        """What somebody's data sets have, also those whose bytes are still to come."""
        with self._read() as db:
            return bytes_of(db, owner)

    def fill_dataset(self, key: str, content: TreeRef | BlobRef) -> bool:
        """Say where the bytes of a data set are; False: it has some already, or was deleted."""
        empty = (DATASET.c.key == key) & DATASET.c.tree.is_(None) & LIVE
        with self._change() as db:
            done = update(DATASET).where(empty).values(tree=content.model_dump_json(), size=content.size)
            return db.execute(done).rowcount == 1

    def count_download(self, key: str) -> None:
        """One more download."""
        with self._change() as db:
            db.execute(update(DATASET).where(DATASET.c.key == key).values(downloads=DATASET.c.downloads + 1))

    def drop_datasets(self, keys: Collection[str], *, at: datetime) -> set[str]:
        """Delete data sets; returns those that are in use, and then nothing has changed."""
        with self._change() as db:
            mine = DATASET.c.key.in_(keys)
            db.execute(select(DATASET.c.id).where(mine).with_for_update())
            if used := needed_datasets(db, keys):
                return used
            db.execute(update(DATASET).where(mine, LIVE).values(deleted_at=at, tree=None))
        return set()

    def drop_unfilled_datasets(self, *, before: datetime, at: datetime) -> int:
        """Delete those that were announced before a moment and never came; returns how many."""
        left = DATASET.c.tree.is_(None) & (DATASET.c.created_at < before) & LIVE
        with self._change() as db:
            return int(db.execute(update(DATASET).where(left).values(deleted_at=at)).rowcount)

    def edit_dataset(self, key: str, values: Mapping[str, Any]) -> bool:
        """Change columns of a data set; False: its owner has another of this name, and nothing has changed."""
        with self._change() as db:
            row = db.execute(select(DATASET.c.owner, DATASET.c.name).where(DATASET.c.key == key, LIVE)).first()
            if row is None:
                raise NotFound(f"no data set {key}")
            alone(db, row.owner)
            name = values.get("name", row.name)
            if name != row.name and _name_taken(db, row.owner, name):
                return False
            db.execute(update(DATASET).where(DATASET.c.key == key).values(**values))
        return True

    def change_dataset(self, key: str, **values: Any) -> None:
        """Change columns of a data set; `NotFound` if there is none."""
        with self._change() as db:
            if not db.execute(update(DATASET).where(DATASET.c.key == key).values(**values)).rowcount:
                raise NotFound(f"no data set {key}")


LIVE = DATASET.c.deleted_at.is_(None)


def _conditions(wanted: WantedDatasets) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [LIVE]
    if wanted.owner is not None:
        mine = DATASET.c.owner == wanted.owner
        found.append(or_(mine, DATASET.c.is_public) if wanted.or_public else mine)
    if wanted.types is not None:
        found.append(DATASET.c.type.in_([role.value for role in wanted.types]))
    for name in ("name", "key", "is_public", "is_verified", "came_with_bundle"):
        if (value := getattr(wanted, name)) is not None:
            found.append(DATASET.c[name] == value)
    if wanted.has_license is not None:
        licensed = func.coalesce(DATASET.c.license, "") != ""
        found.append(licensed if wanted.has_license else ~licensed)
    if wanted.uploaded is not None:
        found.append(DATASET.c.tree.is_not(None) if wanted.uploaded else DATASET.c.tree.is_(None))
    if wanted.text:
        columns = (DATASET.c.name, DATASET.c.description)
        found.append(or_(*(func.lower(c).contains(wanted.text.lower(), autoescape=True) for c in columns)))
    return found


def alone(db: Connection, owner: int) -> None:
    """Keep others out who change the data sets of an account, until the end of the transaction."""
    db.execute(update(ACCOUNT).where(ACCOUNT.c.id == owner).values(quota=ACCOUNT.c.quota))


def bytes_of(db: Connection, owner: int) -> int:
    """What the data sets of an account have."""
    total = select(func.coalesce(func.sum(DATASET.c.size), 0)).where(DATASET.c.owner == owner, LIVE)
    return int(db.execute(total).scalar_one())


# ---------------------------------------------------------------------- records and rows
def insert_dataset(db: Connection, dataset: Dataset) -> Dataset:
    """Keep a data set within a transaction."""
    row = dataset.model_dump(exclude={"id", "content", "type"}) | {"type": dataset.type.value}
    row |= {"name": _free_name(db, dataset), "tree": dataset.content and dataset.content.model_dump_json()}
    return dataset_from(db.execute(insert(DATASET).values(**row).returning(DATASET)).one())


def _free_name(db: Connection, dataset: Dataset) -> str:
    taken = _name_taken(db, dataset.owner, dataset.name)
    return f"{dataset.name} ({dataset.key[:8]})" if taken else dataset.name


def _name_taken(db: Connection, owner: int, name: str) -> bool:
    mine = (DATASET.c.owner == owner) & (DATASET.c.name == name) & LIVE
    return db.execute(select(DATASET.c.id).where(mine)).first() is not None


def dataset_from(row: Any) -> Dataset:
    fields = {name: getattr(row, name) for name in Dataset.model_fields if name != "content"}
    return Dataset(**fields, content=row.tree and content_from(row.tree))


def content_from(text: str) -> TreeRef | BlobRef:
    """Where the bytes of a data set are, as its row says it."""
    said = json.loads(text)
    return (TreeRef if "archive" in said else BlobRef).model_validate(said)
