"""Submissions by the number that clients know them by, with what decides about them.

A submission of one task has one number. One of several has a number of its own and one for each of its tasks: it is
shown as a parent, and its runs as its children.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codabench.core.competition import PhaseSpec, SubmissionRule
from codabench.core.errors import NotFound
from codabench.core.events import submission_status
from codabench.core.hosting import Posted
from codabench.core.posted import Posting
from codabench.core.records import Run, Status, Submission
from codabench.site.actors import Actor, account_of
from codabench.site.competitions import Found
from codabench.site.facts import SubmissionFacts
from codabench.site.numbers import Kind, joined
from codabench.site.policy import Action

if TYPE_CHECKING:
    from codabench.site.site import Site


@dataclass(frozen=True)
class FoundSubmission:
    """A submission, or the part of one on one of its tasks, as it is for the one who looks.

    Attributes
    ----------
    runs
        All that boards show of the submission, in the order of its tasks.
    run
        Of a submission of one task, and of a child; None: of a parent.
    is_child
        Only what it is on one of several tasks is meant.
    """

    number: int
    found: Found
    posting: Posting
    runs: tuple[Run, ...]
    run: Run | None
    is_child: bool
    facts: SubmissionFacts

    @property
    def submission(self) -> Submission:
        return self.posting.submission

    @property
    def posted(self) -> Posted:
        return self.posting.posted

    @property
    def id(self) -> str:
        """Of the submission, also where a child is meant."""
        return self.submission.id

    @property
    def is_parent(self) -> bool:
        return self.run is None

    @property
    def phase(self) -> PhaseSpec:
        return self.found.spec.phases[self.submission.phase]

    @property
    def owner(self) -> int | None:
        """An account; None: submitted by nobody who has one."""
        return self.facts.owner

    @property
    def status(self) -> Status:
        """Of the run, or of the whole."""
        return self.run.status if self.run is not None else self.facts.status

    @property
    def asked(self) -> tuple[Run, ...]:
        """The runs that are meant: that of a child, or all."""
        return (self.run,) if self.run is not None else self.runs


# ---------------------------------------------------------------------- numbers
def is_parent(submission: Submission) -> bool:
    """Whether it is shown as a parent with children."""
    return len(submission.tasks) > 1


def number_of(site: Site, submission: Submission) -> int:
    """The number of a submission as a whole."""
    return site.numbers.of(Kind.SUBMISSION, submission.id)


def child_key(submission: str, position: int) -> str:
    """Of the number of a submission on its task at that place. A run that is done again keeps the number."""
    return joined(submission, position)


def score_key(submission: str, position: int, column: str) -> str:
    """Of the number of a score: of a submission, on its task at that place, in a column."""
    return joined(submission, position, column)


def score_of(site: Site, number: int) -> tuple[str, int, str]:
    """What has that number among scores: a submission, the place of one of its tasks, a column."""
    submission, position, column = site.numbers.key(Kind.SCORE, number).split(":", 2)
    return submission, int(position), column


# ---------------------------------------------------------------------- finding
def find(
    site: Site, actor: Actor, number: int, action: Action = Action.SUBMISSION_READ, *, key: str = ""
) -> FoundSubmission:
    """A submission, if the actor may do that with it.

    Parameters
    ----------
    key
        Of the secret link of its competition.

    Raises
    ------
    NotFound
        There is none, or the actor may not know of it.
    Refused, NotSignedIn
        The actor may not do that.
    """
    found = find_many(site, actor, [number], action, key=key)
    return found[0]


def find_many(
    site: Site, actor: Actor, numbers: Iterable[int], action: Action = Action.SUBMISSION_READ, *, key: str = ""
) -> list[FoundSubmission]:
    """Submissions, in this order, if the actor may do that with each of them; see `find`."""
    wanted = {number: site.numbers.key(Kind.SUBMISSION, number) for number in numbers}
    ids = {known.partition(":")[0] for known in wanted.values()}
    postings, runs = site.db.postings(ids), site.db.runs_shown(ids)
    statuses = {id: status_of(each.status for each in runs.get(id, ())) for id in ids}
    looked = Looked(site, actor, key=key)
    facts = looked.facts(postings.values(), statuses)
    made = []
    for number, known in wanted.items():
        id, _, position = known.partition(":")
        if id not in facts:
            raise _unknown()
        site.policy.require(actor, action, facts[id])
        posting, own = postings[id], tuple(runs.get(id, ()))
        whole = is_parent(posting.submission) and not position
        run = None if whole else next((r for r in own if not position or r.position == int(position)), None)
        if run is None and not whole:
            raise _unknown()
        competition = looked.competition(posting.submission.competition)
        assert competition is not None  # noqa: S101 - it has facts
        made.append(FoundSubmission(number, competition, posting, own, run, bool(position), facts[id]))
    return made


def status_of(runs: Iterable[Status]) -> Status:
    """Of a submission, by its runs."""
    return submission_status(runs)[0]


def _unknown() -> NotFound:
    return NotFound("there is no such submission, or not for you")


class Looked:
    """What decides about submissions for one who looks; each competition, and each board, is read once.

    Parameters
    ----------
    key
        Of the secret link of a competition.
    """

    def __init__(self, site: Site, actor: Actor, *, key: str = "") -> None:
        self._site, self._actor, self._key = site, actor, key
        self._competitions: dict[str, Found | None] = {}

    def competition(self, id: str) -> Found | None:
        """A competition, whether or not the actor may see it; None: there is none any more."""
        if id not in self._competitions:
            try:
                hosted, spec = self._site.db.hosted(id), self._site.db.competition(id)
            except NotFound:
                self._competitions[id] = None
                return None
            account = self._actor.account
            mine = None if account is None else self._site.db.participation(id, account)
            facts = self._site.competitions.facts(hosted, spec, mine, key=self._key)
            self._competitions[id] = Found(hosted, spec, facts, mine)
        return self._competitions[id]

    def facts(self, postings: Iterable[Posting], statuses: Mapping[str, Status]) -> dict[str, SubmissionFacts]:
        """What decides about submissions, by their ids; those of competitions that are gone are left out."""
        found: dict[str, SubmissionFacts] = {}
        by_phase: dict[tuple[str, int], list[Posting]] = {}
        for posting in postings:
            of = posting.submission
            by_phase.setdefault((of.competition, of.phase), []).append(posting)
        for (competition, phase), here in by_phase.items():
            known = self.competition(competition)
            if known is None:
                continue
            boards = on_boards(self._site, known, phase, [each.submission.id for each in here])
            for each in here:
                id = each.submission.id
                found[id] = facts_of(known, each, statuses[id], boards.get(id))
        return found


def on_boards(site: Site, found: Found, phase: int, submissions: Sequence[str]) -> dict[str, bool]:
    """Which of these submissions to a phase stand on a board, and whether only on boards that are hidden."""
    on: dict[str, bool] = {}
    for board in found.spec.ranking:
        with site.workspace.boards.look(found.id, found.spec.phases[phase], board, rule=board.submission_rule) as there:
            for id in submissions:
                if there.is_on(id):
                    on[id] = board.hidden and on.get(id, True)
    return on


def facts_of(found: Found, posting: Posting, status: Status, hidden: bool | None) -> SubmissionFacts:
    """What decides about a submission.

    Parameters
    ----------
    status
        Of the whole.
    hidden
        It stands on a board, which is hidden or not; None: on none.
    """
    spec, of, posted = found.spec, posting.submission, posting.posted
    phase = spec.phases[of.phase]
    return SubmissionFacts(
        competition=found.facts,
        owner=account_of(of.participant),
        status=status,
        rule=spec.ranking[0].submission_rule if spec.ranking else SubmissionRule.ADD,
        on_board=hidden is not None,
        board_hidden=bool(hidden),
        is_public=posted.is_public,
        is_deleted=of.deleted_at is not None,
        is_task_rerun=posted.is_specific_task,
        hide_output=phase.hide_output,
        hide_prediction_output=phase.hide_prediction_output,
        hide_score_output=phase.hide_score_output,
        detailed_results=spec.enable_detailed_results,
        can_be_published=spec.can_participants_make_submissions_public,
    )
