"""A competition that an edited bundle replaces, while its submissions stay."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from codabench.bundle.fields import shorten
from codabench.core.competition import CompetitionSpec, TaskSpec
from codabench.core.errors import UsageError
from codabench.core.evaluations import Revision
from codabench.core.text import plural
from codabench.core.trees import TreeRef
from codabench.db.competitions import changed_meanwhile
from codabench.db.submissions import Used
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.reopened import LAYOUT, StoredBundle, keep_bundle

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.workspace import Workspace


def update(
    workspace: Workspace,
    competition: Competition,
    bundle: Competition | str | os.PathLike[str],
    *,
    note: str,
    before: StoredBundle | None = None,
) -> list[Revision]:
    """What `Workspace.update` does.

    Parameters
    ----------
    before
        What the bundle was made of: trees of the same name are not stored again.

    Raises
    ------
    StateError
        ``CB717``: the competition is not what it was before any more.
    """
    from codabench.workspace.loading import load

    if isinstance(bundle, (str, os.PathLike)):
        with load(bundle) as loaded:
            return update(workspace, competition, loaded, note=note)
    workspace._fresh(competition)
    kept = workspace.trees.kept(competition.id)
    if before is not None and before.kept != kept.kept:
        raise changed_meanwhile(kept.spec.title)
    refused = refusals(kept.spec, bundle.spec, workspace.db.used(competition.id))
    if refused:
        listed = "\n".join(["it has submissions, and cannot become that:", *(f"  {why}" for why in refused)])
        hint = "keep these phases and tasks, in their order; add it as another competition if it is one"
        raise UsageError(f"{shorten(kept.spec.title)}: {listed}", code="CB719", hint=hint)
    trees, layout = keep_bundle(
        workspace.storage, bundle.bundle, bundle.spec, known=before.kept.trees if before else None
    )
    layout = layout.model_copy(update={"added": kept.layout.added, "updated_from": bundle.source})
    have = kept.kept.trees
    revised = [
        task.index
        for task in bundle.spec.tasks
        if any(each.index == task.index for each in kept.spec.tasks)
        and contents(task, trees) != contents(kept.spec.task(task.index), have)
    ]
    trees[LAYOUT] = workspace.storage.put_tree(layout.tree())
    # The text of a function that is called is kept beside its program.
    gone = [name for name in have if name not in trees and name.rpartition("#")[0] not in trees]
    made = workspace.db.change_competition(
        competition.id,
        kept.spec,
        bundle.spec,
        trees,
        revised=revised,
        gone=gone,
        note=note or f"updated from {bundle.source}",
        at=utc_now(),
    )
    competition._reopen(competition.id, workspace.trees.kept(competition.id))
    return made


def contents(task: TaskSpec, trees: dict[str, TreeRef]) -> tuple[object, ...]:
    """What decides the outcome of a task: its programs and data, wherever they lie, and when ingestion runs."""
    digests = {role: trees[part.tree or ""].digest for role, part in task.parts.items()}
    return digests, task.ingestion_only_during_scoring


def refusals(before: CompetitionSpec, after: CompetitionSpec, used: Used) -> list[str]:
    """Why a competition with these submissions cannot become another one; nothing if it can.

    Submissions name their phase by its place and their tasks by their index, so both have to stay what they are.
    Everything else may change: texts, dates, limits, columns, programs, data.
    """
    said = []
    if (before.format == "task") != (after.format == "task"):
        said.append("a task alone and a whole competition cannot become each other")
    places = {phase.name: phase.index for phase in after.phases}
    for index, count in sorted(used.phases.items()):
        name = before.phases[index].name
        has = f"phase {index} {shorten(name, 40)} has {plural(count, 'submission')}"
        if index >= len(after.phases):
            said.append(f"{has} and is not there any more")
        elif after.phases[index].name != name and name in places:
            said.append(f"{has} and would become phase {places[name]}")
    there = {task.index for task in after.tasks}
    for task in before.tasks:
        count = used.tasks.get(task.index, 0)
        if count and task.index not in there:
            name = f"task {task.index} {shorten(task.name, 40)}"
            said.append(f"{name} has {plural(count, 'run')} and is not there any more")
    return said
