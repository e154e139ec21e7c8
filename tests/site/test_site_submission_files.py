"""Files and logs of submissions: what phases hide, pages of detailed results, what is published."""

from __future__ import annotations

import pytest
from board_lab import number, scored
from site_lab import person
from submission_lab import SCORES, competition, link, made, shape, with_files
from upload_lab import ZIP, sent

from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused
from codabench.core.records import Status
from codabench.site.actors import ANONYMOUS, Actor
from codabench.site.policy import Action
from codabench.site.site import Site

ONE_TASK = {"tasks: [0, 1]": "tasks: [1]"}
PAGES = "enable_detailed_results: true\n"
HIDDEN = "Cannot access submission details while phase marked to hide output."


@pytest.fixture
def people(site: Site) -> tuple[Actor, Actor, Actor]:
    return person(site, "annie"), person(site, "bobby"), person(site, "carol")


# Rows are the flags of platform.md 2.3.
@pytest.mark.row("W03")
@pytest.mark.parametrize(
    ("flag", "owner", "robot"),
    [
        ("", "yyyy2", "yyyy2"),
        ("hide_output", HIDDEN, "y--y0"),
        ("hide_prediction_output", "y-yy2", "y-yy2"),
        ("hide_score_output", "yy-y2", "yy-y2"),
    ],
)
def test_what_phases_hide(site: Site, people: tuple[Actor, Actor, Actor], flag: str, owner: str, robot: str) -> None:
    ann, bob, eve = people
    bot, admin = person(site, "robot", is_bot=True), person(site, "admin", is_superuser=True)
    changed = {**ONE_TASK, "starting_kit: kit": f"starting_kit: kit\n    {flag}: true" if flag else "starting_kit: kit"}
    id = competition(site, ann, bob, eve, more=PAGES, changed=changed)
    site.competitions.edit(ann, id, {"allow_robots": True})
    shown = with_files(site, id, bob, fails=True)
    assert shape(site, ann, shown.number) == shape(site, admin, shown.number) == "yyyy2"
    assert shape(site, bob, shown.number) == owner
    assert shape(site, bot, shown.number) == robot
    assert shown.hides == tuple(flag == name for name in ("hide_output", "hide_prediction_output", "hide_score_output"))
    with pytest.raises(NotFound):
        site.submissions.details(eve, shown.number)
    if flag == "hide_output":
        with pytest.raises(Refused):
            site.submissions.live(bob, shown.number)
    # What its programs said may be in the reason: who may not read the logs does not read it there.
    told = site.submissions.get(bob, shown.number).status_details
    assert told == (None if flag == "hide_output" else "the scoring program said SECRET-LABELS")


