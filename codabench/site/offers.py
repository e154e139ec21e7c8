"""What decides about data sets and tasks: whose they are, who was given them, what needs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from codabench.core.competition import CompetitionSpec, DataRole
from codabench.core.hosting import Dataset, SharedTask
from codabench.db.uses import Naming
from codabench.site.actors import Actor
from codabench.site.facts import DatasetFacts, TaskFacts
from codabench.site.policy import Action
from codabench.workspace.datasets import uses_of

if TYPE_CHECKING:
    from codabench.site.site import Site

_ACTIONS = {
    DataRole.SCORING_PROGRAM: Action.FILES_PROGRAMS,
    DataRole.INGESTION_PROGRAM: Action.FILES_PROGRAMS,
    DataRole.INPUT_DATA: Action.FILES_INPUTS,
    DataRole.REFERENCE_DATA: Action.FILES_REFERENCE,
    DataRole.PUBLIC_DATA: Action.FILES_KITS,
    DataRole.STARTING_KIT: Action.FILES_KITS,
    DataRole.SOLUTION: Action.FILES_KITS,
}
"""What those who take part in a competition may have of it (platform.md section 6, 1)."""


class Offer(NamedTuple):
    """A data set in its role in a competition.

    Attributes
    ----------
    action
        What the policy is asked before somebody gets it.
    used_by
        Names of the phases or tasks that have it there.
    """

    key: str
    role: DataRole
    action: Action
    used_by: tuple[str, ...]


def offers_of(spec: CompetitionSpec) -> Iterator[Offer]:
    """Each data set of a competition that has a key, once for each role and place."""
    for role, part, users in uses_of(spec):
        if part.key is not None:
            yield Offer(part.key, role, _ACTIONS[role], users)


def dataset_facts(site: Site, actor: Actor, dataset: Dataset, *, in_use: bool = False) -> DatasetFacts:
    """What decides about a data set for this actor.

    Parameters
    ----------
    in_use
        Also find out whether anything needs it: only deleting asks for that.
    """
    used = in_use and dataset.key in site.db.needed_datasets([dataset.key])
    mine = actor.account is None or actor.account == dataset.owner
    return DatasetFacts(
        dataset.owner,
        dataset.is_public,
        offered=not mine and not dataset.is_public and _is_offered(site, actor, dataset.key),
        organized=not mine and _is_organized(site, actor, dataset),
        in_use=used,
    )


def _is_organized(site: Site, actor: Actor, dataset: Dataset) -> bool:
    if dataset.competition is None:
        return False
    hosted = site.db.hosted_many([dataset.competition]).get(dataset.competition)
    return hosted is not None and actor.account in {hosted.owner, *hosted.collaborators}


def _is_offered(site: Site, actor: Actor, key: str) -> bool:
    """Whether a task that was shared with the actor has it, or a competition gives it to who is what the actor is."""
    if any(actor.account in task.shared_with for task in site.db.tasks_made_of([key])):
        return True
    named = [each.id for each in site.db.competitions_naming([key]).get(key, ())]
    for id, hosted in site.db.hosted_many(named).items():
        spec, mine = site.db.competition(id), site.db.participation(id, actor.account or 0)
        facts = site.competitions.facts(hosted, spec, mine)
        actions = {offer.action for offer in offers_of(spec) if offer.key == key}
        if any(site.policy.allows(actor, action, facts) for action in actions):
            return True
    return False


def known_competitions(site: Site, actor: Actor, ids: Iterable[str]) -> set[str]:
    """Those of which the actor may know."""
    found = set()
    for id, hosted in site.db.hosted_many(ids).items():
        mine = None if actor.account is None else site.db.participation(id, actor.account)
        facts = site.competitions.facts(hosted, site.db.competition(id), mine)
        if site.policy.allows(actor, Action.COMPETITION_READ, facts):
            found.add(id)
    return found


def used_by(site: Site, actor: Actor, keys: Collection[str]) -> dict[str, Sequence[Naming]]:
    """Keys -> the competitions that have them, as far as the actor may know of those."""
    named = site.db.competitions_naming(keys)
    seen = known_competitions(site, actor, {each.id for several in named.values() for each in several})
    return {key: [each for each in several if each.id in seen] for key, several in named.items()}


def solutions_of(site: Site, actor: Actor, task: str) -> list[Dataset]:
    """The sample submissions for a task, of competitions that give them to the actor."""
    named = [each.id for each in site.db.competitions_naming([task]).get(task, ())]
    keys: set[str] = set()
    for id, hosted in site.db.hosted_many(named).items():
        spec = site.db.competition(id)
        mine = None if actor.account is None else site.db.participation(id, actor.account)
        if site.policy.allows(actor, Action.FILES_KITS, site.competitions.facts(hosted, spec, mine)):
            indexes = {each.index for each in spec.tasks if each.key == task}
            keys |= {s.key for s in spec.solutions if s.key is not None and indexes.intersection(s.tasks)}
    return site.db.datasets(keys=keys)


def task_facts(task: SharedTask, *, in_use: bool = False) -> TaskFacts:
    """What decides about a task; whether it is in use is known to whoever asks that."""
    return TaskFacts(task.owner, task.shared_with, task.is_public, in_use)
