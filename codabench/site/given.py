"""Data sets and tasks of a site, for bundles and descriptions that name them by key."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from codabench.bundle.defined.data import made
from codabench.bundle.document import to_text
from codabench.core.errors import Invalid
from codabench.core.hosting import Dataset, SharedTask
from codabench.core.trees import BlobRef, TreeRef
from codabench.site.actors import Actor
from codabench.site.offers import dataset_facts, task_facts
from codabench.site.policy import Action
from codabench.storage.sources import Content, TreeSource

if TYPE_CHECKING:
    from codabench.site.site import Site
    from codabench.storage.store import Storage


class Given:
    """What there is for a key, if the actor may use it; for ``datasets=`` of the readers of bundles.

    Whoever may use a task may use what it is made of.

    Attributes
    ----------
    datasets, tasks
        What was asked for and given, by key.
    """

    def __init__(self, site: Site, actor: Actor) -> None:
        self._site, self._actor = site, actor
        self.datasets: dict[str, Dataset] = {}
        self.tasks: dict[str, SharedTask] = {}
        self._of_tasks: set[str] = set()
        self._opened: list[TreeSource] = []

    def __call__(self, key: str) -> TreeSource | None:
        for dataset in self._site.db.datasets(keys=[key]):
            if dataset.content is not None and (key in self._of_tasks or self._may_use(dataset)):
                self.datasets[key] = dataset
                self._opened.append(tree_of(self._site.workspace.storage, dataset))
                return self._opened[-1]
        for task in self._site.db.tasks([key]):
            if self._site.policy.allows(self._actor, Action.TASK_USE, task_facts(task)):
                self.tasks[key] = task
                self._of_tasks.update(task.parts.values())
                return made(task.name, {"task.yaml": _archive(task).encode()})
        return None

    def _may_use(self, dataset: Dataset) -> bool:
        facts = dataset_facts(self._site, self._actor, dataset)
        return self._site.policy.allows(self._actor, Action.DATASET_DOWNLOAD, facts)

    def check_tasks(self, keys: Iterable[str]) -> None:
        """Refuse keys of tasks that are not there, or not for the actor.

        Raises
        ------
        Invalid
            ``CB802``: with the first of them.
        """
        for key in keys:
            found = self._site.db.tasks([key])
            if not any(self._site.policy.allows(self._actor, Action.TASK_USE, task_facts(task)) for task in found):
                raise Invalid({"phases": f"There is no task {key}."})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tree in self._opened:
            tree.close()


def tree_of(storage: Storage, dataset: Dataset) -> TreeSource:
    """The files of a data set: those in its archive, or the one file that it is."""
    content = dataset.content
    if isinstance(content, TreeRef):
        return storage.open_tree(content)
    assert isinstance(content, BlobRef)  # noqa: S101 - whoever calls this knows that there is something
    return made(dataset.name, {dataset.file_name: Content(content.size, lambda: storage.open(content))})


def _archive(task: SharedTask) -> str:
    """A task as the ``task.yaml`` of its archive, with its parts by key."""
    return to_text(
        {
            "name": task.name,
            "description": task.description,
            "is_public": task.is_public,
            "ingestion_only_during_scoring": task.ingestion_only_during_scoring,
            **{role: {"key": key} for role, key in task.parts.items()},
        }
    )