def test_files_are_what_they_are(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = competition(site, ann, bob, more=PAGES, changed=ONE_TASK)
    shown = with_files(site, id, bob)
    assert (shown.status, shown.has_detailed_result) == (Status.FINISHED, True)
    found = site.submissions.details(bob, shown.number)
    assert link(site, found.data_file) == ZIP
    assert link(site, found.detailed_result) == b"<h1>page</h1>"
    assert [(name, link(site, ticket)) for name, ticket in found.logs] == [
        ("prediction_stdout", b"said\n"),
        ("scoring_stdout", b"said\n"),
    ]
    assert [board.key for board in found.leaderboards] == ["board"]
    site.db.delete_submission(shown.id, at=site.now())
    assert shape(site, bob, shown.number) == "----0"


def test_of_several_tasks_the_children_have_the_files(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    shown = with_files(site, competition(site, ann, bob, more=PAGES), bob)
    assert shape(site, bob, shown.number) == "y---0"
    assert [shape(site, bob, child) for child in shown.children] == ["yyyy2", "yyyy2"]
    assert not shown.has_detailed_result
    assert site.submissions.get(bob, shown.children[0]).has_detailed_result


def test_pages_of_detailed_results(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    """Platform.md 2.5: of a published competition everybody's; else for those who take part; off, nobody's."""
    ann, bob, eve = people
    dan = person(site, "danny")
    id = competition(site, ann, bob, eve, more=PAGES, changed=ONE_TASK)
    n = with_files(site, id, bob).number
    for who in (*people, dan, ANONYMOUS):
        assert link(site, site.submissions.detailed_result(who, n)) == b"<h1>page</h1>"
    assert site.submissions.get(bob, n).has_detailed_result
    # The switch takes away links, not pages.
    site.competitions.edit(ann, id, {"show_detailed_results_in_submission_panel": False})
    assert not site.submissions.get(bob, n).has_detailed_result
    assert site.submissions.detailed_result(bob, n) is not None
    site.competitions.publish(ann, id, False)
    for who in people:
        assert site.submissions.detailed_result(who, n) is not None
    for who in (dan, ANONYMOUS):
        with pytest.raises((NotFound, NotSignedIn)):
            site.submissions.detailed_result(who, n)
    site.competitions.edit(ann, id, {"enable_detailed_results": False})
    for who in people:
        with pytest.raises(NotFound):
            site.submissions.detailed_result(who, n)
    assert shape(site, ann, n) == "yyy-2"


def test_who_submitted_may_publish(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, ann, bob, eve)
    shown = made(site, bob, id)
    for other in (eve, ANONYMOUS):
        with pytest.raises(NotFound):
            site.submissions.publish(other, shown.number, True)
    site.submissions.publish(bob, shown.number, True)
    seen = site.submissions.get(eve, shown.number)
    assert (seen.is_public, seen.file_name) == (True, "wheat.zip")
    assert site.db.dataset(str(shown.dataset)).is_public
    assert link(site, site.submissions.details(eve, shown.number).data_file) == ZIP
    assert site.submissions.get(ANONYMOUS, shown.number).number == shown.number
    site.competitions.publish(ann, id, False)
    with pytest.raises(NotFound):
        site.submissions.get(ANONYMOUS, shown.number)
    site.submissions.publish(ann, shown.children[1], False)
    assert not site.db.dataset(str(shown.dataset)).is_public
    with pytest.raises(NotFound):
        site.submissions.get(eve, shown.number)
    site.competitions.edit(ann, id, {"can_participants_make_submissions_public": False})
    for who in (ann, bob):
        with pytest.raises(Refused):
            site.submissions.publish(who, shown.number, True)
        assert Action.SUBMISSION_PUBLISH not in site.submissions.get(who, shown.number).can


def test_who_only_reads_changes_nothing(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = competition(site, ann, bob)
    reader = Actor(bob.account, bob.username, scope="read")
    shown, data = made(site, bob, id), sent(site, bob).key
    assert site.submissions.get(reader, shown.number) == site.submissions.get(bob, shown.number)
    for change in (
        lambda: site.submissions.create(reader, id, 0, data),
        lambda: site.submissions.publish(reader, shown.number, True),
        lambda: site.submissions.answer(reader, shown.number, {}),
    ):
        with pytest.raises(Refused, match="only reads"):
            change()
    assert site.submissions.allowance(reader, id, 0).reason == "This token only reads."


def test_buttons_are_for_what_can_be_done(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = competition(site, ann, bob)
    waits, done = made(site, bob, id).number, number(site, scored(site, id, bob, SCORES, SCORES, board=False))
    on = number(site, scored(site, id, bob, SCORES, SCORES))
    mine = {
        n: {a.partition(".")[2] for a in site.submissions.get(bob, n).can}
        & {"cancel", "rerun", "run", "put_on_board", "take_off_board", "soft_delete", "hard_delete", "score"}
        for n in (waits, done, on)
    }
    assert mine == {
        waits: {"cancel", "hard_delete"},
        done: {"put_on_board", "soft_delete", "hard_delete"},
        on: set(),
    }
    theirs = site.submissions.get(ann, done).can
    assert {Action.SUBMISSION_RERUN, Action.SUBMISSION_SCORE, Action.SUBMISSION_HARD_DELETE} <= theirs


def test_numbers_open_nothing(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    shown = made(site, bob, competition(site, ann, bob))
    for wrong in (0, -1, 999, shown.phase_number if shown.phase_number != shown.number else 998):
        with pytest.raises(NotFound):
            site.submissions.get(ann, wrong)
    with pytest.raises(Invalid):
        site.submissions.list(ann, status="no such")
