"""What owners and organizers do to submissions, and who may not."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from board_lab import number, over, scored, submitted
from hosting_lab import YAML, bundle, hosted, uploaded
from permission_matrix import sections
from site_lab import Clock, close_site, make_site, person

from codabench.core.competition import DataRole
from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused
from codabench.core.hosting import Posted
from codabench.core.problems import Fault
from codabench.core.records import Status
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
from codabench.site.finding import score_key
from codabench.site.numbers import Kind
from codabench.site.site import Site

GOOD, WORSE = {"score": 0.5, "time": 3}, {"score": 0.25, "time": 9}
BOTH = (GOOD, WORSE)


@pytest.fixture
def people(site: Site) -> tuple[Actor, Actor, Actor]:
    """The creator of competitions, one who takes part, and another one."""
    return person(site, "annie"), person(site, "bobby"), person(site, "carol")


def competition(site: Site, people: tuple[Actor, ...], rule: str = "Add", more: str = "") -> str:
    text = YAML.format(more=f"registration_auto_approve: true\n{more}")
    text = text.replace("    key: board\n", f"    key: board\n    submission_rule: {rule}\n")
    id = hosted(site, people[0], bundle(text=text), published=True)
    for other in people[1:]:
        site.registrations.register(other, id)
    return id


def refused(act: Callable[..., Any], *actors: Actor, to: tuple[Any, ...]) -> None:
    for actor in actors:
        with pytest.raises((Refused, NotFound, NotSignedIn)):
            act(actor, *to)


def with_file(site: Site, owner: Actor, submission: str, **more: bool) -> str:
    """The key of a data set that was submitted."""
    key = uploaded(site, owner, bundle(), role=DataRole.SUBMISSION).key
    site.db.post(Posted(submission=submission, dataset=key, **more))
    return key


def statuses(site: Site, id: str) -> list[str]:
    return [run.status.value for run in site.db.runs_of(id)]


def rows(site: Site, actor: Actor, id: str) -> list[int]:
    return [row.number for row in site.boards.read(actor, id).rows]


# ---------------------------------------------------------------------- runs
def test_cancel(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    robot = person(site, "robot", is_bot=True)
    id = competition(site, people)
    site.competitions.edit(ann, id, {"allow_robots": True})
    mine = submitted(site, id, bob)
    refused(site.submissions.cancel, eve, robot, ANONYMOUS, to=(number(site, mine),))
    assert statuses(site, mine) == ["Submitted", "Submitted"]
    assert site.submissions.cancel(ann, number(site, mine, 1))
    assert statuses(site, mine) == ["Submitted", "Cancelled"]
    assert not site.submissions.cancel(bob, number(site, mine, 1))
    assert site.submissions.cancel(bob, number(site, mine))
    assert not site.submissions.cancel(bob, number(site, mine))
    # What its owner has cancelled counts against limits.
    assert [run.fault for run in site.db.runs_of(mine)] == [Fault.PARTICIPANT, Fault.ORGANIZER]


def test_start_what_waits(site: Site, people: tuple[Actor, Actor, Actor], clock: Clock) -> None:
    ann, bob, _ = people
    id = competition(site, people, more="auto_run_submissions: false\n")
    mine = submitted(site, id, bob, enforce=True, now=clock())
    assert statuses(site, mine) == ["Submitting", "Submitting"]
    refused(site.submissions.run, bob, ANONYMOUS, to=(number(site, mine),))
    site.submissions.run(ann, number(site, mine))
    assert statuses(site, mine) == ["Submitted", "Submitted"]
    refused(site.submissions.run, ann, to=(number(site, mine),))


def test_rerun(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, people)
    mine = submitted(site, id, bob)
    file = with_file(site, bob, mine, is_public=True)
    with pytest.raises(Refused, match="that has not finished processing"):
        site.submissions.rerun(ann, number(site, mine))
    for run in site.db.runs_of(mine):
        over(site, run, GOOD)
    refused(site.submissions.rerun, bob, eve, ANONYMOUS, to=(number(site, mine),))
    again = site.submissions.get(ann, site.submissions.rerun(ann, number(site, mine)))
    assert (again.owner, again.phase, again.dataset, again.status) == (bob.account, 0, file, Status.SUBMITTED)
    assert (len(again.children), again.is_task_rerun, again.is_public) == (2, False, False)
    part = site.submissions.get(ann, site.submissions.rerun(ann, number(site, mine, 1)))
    assert part.task is not None
    assert (part.task.name, part.children, part.is_task_rerun) == ("Second", (), True)


def test_rerun_on_any_task(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    """A robot takes a task of its own, which no competition has; no board takes what comes of it."""
    ann, bob, _ = people
    robot = person(site, "robot", is_bot=True)
    id, elsewhere = competition(site, people, rule="Force_Last"), hosted(site, robot)
    key = site.db.competition(elsewhere).tasks[0].key
    mine = scored(site, id, bob, *BOTH)
    with pytest.raises(Refused, match="You do not have permission to re-run submissions"):
        site.submissions.rerun(robot, number(site, mine), task=key)
    site.competitions.edit(ann, id, {"allow_robots": True})
    made = site.submissions.rerun(robot, number(site, mine), task=key)
    again = site.submissions.get(robot, made)
    assert again.task is not None
    assert (again.task.key, again.owner, again.is_task_rerun) == (key, bob.account, True)
    for wrong in (site.db.competition(hosted(site, ann)).tasks[0].key, "nothing", ""):
        with pytest.raises(NotFound):
            site.submissions.rerun(robot, number(site, mine), task=wrong)
    # The same task as before is somebody's choice as well, and so is what is done once more of that.
    single = scored(site, id, bob, GOOD, task=[0], board=False)
    own = site.db.competition(id).tasks[0].key
    tried = [made, site.submissions.rerun(ann, number(site, single), task=own)]
    for n in range(2):
        for run in site.db.runs_of(site.numbers.key(Kind.SUBMISSION, tried[n])):
            over(site, run, GOOD)
        tried.append(site.submissions.rerun(ann, tried[n]))
    assert rows(site, ann, id) == [number(site, single)]
    for each in tried:
        refused(site.submissions.put_on_board, ann, OPERATOR, to=(each,))


def test_rerun_several(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id, other = competition(site, people), competition(site, (eve, bob))
    here, there, open_still = scored(site, id, bob, *BOTH), scored(site, other, bob, *BOTH), submitted(site, id, bob)
    for wrong in (there, open_still):
        refused(site.submissions.rerun_many, ann, to=([number(site, here), number(site, wrong)],))
    assert len(site.db.submissions(id)) == 2
    assert len(site.submissions.rerun_many(ann, [number(site, here)] * 2)) == 1
    assert len(site.db.submissions(id)) == 3


def test_rerun_a_phase(clock: Clock, database: str | None) -> None:
    site = make_site(clock, database, rerun_limit=2)
    ann, bob, boss = person(site, "annie"), person(site, "bobby"), person(site, "boss1", is_superuser=True)
    id = competition(site, (ann, bob))
    submitted(site, id, bob)  # not over
    scored(site, id, bob, None, None, board=False)
    first = scored(site, id, bob, *BOTH)
    scored(site, id, bob, GOOD, phase=1)
    refused(site.submissions.rerun_phase, bob, ANONYMOUS, to=(id, 0))
    with pytest.raises(NotFound):
        site.submissions.rerun_phase(ann, id, 2)
    assert site.submissions.rerun_phase(ann, id, 0) == 2
    assert len(site.db.submissions(id, 0)) == 5
    tried = site.submissions.rerun(ann, number(site, first, 0))  # on a task of somebody's choice: left out
    over(site, site.db.runs_of(site.numbers.key(Kind.SUBMISSION, tried))[0], GOOD)
    scored(site, id, bob, *BOTH)
    refused(site.submissions.rerun_phase, ann, to=(id, 0))
    assert site.submissions.rerun_phase(boss, id, 0) == 3
    close_site(site)


@pytest.mark.parametrize("by_hand", [True, False])
def test_what_is_taken_to_the_next_phase_keeps_its_file(
    site: Site, people: tuple[Actor, Actor, Actor], clock: Clock, by_hand: bool
) -> None:
    ann, bob, _ = people
    id = competition(site, people, rule="Force_Last")
    mine = scored(site, id, bob, *BOTH, params={"depth": 3}, board=False)
    file = with_file(site, bob, mine, is_public=True)
    refused(site.competitions.migrate, bob, ANONYMOUS, to=(id, 0))
    if by_hand:
        assert site.competitions.migrate(ann, id, 0).submissions
    else:
        clock.forward(days=100)
        assert site.tick()
    (taken,) = site.submissions.list(bob, competition=id, phase=1)
    assert (taken.dataset, taken.is_public, taken.is_task_rerun) == (file, False, False)
    assert taken.fact_sheet == {"depth": 3}


# ---------------------------------------------------------------------- the end of them
def test_owners_take_their_own_away(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, people, rule="Add_And_Delete")
    mine, running = scored(site, id, bob, *BOTH), submitted(site, id, bob)
    file = with_file(site, bob, mine)
    for each in (mine, running):  # one stands on the board, one is not over
        refused(site.submissions.soft_delete, ann, bob, eve, OPERATOR, to=(number(site, each),))
    site.submissions.take_off_board(bob, number(site, mine))
    with pytest.raises(Invalid):
        site.submissions.soft_delete(bob, number(site, mine, 0))
    again = site.submissions.rerun(ann, number(site, mine))
    site.submissions.soft_delete(bob, number(site, mine))
    assert site.db.datasets(keys=[file]), "another submission has the file, too"
    assert [s.number for s in site.submissions.list(bob)] == [again, number(site, running)]
    gone = site.submissions.list(bob, deleted=True)[-1]
    assert (gone.number, gone.is_deleted, gone.file_name) == (number(site, mine), True, None)
    refused(site.submissions.soft_delete, bob, to=(number(site, mine),))
    refused(site.submissions.rerun, ann, to=(number(site, mine),))
    site.submissions.cancel(bob, again)
    site.submissions.soft_delete(bob, again)
    assert not site.db.datasets(keys=[file])


def test_what_goes_for_good(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id, other = competition(site, people), competition(site, (eve, bob))
    first, second, third = scored(site, id, bob, *BOTH), submitted(site, id, bob), submitted(site, id, eve)
    there = scored(site, other, bob, *BOTH, board=False)
    file = with_file(site, bob, second)
    refused(site.submissions.delete, bob, eve, ANONYMOUS, to=(number(site, first),))  # it stands on the board
    refused(site.submissions.delete, eve, to=(number(site, second),))
    for wrong in (there, "nothing"):
        refused(site.submissions.delete_many, ann, to=([number(site, second), number(site, wrong)],))
    with pytest.raises(Invalid):
        site.submissions.delete(ann, number(site, second, 0))
    assert site.submissions.delete_many(ann, [number(site, each) for each in (first, second)]) == 2
    assert (statuses(site, second), rows(site, ann, id)) == (["Cancelled", "Cancelled"], [])
    assert not site.db.datasets(keys=[file])
    assert [s.id for s in site.submissions.list(ann, deleted=True)] == [third]
    with pytest.raises(NotFound):
        site.submissions.get(bob, number(site, second))
    site.submissions.delete(eve, number(site, third))
    assert site.submissions.list(eve, competition=id) == []


# ---------------------------------------------------------------------- boards and scores
@pytest.mark.parametrize(
    ("rule", "put", "take"),
    [
        ("Add", True, False),
        ("Add_And_Delete", True, True),
        ("Add_And_Delete_Multiple", True, True),
        ("Force_Last", False, False),
        ("Force_Best", False, False),
    ],
)
def test_on_the_board_and_off_it(
    site: Site, people: tuple[Actor, Actor, Actor], rule: str, put: bool, take: bool
) -> None:
    ann, bob, eve = people
    id = competition(site, people, rule)
    first, second = (scored(site, id, bob, *BOTH, board=False) for _ in range(2))
    one, two, running = number(site, first), number(site, second), number(site, submitted(site, id, bob))
    refused(site.submissions.put_on_board, eve, ANONYMOUS, to=(one,))
    refused(site.submissions.put_on_board, ann, bob, to=(running,))
    if not put:
        refused(site.submissions.put_on_board, ann, bob, to=(one,))
        site.submissions.put_on_board(OPERATOR, one)
        assert rows(site, bob, id) == [one]
    else:
        site.submissions.put_on_board(bob, one)
        assert site.submissions.get(bob, one).on_board
        site.submissions.put_on_board(ann, number(site, second, 1))  # a part stands for the whole
        assert rows(site, bob, id) == ([one, two] if rule == "Add_And_Delete_Multiple" else [two])
    if not take:
        refused(site.submissions.take_off_board, ann, bob, to=(two,))
    else:
        refused(site.submissions.take_off_board, eve, to=(two,))
        site.submissions.take_off_board(bob, two)
        assert two not in rows(site, bob, id)


def test_scores_by_hand(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = competition(site, people, rule="Force_Best")
    mine, single = scored(site, id, bob, *BOTH, board=False), scored(site, id, bob, WORSE, task=[1], board=False)
    known = site.numbers.of(Kind.SCORE, score_key(mine, 1, "time"))
    shown = site.submissions.get(ann, number(site, mine)).scores
    assert known in [score.number for score in shown]
    refused(site.submissions.score, bob, ANONYMOUS, to=(known, 1.0))
    site.submissions.score(ann, known, 1.0, note="the clock was wrong")
    times = {(s.task, s.key): s.value for s in site.submissions.get(bob, number(site, mine)).scores}
    assert sorted(value for (_, key), value in times.items() if key == "time") == [1, 3]
    kept = site.db.hand_scores_of(site.db.runs_of(mine)[1].id)
    assert [(k.by, k.note) for k in kept] == [(ann.participant, "the clock was wrong")]
    site.submissions.score(ann, known, None)
    site.submissions.set_score(ann, number(site, mine, 0), "score", 0.75)
    site.submissions.set_score(ann, number(site, single), "score", 0.125)
    assert [s.value for s in site.submissions.get(bob, number(site, mine, 0)).scores] == [0.75, 3]
    assert [s.value for s in site.submissions.get(bob, number(site, mine, 1)).scores] == [0.25, 9]
    wrong: list[tuple[int, str, Any]] = [
        (number(site, mine), "score", 1.0),  # of which task?
        (number(site, single), "nothing", 1.0),
        (number(site, single), "score", float("nan")),
        (number(site, submitted(site, id, bob, task=[0])), "score", 1.0),
    ]
    for which, column, value in wrong:
        with pytest.raises(Invalid):
            site.submissions.set_score(ann, which, column, value)


# ---------------------------------------------------------------------- files and tables
def test_download_many(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, people)
    mine, theirs = submitted(site, id, bob), scored(site, id, eve, *BOTH, board=False)
    both = [number(site, each) for each in (mine, theirs)]
    refused(site.submissions.download_many, bob, ANONYMOUS, to=(both,))
    files = site.submissions.download_many(ann, [*both, number(site, mine, 0)])
    assert [file.name for file in files] == [f"{both[0]}-bobby-answer.zip", f"{both[1]}-carol-answer.zip"]
    tree = site.db.submission(mine).tree
    assert files[0].what == {"blob": tree.archive, "size": tree.size, "name": files[0].name}
    site.submissions.soft_delete(eve, both[1])
    assert [file.name for file in site.submissions.download_many(ann, both)] == [files[0].name]
    assert len(site.submissions.download_many(bob, both[:1])) == 1


def test_submissions_as_a_table(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, people)
    failed, _ = scored(site, id, bob, None, None, board=False), submitted(site, id, eve)
    head, *listed = csv.reader(io.StringIO(site.submissions.to_csv(ann, competition=id)))
    assert head == ["Submission ID", "File Name", "Owner", "Created When", "Status", "Phase"]
    assert [(row[2], row[4], row[5]) for row in listed] == [("carol", "Submitted", "Open"), ("bobby", "Failed", "Open")]
    assert listed[1][0] == str(number(site, failed))
    assert len(site.submissions.to_csv(ann, competition=id, status="Failed").splitlines()) == 2
    assert len(site.submissions.to_csv(bob).splitlines()) == 2  # everybody has their own


# ---------------------------------------------------------------------- who may do what
ACTS: dict[str, Callable[[Site, Actor, int], object]] = {
    "submission.cancel": lambda site, actor, n: site.submissions.cancel(actor, n),
    "submission.run": lambda site, actor, n: site.submissions.run(actor, n),
    "submission.rerun": lambda site, actor, n: site.submissions.rerun_many(actor, [n]),
    "submission.soft_delete": lambda site, actor, n: site.submissions.soft_delete(actor, n),
    "submission.hard_delete": lambda site, actor, n: site.submissions.delete_many(actor, [n]),
    "submission.put_on_board": lambda site, actor, n: site.submissions.put_on_board(actor, n),
    "submission.take_off_board": lambda site, actor, n: site.submissions.take_off_board(actor, n),
    "submission.score": lambda site, actor, n: site.submissions.set_score(actor, n, "score", 1.0),
    "submission.download": lambda site, actor, n: site.submissions.download_many(actor, [n]),
}
TOLD = {Refused: "-", NotSignedIn: "s", NotFound: "0"}


@pytest.mark.parametrize("state", ["finished, on no board", "finished, on a board"])
def test_every_act_asks_for_its_own_permission(site: Site, state: str) -> None:
    """As the table says that was written by hand."""
    (section,) = (s for s in sections() if (s.kind, s.state) == ("submission", state))
    names = {"Au": "nobody", "Ap": "carol", "Ow": "bobby", "Co": "colin", "Cr": "annie"}
    actors = {role: person(site, name) for role, name in names.items()} | {
        "An": ANONYMOUS,
        "St": person(site, "staffer", is_staff=True),
        "Su": person(site, "boss1", is_superuser=True),
        "Bo": person(site, "robot", is_bot=True),
    }
    id = competition(site, (actors["Cr"], actors["Ow"], actors["Ap"]), rule="Add_And_Delete_Multiple")
    site.competitions.edit(actors["Cr"], id, {"collaborators": [actors["Co"].account]})
    found: dict[str, dict[str, str]] = {}
    for action, act in ACTS.items():
        row, made = found.setdefault(action, {}), ""
        waiting = action == "submission.run"
        for role, actor in actors.items():
            # Another one after each act that was carried out.
            made = made or scored(site, id, actors["Ow"], GOOD, task=[0], board=state.endswith("a board"))
            try:
                act(site, actor, number(site, made))
                row[role], made = "y", ""
            except (Refused, NotSignedIn, NotFound) as error:
                row[role] = TOLD[type(error)]
                # Nothing of these waits: whoever may start things is told so.
                if waiting and error.args[0] == "It does not wait to be started.":
                    row[role] = "y"
    assert found == {action: {role: section.cells[action][role] for role in actors} for action in ACTS}
