"""`overview`: all that is shown of a competition beside what was submitted, as it is for the one who looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from codabench.core.competition import PhaseSpec
from codabench.core.hosting import Dataset, Listed, SharedTask
from codabench.site.accounts import Called
from codabench.site.actors import Actor
from codabench.site.competitions import Found
from codabench.site.numbers import Kind, joined
from codabench.site.offers import offers_of

if TYPE_CHECKING:
    from codabench.site.site import Site

PhaseStatus = Literal["Previous", "Current", "Next"]


class ShownPhase(NamedTuple):
    """A phase.

    Attributes
    ----------
    tasks
        In the order of the phase.
    used_today, used
        Submissions of the one who looks that count for its limits; days are those of UTC.
    """

    number: int
    spec: PhaseSpec
    status: PhaseStatus
    is_final: bool
    tasks: tuple[SharedTask, ...]
    used_today: int
    used: int


@dataclass(frozen=True)
class Overview:
    """A competition as one sees it.

    Attributes
    ----------
    listed
        As lists show it, with its counts.
    people
        Who organizes it.
    files
        The data sets that the one who looks may have, by key; what is not among them is not even named.
    """

    number: int
    found: Found
    listed: Listed
    people: Mapping[int, Called]
    phases: tuple[ShownPhase, ...]
    files: Mapping[str, Dataset]


def overview(site: Site, actor: Actor, id: str, *, key: str = "") -> Overview:
    """What there is to see of a competition.

    Raises
    ------
    NotFound
        There is none, or the actor may not know of it.
    """
    found = site.competitions.look(actor, id, key=key)
    tasks = {task.key: task for task in site.db.tasks([task.key for task in found.spec.tasks if task.key])}
    allowed = {offer.key for offer in offers_of(found.spec) if site.policy.allows(actor, offer.action, found.facts)}
    files = {dataset.key: dataset for dataset in site.db.datasets(keys=allowed)} if allowed else {}
    organizers = [found.hosted.owner, *found.hosted.collaborators]
    return Overview(
        number=site.competitions.number(id),
        found=found,
        listed=site.competitions.counted(found),
        people=site.accounts.called(organizers),
        phases=tuple(_phases(site, actor, found, tasks)),
        files=files,
    )


def _phases(site: Site, actor: Actor, found: Found, tasks: Mapping[str, SharedTask]) -> list[ShownPhase]:
    spec, now = found.spec, site.now()
    numbers = site.numbers.many(Kind.PHASE, [joined(found.id, phase.index) for phase in spec.phases])
    shown = []
    for phase in spec.phases:
        times = [] if actor.account is None else site.db.submission_times(found.id, phase.index, actor.participant)
        keys = [task.key or "" for task in spec.tasks_of(phase)]
        shown.append(
            ShownPhase(
                number=numbers[joined(found.id, phase.index)],
                spec=phase,
                status=phase_status(phase, now),
                is_final=phase is spec.phases[-1],
                tasks=tuple(tasks[key] for key in keys if key in tasks),
                used_today=sum(at.date() == now.date() for at in times),
                used=len(times),
            )
        )
    return shown


def phase_status(phase: PhaseSpec, now: datetime) -> PhaseStatus:
    """Where a phase stands by the clock (platform.md O22)."""
    if now < phase.start:
        return "Next"
    return "Current" if phase.is_open(now) else "Previous"
