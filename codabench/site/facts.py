"""Facts: what decides about a thing, as it is for the one who asks.

Whoever asks the policy reads them from the database; the policy reads nothing. They say which roles an actor has in
the thing, by the two letters that head the columns of the tables in `codabench.site.policy`.
"""

from __future__ import annotations

from dataclasses import dataclass

from codabench.core.competition import SubmissionRule
from codabench.core.records import Status
from codabench.site.actors import Actor

ROLES = {
    "An": "nobody is signed in",
    "Au": "signed in",
    "Pe": "asked to take part, and waits",
    "De": "was not let in, or was put out",
    "Ap": "takes part",
    "Pu": "anybody, if its owner has published it",
    "Ow": "it is theirs",
    "Sh": "it was shared with them, or a competition offers it to them",
    "Co": "collaborator of the competition",
    "Cr": "creator of the competition",
    "St": "staff, but no superuser",
    "Su": "superuser",
    "Bo": "robot",
}
"""The columns of the tables."""

_PARTICIPANTS = {"pending": "Pe", "denied": "De", "approved": "Ap"}


@dataclass(frozen=True)
class Facts:
    """Of the site itself: nothing but who asks."""

    def roles(self, actor: Actor) -> set[str]:
        """What the actor is in this thing; the operator of the host is everything."""
        if actor.account is None:
            return set(ROLES) if actor.is_superuser else {"An"}
        flags = {"Su": actor.is_superuser, "St": actor.is_staff and not actor.is_superuser, "Bo": actor.is_bot}
        return {"Au", *(role for role, holds in flags.items() if holds)}


@dataclass(frozen=True)
class CompetitionFacts(Facts):
    """Of a competition.

    Attributes
    ----------
    creator, collaborators
        Accounts.
    participation
        A `ParticipationStatus`, of the actor; None: did not ask to take part.
    has_key
        The actor showed the key of its secret link.
    allows_robots
        Robots may let themselves in, and see what others submitted; elsewhere they are like everybody.
    shows_programs, shows_inputs
        Participants may have the programs, and the input data.
    """

    creator: int | None = None
    collaborators: frozenset[int] = frozenset()
    participation: str | None = None
    published: bool = False
    has_key: bool = False
    allows_robots: bool = False
    shows_programs: bool = False
    shows_inputs: bool = False

    @property
    def is_open(self) -> bool:
        """Whether anybody who comes this way may read it."""
        return self.published or self.has_key

    def roles(self, actor: Actor) -> set[str]:
        found = super().roles(actor)
        if actor.account is None:
            return found
        if self.participation is not None and self.participation in _PARTICIPANTS:
            found.add(_PARTICIPANTS[self.participation])
        if actor.account == self.creator:
            found.add("Cr")
        if actor.account in self.collaborators:
            found.add("Co")
        return found


@dataclass(frozen=True)
class BoardFacts(Facts):
    """Of a leaderboard."""

    competition: CompetitionFacts
    hidden: bool = False

    def roles(self, actor: Actor) -> set[str]:
        return self.competition.roles(actor)


@dataclass(frozen=True)
class SubmissionFacts(Facts):
    """Of a submission.

    Attributes
    ----------
    owner
        Account; None: submitted by nobody who has one.
    status
        Of the whole: ``Finished`` where all of its runs are over and one of them at least has finished.
    on_board
        It stands on a board of its competition; `board_hidden`: on one that participants do not see.
    is_task_rerun
        A rerun on a task of the organizer's choice, which no board shows.
    hide_output, hide_prediction_output, hide_score_output
        Of its phase.
    detailed_results, can_be_published
        Of its competition.
    """

    competition: CompetitionFacts
    owner: int | None = None
    status: Status = Status.FINISHED
    rule: SubmissionRule = SubmissionRule.ADD
    on_board: bool = False
    board_hidden: bool = False
    is_public: bool = False
    is_deleted: bool = False
    is_task_rerun: bool = False
    hide_output: bool = False
    hide_prediction_output: bool = False
    hide_score_output: bool = False
    detailed_results: bool = False
    can_be_published: bool = True

    def roles(self, actor: Actor) -> set[str]:
        found = self.competition.roles(actor)
        if actor.account is not None and actor.account == self.owner:
            found.add("Ow")
        enters = self.competition.is_open or "Ap" in found
        if self.is_public and not self.is_deleted and enters:
            found.add("Pu")
        return found if self.competition.allows_robots and enters else found - {"Bo"}


@dataclass(frozen=True)
class DatasetFacts(Facts):
    """Of a file somebody uploaded, or that came with a bundle.

    Attributes
    ----------
    owner
        Account.
    offered
        A competition gives it to the actor who takes part in it, or a task that was shared with the actor uses it.
    organized
        The actor organizes the competition that it belongs to.
    in_use
        A competition, a task or a submission needs it.
    """

    owner: int
    is_public: bool = False
    offered: bool = False
    organized: bool = False
    in_use: bool = False

    def roles(self, actor: Actor) -> set[str]:
        found = super().roles(actor)
        held = {"Ow": actor.account == self.owner, "Sh": self.offered, "Co": self.organized}
        return found | {role for role, holds in held.items() if holds and actor.account is not None}


@dataclass(frozen=True)
class TaskFacts(Facts):
    """Of a task that competitions use by its key."""

    owner: int
    shared_with: frozenset[int] = frozenset()
    is_public: bool = False
    in_use: bool = False

    def roles(self, actor: Actor) -> set[str]:
        found = super().roles(actor)
        held = {"Ow": actor.account == self.owner, "Sh": actor.account in self.shared_with}
        return found | {role for role, holds in held.items() if holds}


@dataclass(frozen=True)
class AccountFacts(Facts):
    """Of an account, and of what only its holder is told: sessions, tokens, jobs, what is used of a quota."""

    account: int

    def roles(self, actor: Actor) -> set[str]:
        found = super().roles(actor)
        return found | {"Ow"} if actor.account == self.account else found


SITE = Facts()
"""For what is done to no thing in particular."""
