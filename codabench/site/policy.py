"""Who may do what. The only place that decides; it reads nothing and changes nothing.

One table for each kind of thing, in the order and with the columns of platform.md section 2 (`codabench.site.facts`
says what they mean); cells that are marked there are as its section 6 says. A cell is ``y``, ``-``, or a letter that
names a condition below its table. Who has several roles may do what one of them may. What is refused to somebody who
may not know of the thing is not there.

The first column says ``r`` where something is only read, and ``w`` where something is changed: a token for reading
does not do that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from codabench.core.competition import SubmissionRule
from codabench.core.errors import NotFound, NotSignedIn, Refused
from codabench.core.records import Status
from codabench.site.actors import Actor
from codabench.site.facts import (
    SITE,
    AccountFacts,
    BoardFacts,
    CompetitionFacts,
    DatasetFacts,
    Facts,
    SubmissionFacts,
    TaskFacts,
)


class Action(StrEnum):
    """What can be asked for. A route, a command and a test name it by its value."""

    COMPETITION_OPEN = "competition.open"
    COMPETITION_READ = "competition.read"
    COMPETITION_SEE_SECRETS = "competition.see_secrets"
    COMPETITION_CREATE = "competition.create"
    COMPETITION_EDIT = "competition.edit"
    COMPETITION_PUBLISH = "competition.publish"
    COMPETITION_DELETE = "competition.delete"
    COMPETITION_REGISTER = "competition.register"
    COMPETITION_ENROL = "competition.enrol"
    COMPETITION_FEATURE = "competition.feature"
    PARTICIPANTS_LIST = "participants.list"
    PARTICIPANTS_DECIDE = "participants.decide"
    PARTICIPANTS_MAIL = "participants.mail"
    PARTICIPANTS_MAIL_ALL = "participants.mail_all"
    DUMPS_CREATE = "dumps.create"
    DUMPS_LIST = "dumps.list"
    RESULTS_EXPORT = "results.export"
    PHASE_MIGRATE = "phase.migrate"
    PHASE_RERUN = "phase.rerun"
    PHASE_RERUN_WITHOUT_LIMIT = "phase.rerun_without_limit"
    FILES_KITS = "files.kits"
    FILES_PROGRAMS = "files.programs"
    FILES_INPUTS = "files.inputs"
    FILES_REFERENCE = "files.reference"
    BOARD_READ = "board.read"
    SUBMISSION_CREATE = "submission.create"
    SUBMISSION_LIST = "submission.list"
    SUBMISSION_READ = "submission.read"
    SUBMISSION_DETAILS = "submission.details"
    SUBMISSION_LOGS = "submission.logs"
    SUBMISSION_PREDICTION_OUTPUT = "submission.prediction_output"
    SUBMISSION_SCORING_OUTPUT = "submission.scoring_output"
    SUBMISSION_LIVE = "submission.live"
    SUBMISSION_DETAILED_RESULT = "submission.detailed_result"
    SUBMISSION_CANCEL = "submission.cancel"
    SUBMISSION_RUN = "submission.run"
    SUBMISSION_RERUN = "submission.rerun"
    SUBMISSION_SOFT_DELETE = "submission.soft_delete"
    SUBMISSION_HARD_DELETE = "submission.hard_delete"
    SUBMISSION_PUT_ON_BOARD = "submission.put_on_board"
    SUBMISSION_TAKE_OFF_BOARD = "submission.take_off_board"
    SUBMISSION_ANSWER = "submission.answer"
    SUBMISSION_SCORE = "submission.score"
    SUBMISSION_PUBLISH = "submission.publish"
    SUBMISSION_DOWNLOAD = "submission.download"
    SUBMISSION_MONITOR = "submission.monitor"
    DATASET_CREATE = "dataset.create"
    DATASET_LIST = "dataset.list"
    DATASET_READ = "dataset.read"
    DATASET_DOWNLOAD = "dataset.download"
    DATASET_EDIT = "dataset.edit"
    DATASET_DELETE = "dataset.delete"
    DATASET_VERIFY = "dataset.verify"
    TASK_CREATE = "task.create"
    TASK_LIST = "task.list"
    TASK_READ = "task.read"
    TASK_USE = "task.use"
    TASK_EDIT = "task.edit"
    TASK_DELETE = "task.delete"
    ACCOUNT_CREATE = "account.create"
    ACCOUNT_SEARCH = "account.search"
    ACCOUNT_READ = "account.read"
    ACCOUNT_SEE_EMAIL = "account.see_email"
    ACCOUNT_SEE_USE = "account.see_use"
    ACCOUNT_EDIT = "account.edit"
    ACCOUNT_CREDENTIALS = "account.credentials"
    ACCOUNT_DELETE = "account.delete"
    ACCOUNT_ADMINISTER = "account.administer"
    JOB_READ = "job.read"
    SITE_ANALYTICS = "site.analytics"
    SITE_ADMINISTER = "site.administer"


class Condition(NamedTuple):
    """When a cell is a yes, and what is told where it is none."""

    holds: Callable[[Any], bool]
    otherwise: str = ""


class Rule(NamedTuple):
    """A row of a table: what decides for each role."""

    facts: type[Facts]
    reads: bool
    cells: dict[str, Condition]


@dataclass(frozen=True)
class Decision:
    """Yes, or no and why.

    Attributes
    ----------
    reason
        Nothing where it would tell something of a thing that the actor may not know of.
    hidden
        The actor may not even know that the thing is there.
    sign_in
        It may be otherwise for somebody who is signed in.
    """

    allowed: bool
    reason: str = ""
    hidden: bool = False
    sign_in: bool = False


_RULES: dict[Action, Rule] = {}


def _table(facts: type[Facts], rows: str, **conditions: Condition) -> None:
    """Take over the rows of a table. What is written wrong in one fails here, at import."""
    known = {"y": Condition(lambda _facts: True), **conditions}
    head, *lines = (line.split() for line in rows.strip().splitlines())
    for kind, action, *cells in lines:
        found = {role: known[cell] for role, cell in zip(head, cells, strict=True) if cell != "-"}
        _RULES[Action(action)] = Rule(facts, {"r": True, "w": False}[kind], found)


# ---------------------------------------------------------------------- 2.1 competitions
_table(
    CompetitionFacts,
    """
                                   An Au Pe De Ap Co Cr St Su Bo
    r competition.open             a  a  y  y  y  y  y  a  y  a
    r competition.read             a  a  a  a  y  y  y  a  y  a
    r competition.see_secrets      -  -  -  -  -  y  y  y  y  -
    w competition.edit             -  -  -  -  -  y  y  -  y  -
    w competition.publish          -  -  -  -  -  y  y  -  -  -
    w competition.delete           -  -  -  -  -  -  y  -  -  -
    w competition.register         -  a  y  y  y  y  y  a  a  a
    w competition.enrol            -  -  -  -  -  -  -  -  -  e
    w competition.feature          -  -  -  -  -  -  -  -  y  -
    r participants.list            -  -  -  -  -  y  y  -  y  -
    w participants.decide          -  -  -  -  -  y  y  -  y  -
    w participants.mail            -  -  -  -  -  y  y  -  y  -
    w participants.mail_all        -  -  -  -  -  y  y  y  y  -
    w dumps.create                 -  -  -  -  -  y  y  y  y  -
    r dumps.list                   -  -  -  -  -  y  y  -  y  -
    r results.export               -  -  -  -  -  y  y  y  y  -
    w phase.migrate                -  -  -  -  -  y  y  y  y  -
    w phase.rerun                  -  -  -  -  -  y  y  -  y  -
    w phase.rerun_without_limit    -  -  -  -  -  -  -  -  y  -
    r files.kits                   -  -  -  -  y  y  y  -  y  -
    r files.programs               -  -  -  -  p  y  y  -  y  -
    r files.inputs                 -  -  -  -  i  y  y  -  y  -
    r files.reference              -  -  -  -  -  y  y  -  y  -
    w submission.create            -  -  -  -  y  y  y  -  -  -
    """,
    a=Condition(lambda c: c.is_open, "This competition is not published."),
    e=Condition(lambda c: c.allows_robots and c.is_open, "This competition does not allow robots."),
    p=Condition(lambda c: c.shows_programs, "The organizers keep the programs to themselves."),
    i=Condition(lambda c: c.shows_inputs, "The organizers keep the input data to themselves."),
)

# ---------------------------------------------------------------------- 2.4 boards
_table(
    BoardFacts,
    """
                                   An Au Pe De Ap Co Cr St Su Bo
    r board.read                   a  a  a  a  v  y  y  y  y  a
    """,
    a=Condition(lambda b: not b.hidden and b.competition.is_open, "This leaderboard is hidden."),
    v=Condition(lambda b: not b.hidden, "This leaderboard is hidden."),
)

# ---------------------------------------------------------------------- 2.2, 2.3, 2.5 submissions
_FORCED = (SubmissionRule.FORCE_LAST, SubmissionRule.FORCE_LATEST_MULTIPLE, SubmissionRule.FORCE_BEST)
_DELETING = (SubmissionRule.ADD_AND_DELETE, SubmissionRule.ADD_AND_DELETE_MULTIPLE)


def _is_listed(s: SubmissionFacts) -> bool:
    """Finished, and on a board that everybody sees."""
    on_board = s.status is Status.FINISHED and s.on_board and not s.board_hidden
    return on_board and not s.is_deleted and s.competition.is_open


_table(
    SubmissionFacts,
    """
                                   An Au Ap Pu Ow Co Cr St Su Bo
    r submission.list              i  -  -  -  y  y  y  y  y  y
    r submission.read              i  -  -  y  y  y  y  y  y  y
    r submission.details           -  -  -  l  l  y  y  l  y  y
    r submission.logs              -  -  -  l  l  y  y  l  y  l
    r submission.prediction_output -  -  -  m  m  y  y  l  y  m
    r submission.scoring_output    -  -  -  n  n  y  y  l  y  n
    r submission.live              -  -  -  -  l  y  y  -  y  -
    r submission.detailed_result   d  d  y  d  d  y  y  d  y  d
    w submission.cancel            -  -  -  -  y  y  y  -  y  -
    w submission.run               -  -  -  -  -  y  y  -  y  -
    w submission.rerun             -  -  -  -  -  y  y  -  y  y
    w submission.soft_delete       -  -  -  -  o  -  -  -  -  -
    w submission.hard_delete       -  -  -  -  p  y  y  -  y  -
    w submission.put_on_board      -  -  -  -  q  q  q  -  t  -
    w submission.take_off_board    -  -  -  -  r  r  r  -  y  -
    w submission.answer            -  -  -  -  y  y  y  -  y  -
    w submission.score             -  -  -  -  -  y  y  -  y  -
    w submission.publish           -  -  -  -  c  c  c  c  c  -
    r submission.download          -  -  -  -  y  y  y  y  y  -
    r submission.monitor           -  -  -  -  y  y  y  -  y  -
    """,
    i=Condition(_is_listed, "It is on no leaderboard that everybody sees."),
    l=Condition(lambda s: not s.hide_output, "Cannot access submission details while phase marked to hide output."),
    m=Condition(lambda s: not (s.hide_output or s.hide_prediction_output), "The phase hides what predictions put out."),
    n=Condition(lambda s: not (s.hide_output or s.hide_score_output), "The phase hides what scoring puts out."),
    d=Condition(lambda s: s.competition.published, "Detailed results are for those who take part."),
    o=Condition(
        lambda s: s.status.is_final and not s.on_board and not s.is_deleted,
        "It is not over, stands on a leaderboard, or is deleted already.",
    ),
    p=Condition(lambda s: not s.on_board, "It stands on a leaderboard."),
    q=Condition(
        lambda s: s.rule not in _FORCED and not s.is_task_rerun, "The rule of the leaderboard does not allow that."
    ),
    r=Condition(lambda s: s.rule in _DELETING, "The rule of the leaderboard does not allow that."),
    t=Condition(lambda s: not s.is_task_rerun, "A rerun on another task stays off leaderboards."),
    c=Condition(lambda s: s.can_be_published, "This competition keeps submissions private."),
)

# ---------------------------------------------------------------------- 2.6 resources and people
_table(
    DatasetFacts,
    """
                                   An Au Ow Sh Co Su
    r dataset.list                 p  p  y  -  -  p
    r dataset.read                 p  p  y  y  y  p
    r dataset.download             p  p  y  y  y  p
    w dataset.edit                 -  -  y  -  -  p
    w dataset.delete               -  -  u  -  -  -
    w dataset.verify               -  -  -  -  -  y
    """,
    p=Condition(lambda d: d.is_public, "It is not public."),
    u=Condition(lambda d: not d.in_use, "It is in use."),
)
_table(
    TaskFacts,
    """
                                   An Au Ow Sh Su
    r task.list                    -  p  y  y  -
    r task.read                    -  p  y  y  -
    r task.use                     -  p  y  y  -
    w task.edit                    -  -  y  -  y
    w task.delete                  -  -  u  -  -
    """,
    p=Condition(lambda t: t.is_public, "It is not public."),
    u=Condition(lambda t: not t.in_use, "It is in use."),
)
_table(
    AccountFacts,
    """
                                   An Au Ow St Su
    r account.read                 -  y  y  y  y
    r account.see_email            -  -  y  y  y
    r account.see_use              -  -  y  -  y
    w account.edit                 -  -  y  -  y
    w account.credentials          -  -  y  -  -
    w account.delete               -  -  y  -  y
    w account.administer           -  -  -  -  y
    r job.read                     -  -  y  -  y
    """,
)
_table(
    Facts,
    """
                                   An Au St Su
    w competition.create           -  y  y  y
    w dataset.create               -  y  y  y
    w task.create                  -  y  y  y
    w account.create               y  -  -  y
    r account.search               -  y  y  y
    r site.analytics               -  -  -  y
    w site.administer              -  -  -  y
    """,
)

_KNOWN_BY: dict[type[Facts], Action] = {
    CompetitionFacts: Action.COMPETITION_READ,
    SubmissionFacts: Action.SUBMISSION_READ,
    DatasetFacts: Action.DATASET_READ,
    TaskFacts: Action.TASK_READ,
}
"""Who may not do this to a thing is not told that it is there."""

_TOLD = (Action.SUBMISSION_RERUN, Action.SUBMISSION_DETAILED_RESULT)
"""Clients tell by the answer that they may not: these are told to everybody who may know of the competition."""

_REASONS = {
    Action.SUBMISSION_CREATE: "You do not have access to this competition to make a submission",
    Action.SUBMISSION_RERUN: "You do not have permission to re-run submissions",
}
"""What clients know word by word."""


# ---------------------------------------------------------------------- decisions
def decide(actor: Actor, action: Action, facts: Facts = SITE) -> Decision:
    """Whether an actor may do that to the thing of which these are the facts.

    Raises
    ------
    TypeError
        They are facts of another kind of thing.
    """
    rule = _RULES[action]
    if type(facts) is not rule.facts:
        raise TypeError(f"{action} is decided by {rule.facts.__name__}, not by {type(facts).__name__}")
    if action is Action.SUBMISSION_DETAILED_RESULT and not getattr(facts, "detailed_results", False):
        told = "Detailed results are disabled for this competition!" if _may_know(actor, action, facts) else ""
        return Decision(False, told, hidden=True)
    roles = facts.roles(actor)
    conditions = [condition for role, condition in rule.cells.items() if role in roles]
    if not any(condition.holds(facts) for condition in conditions):
        reason = conditions[-1].otherwise if conditions else _REASONS.get(action, "You may not do that.")
        hidden = not _may_know(actor, action, facts)
        return Decision(False, "" if hidden else reason, hidden=hidden, sign_in=actor.is_anonymous)
    if not rule.reads and actor.scope == "read":
        return Decision(False, "This token only reads.")
    return Decision(True)


def _may_know(actor: Actor, action: Action, facts: Facts) -> bool:
    """Whether an actor may know of a thing to which it may not do this."""
    if isinstance(facts, BoardFacts):
        facts = facts.competition
    elif isinstance(facts, SubmissionFacts) and action in _TOLD and _may_know(actor, action, facts.competition):
        return True
    known_by = _KNOWN_BY.get(type(facts))
    return known_by is None or (known_by is not action and decide(actor, known_by, facts).allowed)


class Policy:
    """The rules as the parts of a site ask for them."""

    def allows(self, actor: Actor, action: Action, facts: Facts = SITE) -> bool:
        """Whether it may: for lists, in which everybody finds what they may see."""
        return decide(actor, action, facts).allowed

    def require(self, actor: Actor, action: Action, facts: Facts = SITE) -> None:
        """Go on only if it may.

        Raises
        ------
        NotFound
            The actor may not know of the thing.
        NotSignedIn
            ``CB801``: nobody is signed in.
        Refused
            ``CB800``: the actor may not do that.
        """
        decision = decide(actor, action, facts)
        if decision.allowed:
            return
        if decision.hidden:
            raise NotFound(decision.reason or f"there is no such {action.partition('.')[0]}, or not for you")
        raise (NotSignedIn if decision.sign_in else Refused)(decision.reason)
