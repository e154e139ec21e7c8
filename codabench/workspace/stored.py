"""What a workspace stores of competitions, and what it makes of files that have changed since."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from codabench.bundle.fields import shorten
from codabench.bundle.keys import parts_of
from codabench.core.competition import CompetitionSpec, TaskSpec
from codabench.core.errors import UsageError
from codabench.core.trees import TreeRef
from codabench.db.database import Database
from codabench.storage.store import Storage
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.planning import stored_name
from codabench.workspace.reopened import LAYOUT, Layout, StoredBundle, keep_bundle

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


class StoredTrees:
    """Stores competitions, each object of one once."""

    def __init__(self, db: Database, storage: Storage) -> None:
        self._db, self._storage = db, storage
        self._known: weakref.WeakKeyDictionary[Competition, set[str]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def kept(self, competition: str) -> StoredBundle:
        """A competition as it is kept here; `NotFound` if there is none."""
        return StoredBundle(self._storage, self._db.kept_competition(competition))

    def add(self, competition: Competition) -> None:
        """Store all of a competition. What has changed since it was added before makes new revisions of tasks."""
        if self._is_here(competition):
            return
        with self._lock:
            trees, layout = keep_bundle(self._storage, competition.bundle, competition.spec)
            merged = _merged(layout, None, competition.spec, trees)
            self._begin(competition, {**trees, LAYOUT: self._storage.put_tree(merged.tree())})
            self._take(competition, trees, layout)
            self._known.setdefault(competition, set()).update(trees)

    def keep(self, competition: Competition, tasks: Sequence[TaskSpec], *, inline: bool = False) -> None:
        """Store what tasks need and is not stored yet; a local run of one task leaves the other data alone."""
        if self._is_here(competition):
            return
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
                refs = {name: self._storage.put_tree(tree) for name, tree in trees.items()}
                self._begin(competition, refs)
                self._take(competition, refs)
                known.update(new)

    def _begin(self, competition: Competition, trees: Mapping[str, TreeRef]) -> None:
        """Have a new competition here, all at once: whoever is killed before has added nothing of it.

        One that is here already stays as it is.
        """
        id, spec, source = competition.id, competition.spec, competition.source
        self._db.add_competition(id, spec, source=source, at=utc_now(), trees=trees)

    def _is_here(self, competition: Competition) -> bool:
        bundle = competition.bundle
        return isinstance(bundle, StoredBundle) and bundle.storage is self._storage

    def _take(self, competition: Competition, trees: dict[str, TreeRef], layout: Layout | None = None) -> None:
        kept = self._db.kept_competition(competition.id)
        before = Layout.read(self._storage, kept.trees[LAYOUT]) if LAYOUT in kept.trees else None
        came = before.added if before else {name: ref.digest for name, ref in kept.trees.items()}
        new = {name: ref for name, ref in trees.items() if came.get(name) != ref.digest}
        changed = new.keys() & came.keys()
        if not new and (before or layout is None):
            return
        if changed and before and layout is None:
            trees, layout = keep_bundle(self._storage, competition.bundle, competition.spec)
            new = {name: ref for name, ref in trees.items() if came.get(name) != ref.digest}
            changed = new.keys() & came.keys()
        if changed and before and before.updated_from:
            raise UsageError(
                f"files of {shorten(competition.source)} have changed, and {shorten(kept.spec.title)} was updated from "
                f"{shorten(before.updated_from)} since it was added",
                code="CB718",
                hint="say which of both holds: workspace.update(competition, bundle)",
            )
        spec, revised = taken_over(competition.spec, kept.spec, changed)
        if before or layout:
            new[LAYOUT] = self._storage.put_tree(_merged(layout, before, spec, new).tree())
        if revised:
            note = f"files of {competition.source} have changed"
            self._db.change_competition(competition.id, kept.spec, spec, new, revised=revised, note=note, at=utc_now())
        else:
            self._db.set_trees(competition.id, new)


def taken_over(
    came: CompetitionSpec, kept: CompetitionSpec, changed: set[str]
) -> tuple[CompetitionSpec, list[int | str]]:
    """A kept competition with those parts of tasks whose files have changed, and which tasks these are.

    Parameters
    ----------
    came
        The competition as it comes again.
    changed
        The names of trees that are not what they were when it came before.
    """
    there = {task.index: task for task in kept.tasks}
    revised: dict[int | str, TaskSpec] = {}
    for task in came.tasks:
        parts = {role: part for role, part in task.parts.items() if part.tree in changed}
        if parts and task.index in there:
            revised[task.index] = there[task.index].model_copy(update=parts)
    tasks = tuple(revised.get(task.index, task) for task in kept.tasks)
    return kept.model_copy(update={"tasks": tasks}), list(revised)


def _merged(layout: Layout | None, before: Layout | None, spec: CompetitionSpec, new: Mapping[str, TreeRef]) -> Layout:
    """The layout of a competition that came again."""
    digests = {name: ref.digest for name, ref in new.items() if name != LAYOUT}
    if layout is None or before is None:
        found = layout or before or Layout(kinds={})
        return found.model_copy(update={"added": {**found.added, **digests}})
    used = {part.path for part in parts_of(spec)}
    kinds = {path: kind for path, kind in {**before.kinds, **layout.kinds}.items() if path in used}
    return layout.model_copy(update={"kinds": kinds, "updated_from": before.updated_from})
