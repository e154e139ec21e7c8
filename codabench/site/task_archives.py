"""Archives with a ``task.yaml`` that become tasks of a site."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from codabench.bundle.load import Bundle, read_bundle
from codabench.core.competition import DataRole, TaskSpec
from codabench.core.errors import BundleError
from codabench.core.hosting import Dataset, SharedTask
from codabench.core.trees import TreeRef
from codabench.site.actors import Actor
from codabench.site.given import Given
from codabench.site.task_fields import LONGEST

if TYPE_CHECKING:
    from codabench.site.site import Site


def task_of(site: Site, actor: Actor, owner: int, path: Path) -> SharedTask:
    """Make a task of an archive, with data sets for what comes in it.

    Raises
    ------
    BundleError
        It cannot be used; ``.report`` holds every problem.
    Invalid
        ``CB802``: ``data_file``, where there is no room for it.
    """
    limits = site.settings.archives
    with Given(site, actor) as given, read_bundle(path, limits=limits, datasets=given) as bundle:
        bundle.report.raise_for_errors()
        if bundle.format != "task" or bundle.spec is None:
            hint = "upload it as a bundle"
            raise BundleError("this is the bundle of a competition, not a task", code="CB110", hint=hint)
        task = bundle.spec.tasks[0]
        parts, new = _parts(site, owner, bundle, task, given)
        made = SharedTask(
            key=str(uuid.uuid4()),
            owner=owner,
            name=task.name[:LONGEST],
            description=task.description or "",
            **parts,
            ingestion_only_during_scoring=task.ingestion_only_during_scoring,
            is_public=task.extras.get("is_public") is True,
            created_at=site.now(),
        )
        admit = site.quota.admission(owner, sum(dataset.size for dataset in new))
        return site.db.add_task(made, new, admit)


def _parts(
    site: Site, owner: int, bundle: Bundle, task: TaskSpec, given: Given
) -> tuple[dict[str, str], Iterable[Dataset]]:
    """The keys of what a task is made of, and data sets for what came with its archive."""
    keys: dict[str, str] = {}
    new: dict[str, Dataset] = {}
    for role, part in task.parts.items():
        if part.key in given.datasets:
            keys[role] = part.key
            continue
        tree = part.tree or ""
        if tree not in new:
            kept = site.workspace.storage.put_tree(bundle.tree(part))
            new[tree] = _dataset(site, owner, DataRole(role), task.name, part.path or "", kept)
        keys[role] = new[tree].key
    return keys, new.values()


def _dataset(site: Site, owner: int, role: DataRole, task: str, path: str, kept: TreeRef) -> Dataset:
    file_name = posixpath.basename(path)
    return Dataset(
        key=str(uuid.uuid4()),
        owner=owner,
        type=role,
        name=f"{task[:100]} - {role.words} {file_name[:100]}",
        file_name=file_name if file_name.endswith(".zip") else f"{file_name or role.value}.zip",
        size=kept.size,
        content=kept,
        created_at=site.now(),
    )
