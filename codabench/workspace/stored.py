"""The programs and data of competitions as stored trees."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from codabench.core.competition import TaskSpec
from codabench.db.database import Database
from codabench.storage.store import Storage
from codabench.workspace.planning import stored_name

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


class StoredTrees:
    """Stores what tasks need, once for each competition object."""

    def __init__(self, db: Database, storage: Storage) -> None:
        self._db, self._storage = db, storage
        self._known: weakref.WeakKeyDictionary[Competition, set[str]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def keep(self, competition: Competition, tasks: Sequence[TaskSpec], *, inline: bool = False) -> None:
        """Store what tasks need and is not stored yet; a local run of one task leaves the other data alone."""
        with self._lock:
            known = self._known.setdefault(competition, set())
            specs = {stored_name(p, inline=inline): p for task in tasks for p in task.parts.values()}
            # What another object of this competition stored is looked at again: its files may have changed since.
            new = {name: spec for name, spec in specs.items() if name is not None and name not in known}
            if new:
                trees = {
                    name: competition.called(spec) if name != spec.tree else competition.tree(spec)
                    for name, spec in new.items()
                }
                self._db.set_trees(competition.id, {name: self._storage.put_tree(tree) for name, tree in trees.items()})
                known.update(new)
