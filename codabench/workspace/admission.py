"""Which phase, which tasks, and whether a submission is admitted: pure decisions (contract.md 4.1, 4.2, 4.13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from codabench.core.competition import CompetitionSpec, PhaseSpec, SolutionSpec, TaskSpec
from codabench.core.errors import NotFound, SubmissionRejected, UsageError
from codabench.core.text import did_you_mean

T = TypeVar("T")


def choose_phase(spec: CompetitionSpec, now: datetime) -> PhaseSpec:
    """The phase open at `now`, else the last that began, else the first."""
    if not spec.phases:
        raise UsageError(f"{spec.title!r} has no phase", code="CB341")
    for phase in spec.phases:
        if phase.is_open(now):
            return phase
    begun = [p for p in spec.phases if p.start <= now]
    return max(begun, key=lambda p: p.start) if begun else spec.phases[0]


def find_phase(spec: CompetitionSpec, wanted: int | str) -> PhaseSpec:
    """A phase by its index, or by its name.

    Raises
    ------
    NotFound
        Naming the phases there are.
    """
    return pick(spec.phases, wanted, "phase", lambda p: p.index, lambda p: p.name)


def find_tasks(spec: CompetitionSpec, phase: PhaseSpec, wanted: Sequence[int | str] | None) -> tuple[TaskSpec, ...]:
    """The tasks of a phase, all or those named by index or name, in the phase's order."""
    tasks = spec.tasks_of(phase)
    if not tasks:
        raise UsageError(f"phase {phase.name!r} has no task", code="CB341")
    if not wanted:
        return tasks
    chosen = [pick(tasks, w, "task", lambda t: t.index, lambda t: t.name) for w in wanted]
    return tuple(t for t in tasks if t in chosen)


def aim(
    spec: CompetitionSpec,
    submission: object,
    phase: int | str | None,
    task: int | str | Sequence[int | str] | None,
    now: datetime,
) -> tuple[PhaseSpec, tuple[TaskSpec, ...]]:
    """The phase and the tasks a submission goes to.

    A solution goes to the tasks it is for, and to the first phase that has one of them, unless others are named.
    """
    solves = submission.tasks if isinstance(submission, SolutionSpec) else ()
    chosen = find_phase(spec, phase) if phase is not None else choose_phase(spec, now)
    if phase is None and solves and not set(solves) & set(chosen.tasks):
        chosen = next((p for p in spec.phases if set(solves) & set(p.tasks)), chosen)
    wanted = [task] if isinstance(task, (int, str)) else task
    return chosen, find_tasks(spec, chosen, wanted or [index for index in solves if index in chosen.tasks])


def pick(items: Iterable[T], wanted: int | str, what: str, index: Callable[[T], Any], name: Callable[[T], str]) -> T:
    """The item with that index (also written as text), or else with that name.

    Raises
    ------
    NotFound
        If there is none, or a name that two items share; the message lists what there is.
    """
    items = list(items)
    for item in items:
        if index(item) == wanted or str(index(item)) == str(wanted):
            return item
    named = [item for item in items if name(item) == wanted]
    if len(named) == 1:
        return named[0]
    there = ", ".join(f"{index(i)} {name(i)!r}" for i in items) or "none"
    if named:
        raise NotFound(f"{len(named)} {what}s are called {wanted!r}: {there}", hint=f"name the {what} by its index")
    guess = did_you_mean(str(wanted), [name(i) for i in items])
    raise NotFound(f"no {what} {wanted!r}; there are: {there}", hint=f"did you mean {guess!r}?" if guess else None)


def admit(spec: CompetitionSpec, phase: PhaseSpec, now: datetime, earlier: Sequence[datetime]) -> None:
    """Decide on window and limits of a phase.

    Parameters
    ----------
    earlier
        When the participant's submissions to this phase that count were made.

    Raises
    ------
    SubmissionRejected
        If the phase is not open (``CB331``) or a limit is reached (``CB332`` for today, ``CB333`` in all).
    """
    if now < phase.start:
        raise SubmissionRejected(
            f"phase {phase.name!r} of {spec.title!r} begins {_shown(phase.start)}", code="CB331", hint="submit then"
        )
    if not phase.is_open(now):
        raise SubmissionRejected(f"phase {phase.name!r} of {spec.title!r} ended {_shown(phase.end)}", code="CB331")
    if 0 in (phase.max_submissions, phase.max_submissions_per_day):
        raise SubmissionRejected(f"phase {phase.name!r} of {spec.title!r} takes no submissions", code="CB333")
    today = sum(1 for at in earlier if at.astimezone(UTC).date() == now.astimezone(UTC).date())
    if phase.max_submissions_per_day is not None and today >= phase.max_submissions_per_day:
        raise SubmissionRejected(
            f"{today} of {phase.max_submissions_per_day} submissions of today to phase {phase.name!r} are used",
            code="CB332",
            hint="the next day begins at 00:00 UTC",
        )
    if phase.max_submissions is not None and len(earlier) >= phase.max_submissions:
        raise SubmissionRejected(
            f"{len(earlier)} of {phase.max_submissions} submissions to phase {phase.name!r} are used", code="CB333"
        )


def _shown(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else "never"
