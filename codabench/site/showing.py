"""Submissions as people see them: what a list, a page and a client show, each to whom it may be shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.core.competition import LeaderboardSpec
from codabench.core.hosting import SharedTask
from codabench.core.posted import Posting, RunBrief
from codabench.core.records import Status
from codabench.leaderboard.values import with_computed
from codabench.site.actors import Actor, account_of
from codabench.site.competitions import Found
from codabench.site.facts import BoardFacts, SubmissionFacts
from codabench.site.finding import Looked, child_key, is_parent, score_key, status_of
from codabench.site.numbers import Kind, joined
from codabench.site.policy import Action

if TYPE_CHECKING:
    from codabench.site.site import Site

ACTIONS = tuple(action for action in Action if action.startswith("submission.") and action != Action.SUBMISSION_CREATE)
"""What can be done to a submission that is there."""


class ShownTask(NamedTuple):
    """What a submission was run on.

    Attributes
    ----------
    number
        None: it came with no resource of the site.
    parts
        Keys of its data sets by role; none where the actor does not organize the competition, for who has a key may
        look for what is secret.
    """

    number: int | None
    key: str | None
    name: str
    description: str = ""
    owner: int | None = None
    created_at: datetime | None = None
    is_public: bool = False
    ingestion_only_during_scoring: bool = False
    parts: Mapping[str, str] = {}
    shared_with: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ShownScore:
    """A value of one task in one column, computed columns included.

    Attributes
    ----------
    index
        Of the column.
    task
        Its number.
    """

    number: int
    index: int
    key: str
    value: float
    task: int | None


class Hides(NamedTuple):
    """What the phase keeps from participants."""

    output: bool
    prediction_output: bool
    score_output: bool


@dataclass(frozen=True)
class Shown:
    """A submission, or what one of several tasks came to, for the one who looks.

    Attributes
    ----------
    owner
        An account; None: submitted on the machine itself.
    competition, phase
        The id of the competition, and the place of the phase in it; `phase_number` is the number of the phase.
    task
        None: it has several, and so children.
    status_details
        Why it failed or was cancelled; None also where the phase hides what programs put out.
    file_name, file_size
        None: the file is gone, or is nobody else's business.
    fact_sheet
        To others than its owner and those who organize: the answers that boards show.
    board
        The number of the leaderboard that it stands on.
    has_detailed_result
        There may be one, it may be seen, and the competition wants a link to it beside submissions.
    """

    number: int
    id: str
    owner: int | None
    owner_name: str
    display_name: str
    competition: str
    competition_title: str
    phase: int
    phase_number: int
    phase_name: str
    task: ShownTask | None
    status: Status
    status_details: str | None
    name: str
    dataset: str | None
    file_name: str | None
    file_size: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    scores: tuple[ShownScore, ...]
    fact_sheet: Mapping[str, Any] | None
    is_public: bool
    is_deleted: bool
    on_board: bool
    board: int | None
    has_children: bool
    children: tuple[int, ...]
    parent: int | None
    is_task_rerun: bool
    has_detailed_result: bool
    auto_run: bool
    can_be_published: bool
    hides: Hides
    facts: SubmissionFacts = field(repr=False)
    actor: Actor = field(repr=False, compare=False)
    site: Site = field(repr=False, compare=False)
    description: str = ""
    organization: None = None

    @cached_property
    def can(self) -> frozenset[Action]:
        """What the actor may do to it, and what would change something as it stands now."""
        allows, stands = self.site.policy.allows, self._stands
        return frozenset(a for a in ACTIONS if stands.get(a, True) and allows(self.actor, a, self.facts))

    @property
    def _stands(self) -> dict[Action, bool]:
        over, there = self.status.is_final, not self.is_deleted
        return {
            Action.SUBMISSION_CANCEL: not over,
            Action.SUBMISSION_RUN: self.status is Status.SUBMITTING,
            Action.SUBMISSION_RERUN: over and there,
            Action.SUBMISSION_PUT_ON_BOARD: self.status is Status.FINISHED and there and not self.on_board,
            Action.SUBMISSION_TAKE_OFF_BOARD: self.on_board,
            Action.SUBMISSION_SCORE: self.status is Status.FINISHED and there,
            Action.SUBMISSION_PUBLISH: there,
        }


class Item(NamedTuple):
    """What is shown: a whole submission, or what it is on its task at that place."""

    posting: Posting
    position: int | None = None


def items_of(posting: Posting, *, children: bool) -> list[Item]:
    """A submission and, if they are wanted, its children."""
    own = posting.submission
    several = range(len(own.tasks)) if children and is_parent(own) else ()
    return [Item(posting), *(Item(posting, position) for position in several)]


# ---------------------------------------------------------------------- making
class Showing:
    """Makes what is shown of many submissions with few questions to the database.

    Parameters
    ----------
    postings
        Of all that may be shown.
    key
        Of the secret link of a competition.
    """

    def __init__(self, site: Site, actor: Actor, postings: Iterable[Posting], *, key: str = "") -> None:
        self._site, self._actor = site, actor
        self._postings = {each.submission.id: each for each in postings}
        self._runs: dict[str, list[RunBrief]] = site.db.run_briefs(self._postings)
        self._looked = Looked(site, actor, key=key)
        self._statuses = {id: status_of(run.status for run in self._runs.get(id, ())) for id in self._postings}
        self.facts = self._looked.facts(self._postings.values(), self._statuses)

    def status(self, item: Item) -> Status:
        """Of a submission, or of its run."""
        run = self._run(item)
        return run.status if run is not None else self._statuses[item.posting.submission.id]

    def runs(self, item: Item) -> list[RunBrief]:
        """Those that are meant: of a whole submission all that boards show."""
        return self._meant(item)

    def make(self, items: Sequence[Item]) -> list[Shown]:
        """What is shown of these, in this order; whoever calls has asked the policy."""
        self._number(items)
        return [self._shown(item) for item in items]

    def _number(self, items: Sequence[Item]) -> None:
        """All numbers and names that these need, each kind with one question."""
        numbers, owns = self._site.numbers, [item.posting.submission for item in items]
        known = {own.id: own for own in owns}.values()
        children = [child_key(own.id, n) for own in known if is_parent(own) for n in range(len(own.tasks))]
        self._numbers = numbers.many(Kind.SUBMISSION, [*(own.id for own in known), *children])
        self._phases = numbers.many(Kind.PHASE, [joined(own.competition, own.phase) for own in known])
        self._boards = numbers.many(Kind.BOARD, [joined(own.competition, 0) for own in known])
        self._scores = {
            score_key(own.id, run.position, key): value
            for own in known
            for run in self._runs.get(own.id, ())
            for key, value in self._values(own.competition, run).items()
        }
        self._score_numbers = numbers.many(Kind.SCORE, self._scores)
        keys = {task.key for own in known for task in self._found(own.competition).spec.tasks if task.key}
        self._tasks: dict[str, SharedTask] = {task.key: task for task in self._site.db.tasks_ever(keys)}
        people = {account for own in known if (account := account_of(own.participant)) is not None}
        self._usernames, self._shown_names = self._site.db.usernames(people), self._site.db.shown_names(people)

    def _values(self, competition: str, run: RunBrief) -> dict[str, float]:
        """The value of every column that there is."""
        board = self._board(self._found(competition))
        if board is None or run.status is not Status.FINISHED:
            return {}
        return {key: value for key, value in with_computed(board.columns, run.scores).items() if value is not None}

    # ------------------------------------------------------------------ one of them
    def _shown(self, item: Item) -> Shown:
        own, posted = item.posting.submission, item.posting.posted
        found, facts = self._found(own.competition), self.facts[own.id]
        phase, run = found.spec.phases[own.phase], self._run(item)
        runs, near, allows = self._meant(item), self._is_near(facts), self._site.policy.allows
        parent, account = is_parent(own), account_of(own.participant)
        children = [self._numbers[child_key(own.id, n)] for n in range(len(own.tasks))] if parent else []
        whole = item.position is None
        page = (
            run is not None
            and run.status is Status.FINISHED
            and allows(self._actor, Action.SUBMISSION_DETAILED_RESULT, facts)
        )
        return Shown(
            number=self._numbers[own.id] if whole else self._numbers[child_key(own.id, item.position or 0)],
            id=own.id,
            owner=account,
            owner_name=self._usernames.get(account, own.participant) if account is not None else own.participant,
            display_name=self._shown_names.get(account, own.participant) if account is not None else own.participant,
            competition=own.competition,
            competition_title=found.spec.title,
            phase=own.phase,
            phase_number=self._phases[joined(own.competition, own.phase)],
            phase_name=phase.name,
            task=self._task(found, run) if run is not None else None,
            status=self.status(item),
            status_details=self._why(facts, runs) if near else None,
            name=own.name if near else "",
            dataset=posted.dataset if near else None,
            file_name=item.posting.file_name if near and own.deleted_at is None else None,
            file_size=item.posting.size if near and own.deleted_at is None else None,
            created_at=own.created_at,
            started_at=min((each.started_at for each in runs if each.started_at), default=None),
            ended_at=_last([each.finished_at for each in runs]),
            scores=self._shown_scores(found, facts, item, runs),
            fact_sheet=_answers(found, own.fact_sheet, everything=near),
            is_public=facts.is_public,
            is_deleted=facts.is_deleted,
            on_board=facts.on_board,
            board=self._boards[joined(own.competition, 0)] if facts.on_board else None,
            has_children=whole and parent,
            children=tuple(children) if whole else (),
            parent=None if whole else self._numbers[own.id],
            is_task_rerun=facts.is_task_rerun,
            has_detailed_result=page and found.spec.show_detailed_results_in_submission_panel,
            auto_run=found.spec.auto_run_submissions,
            can_be_published=facts.can_be_published,
            hides=Hides(facts.hide_output, facts.hide_prediction_output, facts.hide_score_output),
            facts=facts,
            actor=self._actor,
            site=self._site,
        )

    def _found(self, competition: str) -> Found:
        found = self._looked.competition(competition)
        assert found is not None  # noqa: S101 - only what has facts is shown
        return found

    def _run(self, item: Item) -> RunBrief | None:
        """The run that is meant; None: all of several."""
        runs = self._runs.get(item.posting.submission.id, [])
        if item.position is not None:
            return next((run for run in runs if run.position == item.position), None)
        return None if is_parent(item.posting.submission) else next(iter(runs), None)

    def _meant(self, item: Item) -> list[RunBrief]:
        run = self._run(item)
        return [run] if run is not None else self._runs.get(item.posting.submission.id, [])

    def _is_near(self, facts: SubmissionFacts) -> bool:
        """Whether the actor has to do with a submission: others only see what stands on the board."""
        if self._site.policy.allows(self._actor, Action.SUBMISSION_DOWNLOAD, facts):
            return True
        return bool(facts.roles(self._actor) & {"Pu", "Bo"})

    def _why(self, facts: SubmissionFacts, runs: Sequence[RunBrief]) -> str | None:
        """Why it failed; that may quote what programs printed, so it is told to who may read that."""
        if not self._site.policy.allows(self._actor, Action.SUBMISSION_LOGS, facts):
            return None
        return next((run.problem.message for run in runs if run.problem is not None), None)

    def _task(self, found: Found, run: RunBrief) -> ShownTask:
        spec = found.spec.task(run.task)
        shared = self._tasks.get(spec.key or "")
        if shared is None:
            return ShownTask(None, spec.key, spec.name, spec.description or "")
        allows = self._site.policy.allows
        organizes = allows(self._actor, Action.FILES_REFERENCE, found.facts) or self._actor.account == shared.owner
        return ShownTask(
            shared.id,
            shared.key,
            shared.name,
            shared.description,
            shared.owner,
            shared.created_at,
            shared.is_public,
            shared.ingestion_only_during_scoring,
            shared.parts if organizes else {},
            shared.shared_with if organizes else frozenset(),
        )

    @staticmethod
    def _board(found: Found) -> LeaderboardSpec | None:
        return next(iter(found.spec.ranking), None)

    def _shown_scores(
        self, found: Found, facts: SubmissionFacts, item: Item, runs: Sequence[RunBrief]
    ) -> tuple[ShownScore, ...]:
        """Those of columns that the actor may see; of a board that is hidden, its owner sees them."""
        board, allows = self._board(found), self._site.policy.allows
        if board is None:
            return ()
        own = self._actor.account is not None and facts.owner == self._actor.account
        if not own and not allows(self._actor, Action.BOARD_READ, BoardFacts(found.facts, hidden=board.hidden)):
            return ()
        everything = allows(self._actor, Action.RESULTS_EXPORT, found.facts)
        shown = []
        for run in runs:
            task = self._tasks.get(found.spec.task(run.task).key or "")
            for column in board.columns:
                key = score_key(item.posting.submission.id, run.position, column.key)
                if key in self._scores and (everything or not column.hidden):
                    value, number = self._scores[key], self._score_numbers[key]
                    shown.append(ShownScore(number, column.index, column.key, value, task.id if task else None))
        return tuple(shown)


def _last(ends: Sequence[datetime | None]) -> datetime | None:
    """When all had ended; None: not yet."""
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _answers(found: Found, answers: Mapping[str, Any] | None, *, everything: bool) -> Mapping[str, Any] | None:
    if answers is None or everything:
        return answers
    shown = {question.key for question in found.spec.fact_sheet if question.is_on_leaderboard}
    return {key: value for key, value in answers.items() if key in shown}
