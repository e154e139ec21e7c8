"""Uploads that become submissions: who may submit now, how much is left, and what is taken (platform.md P06-P12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.core.competition import CompetitionSpec, DataRole, PhaseSpec
from codabench.core.errors import BundleError, Invalid, NotFound, NotSignedIn, Refused, SubmissionRejected
from codabench.core.hosting import Dataset, Posted
from codabench.core.people import ParticipationStatus
from codabench.core.trees import TreeRef
from codabench.site.actors import Actor
from codabench.site.competitions import Found
from codabench.site.policy import Action, decide
from codabench.workspace.admission import admit

if TYPE_CHECKING:
    from codabench.site.site import Site

NOT_APPROVED = "User not approved to participate in this competition"
TODAY = "Reached maximum allowed submissions for today for this phase"
IN_ALL = "Reached maximum allowed submissions for this phase"
"""What clients know word by word (platform.md section 3.4)."""

_FULL = {"CB332": TODAY, "CB333": IN_ALL}
_SUBMITTED = (DataRole.SUBMISSION, DataRole.SOLUTION)


class Allowance(NamedTuple):
    """Whether somebody may submit to a phase now.

    Attributes
    ----------
    reason
        Why not.
    used_today, used
        Submissions that count, of this day (UTC) and in all.
    per_day, per_person
        How many may; None: any number.
    """

    can: bool
    reason: str | None
    used_today: int
    used: int
    per_day: int | None
    per_person: int | None


def phase_of(found: Found, index: int) -> PhaseSpec:
    """A phase by its place; `NotFound` if there is none."""
    if not 0 <= index < len(found.spec.phases):
        raise NotFound("there is no such phase, or not for you")
    return found.spec.phases[index]


def is_limited(actor: Actor, found: Found) -> bool:
    """Whether the counts of phases hold: not for robots, where they are allowed (platform.md R05)."""
    return not (actor.is_bot and found.facts.allows_robots)


# ---------------------------------------------------------------------- whether
def allowance(site: Site, actor: Actor, competition: str, phase: int, *, key: str) -> Allowance:
    """What `Submissions.allowance` does."""
    found = site.competitions.look(actor, competition, Action.COMPETITION_OPEN, key=key)
    chosen = phase_of(found, phase)
    if actor.account is None:
        raise NotSignedIn("Sign in to submit something.")
    site.registrations.enrol(actor, competition, key=key)
    found = site.competitions.look(actor, competition, Action.COMPETITION_OPEN, key=key)
    now, limited = site.now(), is_limited(actor, found)
    times = site.db.submission_times(competition, chosen.index, actor.participant)
    today = sum(1 for at in times if at.astimezone(UTC).date() == now.astimezone(UTC).date())
    most = (chosen.max_submissions_per_day, chosen.max_submissions) if limited else (None, None)
    decision = decide(actor, Action.SUBMISSION_CREATE, found.facts)
    reason: str | None = None
    if not decision.allowed:
        approved = found.participation is not None and found.participation.status is ParticipationStatus.APPROVED
        reason = decision.reason if approved else NOT_APPROVED
    else:
        unlimited = {"max_submissions": None, "max_submissions_per_day": None}
        try:
            admit(found.spec, chosen if limited else chosen.model_copy(update=unlimited), now, times)
        except SubmissionRejected as error:
            reason = _FULL.get(error.code, error.message)
    return Allowance(reason is None, reason, today, len(times), *most)


# ---------------------------------------------------------------------- taking it
def create(
    site: Site,
    actor: Actor,
    competition: str,
    phase: int,
    data: str,
    *,
    tasks: Sequence[int | str] | None,
    fact_sheet: Mapping[str, Any] | None,
    key: str,
) -> str:
    """What `Submissions.create` does; returns the id of the submission."""
    found = site.competitions.look(actor, competition, Action.SUBMISSION_CREATE, key=key)
    chosen = phase_of(found, phase)
    dataset = _dataset(site, actor, found, data)
    indexes = _tasks(site, found.spec, chosen, tasks)
    assert isinstance(dataset.content, TreeRef)  # noqa: S101 - others were refused
    longest, opened = site.settings.longest_time_limit, site.workspace.competition(competition)
    try:
        handle = site.workspace.submit(
            opened,
            dataset.content,
            phase=phase,
            task=indexes,
            participant=actor.participant,
            name=dataset.file_name,
            fact_sheet=fact_sheet,
            time_limit=longest if longest is not None and longest < chosen.execution_time_limit else None,
            limits=is_limited(actor, found),
            now=site.now(),
        )
    except SubmissionRejected as error:
        raise _rejected(error) from error
    except BundleError as error:
        raise Invalid({"data": error.message}, code=error.code, hint=error.hint) from error
    finally:
        opened.close()
    site.db.post(Posted(submission=handle.id, dataset=dataset.key))
    return handle.id


def _dataset(site: Site, actor: Actor, found: Found, key: str) -> Dataset:
    """The file that is submitted: one's own, or that of a solution of a competition that one organizes.

    Another's is like none at all, or its key would be worth something (platform.md section 6, 30).
    """
    try:
        dataset = site.db.dataset(key)
    except NotFound:
        dataset = None
    organizes = site.policy.allows(actor, Action.COMPETITION_EDIT, found.facts)
    if dataset is None or not (dataset.owner == actor.account or (organizes and dataset.competition == found.id)):
        raise Invalid({"data": f"Object with key={key} does not exist."})
    if dataset.type not in _SUBMITTED:
        raise Invalid({"data": f"{dataset.name} is {dataset.type.words}, and no submission."})
    if dataset.content is None:
        raise Invalid({"data": f"Nothing was uploaded as {dataset.file_name} yet."})
    if not isinstance(dataset.content, TreeRef):
        raise Invalid({"data": f"{dataset.file_name} is no zip archive."})
    return dataset


def _tasks(
    site: Site, spec: CompetitionSpec, phase: PhaseSpec, wanted: Sequence[int | str] | None
) -> list[int | str] | None:
    """The places of tasks that are named by their numbers or keys; None: all of the phase."""
    if not wanted:
        return None
    there = {task.key: task.index for task in spec.tasks_of(phase) if task.key}
    known: dict[str, int | str] = dict(there)
    known |= {str(task.id): there[task.key] for task in site.db.tasks_ever(there)}
    if not all(str(task) in known for task in wanted):
        raise Invalid({"": "All tasks must be part of the current phase."})
    return [known[str(task)] for task in wanted]


def _rejected(error: SubmissionRejected) -> Refused | Invalid:
    """Why it was not admitted: refused by a rule, or with answers that cannot be taken."""
    if error.code == "CB334":
        return Invalid(error.message, code=error.code)
    return Refused(_FULL.get(error.code, error.message), code=error.code, hint=error.hint)
