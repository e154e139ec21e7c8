"""The six submission rules (contract.md 5.5 with its decision): which submissions of a participant are on the board.

A rule looks at whole submissions of one participant and at nobody else's. So a board can be brought up to date by
asking again for the one participant to whom something happened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from codabench.core.competition import SubmissionRule

Role = Literal["participant", "organizer", "operator"]
"""Who wants to change a board; an operator is what Codabench calls a superuser."""

FORCED = (SubmissionRule.FORCE_LAST, SubmissionRule.FORCE_LATEST_MULTIPLE, SubmissionRule.FORCE_BEST)
"""Rules under which nobody chooses, but for an operator."""

_REMOVABLE = (SubmissionRule.ADD_AND_DELETE, SubmissionRule.ADD_AND_DELETE_MULTIPLE)

Position = tuple[Any, ...]
"""When something happened, in a form that compares: the time, then what tells two things of one instant apart."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A submission that is not deleted and may be on the board.

    Attributes
    ----------
    scored
        When it was scored first; None: not yet, or it failed.
    quality
        The smaller, the better; no two candidates have the same.
    """

    submission: str
    scored: Position | None
    quality: Any = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A submission that was put on the board, or taken off."""

    submission: str
    shown: bool
    at: Position


def entries(
    rule: SubmissionRule,
    candidates: Collection[Candidate],
    choices: Sequence[Choice] = (),
    carried: Iterable[str] = (),
) -> set[str]:
    """The submissions of one participant that are on the board.

    Parameters
    ----------
    candidates
        Deleted ones are not among them. A rule that chooses by itself chooses as if they had never been; a rule under
        which people choose leaves a gap.
    choices
        In their order.
    carried
        What was on the board when this rule replaced another one. It stays until it is replaced by a choice; rules that
        choose by themselves do not need it.
    """
    there = {c.submission for c in candidates}
    if rule not in FORCED:
        return _chosen(rule, choices, carried) & there
    scored = [c for c in candidates if c.scored is not None]
    # An operator's entry holds until the participant's next scored run.
    forced = next((c for c in reversed(choices) if c.shown and c.submission in there), None)
    later = scored if forced is None else [c for c in scored if c.scored is not None and c.scored > forced.at]
    if rule is SubmissionRule.FORCE_LATEST_MULTIPLE:
        return {c.submission for c in later} | ({forced.submission} if forced else set())
    if forced is not None and not later:
        return {forced.submission}
    if not scored:
        return set()
    if rule is SubmissionRule.FORCE_LAST:
        return {max(scored, key=lambda c: c.scored or ()).submission}
    return {min(scored, key=lambda c: c.quality).submission}


def _chosen(rule: SubmissionRule, choices: Iterable[Choice], carried: Iterable[str]) -> set[str]:
    """What stands after the choices; with one entry each, the next one takes the place of the one before."""
    several = rule is SubmissionRule.ADD_AND_DELETE_MULTIPLE
    standing = set(carried)
    for choice in choices:
        if not choice.shown:
            standing.discard(choice.submission)
        else:
            standing = {*standing, choice.submission} if several else {choice.submission}
    return standing


_WHY: Mapping[SubmissionRule, str] = {
    SubmissionRule.ADD: "an entry stays until its participant puts another submission in its place",
    SubmissionRule.FORCE_LAST: "the submission of each participant that was scored last is on the board",
    SubmissionRule.FORCE_LATEST_MULTIPLE: "every scored submission is on the board",
    SubmissionRule.FORCE_BEST: "the best submission of each participant is on the board",
}


def refusal(rule: SubmissionRule, *, shown: bool, role: Role = "participant", eligible: bool = True) -> str | None:
    """Why a rule does not allow to put a submission on the board (`shown`) or to take it off; None: it does.

    Parameters
    ----------
    eligible
        False: a rerun on tasks of somebody's choice, which no board takes.
    """
    if shown and not eligible:
        return "a rerun on tasks of one's own choice is on no board"
    if rule in FORCED and not (shown and role == "operator"):
        return f"the rule of the board is {rule.value}: {_WHY[rule]}"
    if not shown and rule not in _REMOVABLE:
        return f"the rule of the board is {rule.value}: {_WHY[rule]}"
    return None


def refused_deletion(on_board: bool, *, role: Role = "participant", hard: bool = False) -> str | None:
    """Why a submission may not be deleted; None: it may. What is on a board only an organizer deletes, and for good."""
    if not on_board or (hard and role != "participant"):
        return None
    return "it is on the leaderboard" if role == "participant" else "it is on the leaderboard: delete it for good"
