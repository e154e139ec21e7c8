"""Data sets as clients of Codabench read them (platform.md 3.9)."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from codabench.core.hosting import Dataset
from codabench.site.accounts import Called
from codabench.web.api.common import wire


class Titled(BaseModel):
    """A competition that something belongs to."""

    id: int
    title: str


class Use(BaseModel):
    """A competition that needs something."""

    pk: int
    title: str


class DatasetItem(BaseModel):
    """A data set; ``value`` is its key once more."""

    id: int
    created_by: str
    owner_display_name: str
    created_when: str
    name: str
    type: str
    description: str
    is_public: bool
    is_verified: bool
    license: str | None
    downloads: int
    key: str
    value: str
    was_created_by_competition: bool
    in_use: list[Use]
    competition: Titled | None
    file_name: str
    file_size: int


def dataset_item(
    dataset: Dataset, owner: Called, *, competition: Titled | None = None, in_use: Iterable[Use] = ()
) -> DatasetItem:
    """A data set as clients read it."""
    return DatasetItem(
        id=dataset.id,
        created_by=owner.username,
        owner_display_name=owner.shown,
        created_when=wire(dataset.created_at),
        name=dataset.name,
        type=dataset.type.value,
        description=dataset.description,
        is_public=dataset.is_public,
        is_verified=dataset.is_verified,
        license=dataset.license,
        downloads=dataset.downloads,
        key=dataset.key,
        value=dataset.key,
        was_created_by_competition=dataset.came_with_bundle,
        in_use=list(in_use),
        competition=competition,
        file_name=dataset.file_name,
        file_size=dataset.size,
    )
