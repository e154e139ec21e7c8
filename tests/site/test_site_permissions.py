"""The policy against the expected permissions, cell by cell."""

from __future__ import annotations

import dataclasses

import pytest
from permission_matrix import Section, reads, sections

from codabench.core.competition import SubmissionRule
from codabench.core.errors import NotFound, NotSignedIn, Refused
from codabench.core.records import Status
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
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
from codabench.site.policy import Action, Policy, decide

ME, CREATOR, OTHER = 7, 1, 2
SECTIONS, READS = sections(), reads()


def actor(role: str) -> Actor:
    if role == "An":
        return ANONYMOUS
    account = CREATOR if role == "Cr" else ME
    return Actor(account, "me", is_staff=role == "St", is_superuser=role == "Su", is_bot=role == "Bo")


def facts(section: Section, role: str) -> Facts:
    given, values = section.words, section.values
    competition = CompetitionFacts(
        creator=CREATOR,
        collaborators=frozenset({ME} if role == "Co" else ()),
        participation={"Pe": "pending", "De": "denied", "Ap": "approved", "Ow": "approved"}.get(role),
        published="published" in given,
        has_key="key" in given,
        allows_robots="robots" in given,
        shows_programs="programs" in given,
        shows_inputs="inputs" in given,
    )
    owner = ME if role == "Ow" else OTHER
    public, used = "public" in given, "in_use" in given
    if section.kind == "competition":
        return competition
    if section.kind == "board":
        return BoardFacts(competition, hidden="hidden" in given)
    if section.kind == "submission":
        return SubmissionFacts(
            competition,
            owner=owner,
            status=Status(values["status"]),
            rule=SubmissionRule(values["rule"]),
            on_board="on_board" in given,
            board_hidden="board_hidden" in given,
            is_public=public,
            is_deleted="deleted" in given,
            is_task_rerun="task_rerun" in given,
            hide_output="hide_output" in given,
            hide_prediction_output="hide_prediction_output" in given,
            hide_score_output="hide_score_output" in given,
            detailed_results="detailed_results" in given,
            can_be_published="private" not in given,
        )
    if section.kind == "dataset":
        return DatasetFacts(owner, public, offered=role == "Sh", organized=role == "Co", in_use=used)
    if section.kind == "task":
        return TaskFacts(owner, frozenset({ME} if role == "Sh" else ()), public, used)
    return AccountFacts(owner) if section.kind == "account" else SITE


def cell(actor: Actor, action: str, facts: Facts) -> str:
    decision = decide(actor, Action(action), facts)
    if decision.allowed:
        return "y"
    return "0" if decision.hidden else "s" if decision.sign_in else "-"


@pytest.mark.parametrize("section", SECTIONS, ids=str)
def test_every_cell(section: Section) -> None:
    for action, row in section.cells.items():
        found = {role: cell(actor(role), action, facts(section, role)) for role in row}
        assert found == row, f"{action} of {section}"


def test_every_action_is_expected_somewhere() -> None:
    assert {action for section in SECTIONS for action in section.cells} == {action.value for action in Action}


def test_every_section_of_a_kind_has_all_of_its_actions() -> None:
    for kind in {section.kind for section in SECTIONS}:
        rows = [set(section.cells) for section in SECTIONS if section.kind == kind]
        assert all(row == rows[0] for row in rows), kind


def test_the_operator_may_do_what_anybody_may() -> None:
    for section in SECTIONS:
        for action, row in section.cells.items():
            may = [decide(actor(role), Action(action), facts(section, role)).allowed for role in row]
            # The facts of nobody's: it has every role by itself.
            allowed = decide(OPERATOR, Action(action), facts(section, "Au")).allowed
            assert allowed or not any(may), f"{action} of {section}"


@pytest.mark.parametrize("section", SECTIONS, ids=str)
def test_a_token_for_reading_changes_nothing(section: Section) -> None:
    for action, row in section.cells.items():
        for role in set(row) - {"An"}:
            who = dataclasses.replace(actor(role), scope="read")
            found = cell(who, action, facts(section, role))
            expected = row[role] if action in READS or row[role] != "y" else "-"
            assert found == expected, f"{action} of {section} by {role}"


def test_roles_add_up() -> None:
    """Whoever takes part, and organizes, and is a robot, may do what one of these may."""
    competition = CompetitionFacts(CREATOR, frozenset({ME}), "denied", published=True)
    theirs = SubmissionFacts(competition, owner=ME, rule=SubmissionRule.FORCE_LAST)
    me = Actor(ME, is_bot=True)
    assert decide(me, Action.COMPETITION_EDIT, competition).allowed
    assert decide(me, Action.SUBMISSION_SOFT_DELETE, theirs).allowed
    assert decide(me, Action.SUBMISSION_RERUN, theirs).allowed
    assert not decide(me, Action.COMPETITION_DELETE, competition).allowed
    assert not decide(me, Action.SUBMISSION_PUT_ON_BOARD, theirs).allowed


def test_facts_of_another_thing_are_a_slip_of_ours() -> None:
    with pytest.raises(TypeError, match="CompetitionFacts"):
        decide(OPERATOR, Action.COMPETITION_EDIT, SITE)


def test_what_is_raised() -> None:
    policy, me = Policy(), Actor(ME)
    hidden, shown = CompetitionFacts(CREATOR), CompetitionFacts(CREATOR, published=True)
    policy.require(me, Action.COMPETITION_READ, shown)
    with pytest.raises(NotFound, match="no such competition"):
        policy.require(me, Action.COMPETITION_EDIT, hidden)
    with pytest.raises(NotSignedIn):
        policy.require(ANONYMOUS, Action.COMPETITION_EDIT, shown)
    with pytest.raises(Refused):
        policy.require(me, Action.COMPETITION_EDIT, shown)


def test_what_clients_know_word_by_word() -> None:
    shown = CompetitionFacts(CREATOR, published=True)
    theirs = SubmissionFacts(CompetitionFacts(CREATOR, participation="approved", published=True), ME, hide_output=True)
    me = Actor(ME)
    assert decide(me, Action.SUBMISSION_CREATE, shown).reason == (
        "You do not have access to this competition to make a submission"
    )
    assert decide(me, Action.SUBMISSION_RERUN, theirs).reason == "You do not have permission to re-run submissions"
    assert decide(me, Action.SUBMISSION_DETAILS, theirs).reason == (
        "Cannot access submission details while phase marked to hide output."
    )
    assert decide(me, Action.SUBMISSION_DETAILED_RESULT, theirs).reason == (
        "Detailed results are disabled for this competition!"
    )
