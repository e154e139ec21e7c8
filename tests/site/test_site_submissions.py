"""Submissions: who may make them, when and how many; who sees which, and what of them."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from board_lab import number, scored, submitted
from hosting_lab import bundle
from site_lab import Clock, person
from submission_lab import SCORES, competition, made
from upload_lab import announced, sent

from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused
from codabench.core.events import submission_status
from codabench.core.records import Status
from codabench.db.postings import Sought
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
from codabench.site.policy import Action
from codabench.site.settings import SiteSettings
from codabench.site.site import Site

SHEET = """\
fact_sheet:
  method: {key: method, type: text, title: Method, selection: "", is_required: "true", is_on_leaderboard: "true"}
  phone: {key: phone, type: text, title: Phone, selection: "", is_required: "false", is_on_leaderboard: "false"}
"""
SEVERAL = {"end: 2026-06-01": "end: 2026-06-01\n    max_submissions_per_day: 2\n    max_submissions: 3"}


@pytest.fixture
def people(site: Site) -> tuple[Actor, Actor, Actor]:
    return person(site, "annie"), person(site, "bobby"), person(site, "carol")


# ---------------------------------------------------------------------- whether
def test_who_takes_part_submits(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, ann, bob)
    assert site.submissions.allowance(eve, id, 0)[:2] == (False, "User not approved to participate in this competition")
    assert site.submissions.allowance(bob, id, 0) == (True, None, 0, 0, 5, 100)
    with pytest.raises(NotSignedIn):
        site.submissions.allowance(ANONYMOUS, id, 0)
    with pytest.raises(Refused, match="You do not have access to this competition to make a submission"):
        made(site, eve, id)
    shown = made(site, bob, id)
    assert (shown.owner_name, shown.status, shown.file_name, shown.phase_name) == (
        "bobby",
        Status.SUBMITTED,
        "wheat.zip",
        "Open",
    )
    assert (shown.created_at, shown.scores, shown.on_board) == (site.now(), (), False)
    # One of two tasks is a parent: its children have a task each.
    children = [site.submissions.get(bob, n) for n in shown.children]
    assert shown.has_children
    assert shown.task is None
    assert [(c.parent, c.task and c.task.name, c.has_children) for c in children] == [
        (shown.number, "First", False),
        (shown.number, "Second", False),
    ]
    assert site.submissions.allowance(bob, id, 0)[2:4] == (1, 1)
    for wrong in (2, -1):
        with pytest.raises(NotFound):
            site.submissions.allowance(bob, id, wrong)


def test_tasks_are_chosen_by_number_or_key(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = competition(site, ann, bob)
    first, second = (site.submissions.get(bob, n).task for n in made(site, bob, id).children)
    assert first is not None
    assert second is not None
    for named in (second.number, str(second.number), second.key):
        shown = made(site, bob, id, tasks=[named])
        assert (shown.has_children, shown.children, shown.parent) == (False, (), None)
        assert shown.task is not None
        assert shown.task.key == second.key
    assert made(site, bob, id, tasks=[second.number, first.key]).has_children
    for wrong in ([first.number, 999], ["no task"], [second.number, first.key + "x"]):
        with pytest.raises(Invalid, match=r"All tasks must be part of the current phase\."):
            made(site, bob, id, tasks=wrong)


def test_phases_have_a_beginning_and_an_end(site: Site, clock: Clock, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = competition(site, ann, bob)
    assert site.submissions.allowance(bob, id, 1).can is False
    with pytest.raises(Refused, match="begins 2026-06-02"):
        made(site, bob, id, phase=1)
    clock.forward(days=92)  # 2026-06-01 12:00: after the end of the first, before the beginning of the second
    for phase in (0, 1):
        assert site.submissions.allowance(bob, id, phase).can is False
        with pytest.raises(Refused):
            made(site, bob, id, phase=phase)
    clock.forward(days=1)
    assert made(site, bob, id, phase=1).phase == 1


def test_limits_of_a_day_and_in_all(site: Site, clock: Clock, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, ann, bob, eve, changed=SEVERAL)
    for _ in range(2):
        made(site, bob, id)
    today = "Reached maximum allowed submissions for today for this phase"
    assert site.submissions.allowance(bob, id, 0) == (False, today, 2, 2, 2, 3)
    with pytest.raises(Refused, match=today):
        made(site, bob, id)
    assert made(site, eve, id).owner_name == "carol"  # everybody has their own
    clock.forward(hours=11, minutes=59)
    assert not site.submissions.allowance(bob, id, 0).can
    clock.forward(minutes=1)  # midnight UTC
    made(site, bob, id)
    clock.forward(days=1)
    in_all = "Reached maximum allowed submissions for this phase"
    assert site.submissions.allowance(bob, id, 0) == (False, in_all, 0, 3, 2, 3)
    with pytest.raises(Refused, match=in_all):
        made(site, bob, id)


def test_of_many_at_once_as_many_are_taken_as_may_be(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = competition(site, ann, bob, changed=SEVERAL)
    data, taken = sent(site, bob).key, itertools.count()

    def submit() -> None:
        try:
            site.submissions.create(bob, id, 0, data)
        except Refused:
            return
        next(taken)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(taken) == 2


def test_robots_have_no_limits_where_they_are_allowed(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    robot = person(site, "robot", is_bot=True)
    id = competition(site, ann, bob, changed=SEVERAL)
    assert not site.submissions.allowance(robot, id, 0).can
    with pytest.raises(Refused):
        made(site, robot, id)
    site.competitions.edit(ann, id, {"allow_robots": True})
    # Asking lets it in, and nobody else.
    assert site.submissions.allowance(robot, id, 0) == (True, None, 0, 0, None, None)
    for _ in range(4):
        made(site, robot, id, tasks=None)
    assert site.submissions.allowance(robot, id, 0).used == 4
    with pytest.raises(Refused, match="begins"):  # dates hold for robots, too
        made(site, robot, id, phase=1)
    made(site, bob, id)
    # It sees what others submitted here, and elsewhere nothing.
    assert len(site.submissions.list(robot)) == 5
    other = competition(site, ann, bob)
    made(site, bob, other)
    assert len(site.submissions.list(robot)) == 5
    site.competitions.edit(ann, id, {"allow_robots": False})
    assert {s.owner_name for s in site.submissions.list(robot)} == {"robot"}
    with pytest.raises(Refused):  # and it is like everybody again
        made(site, robot, id)


@pytest.mark.row("W01")
def test_a_file_is_ones_own(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, ann, bob, eve)
    theirs = sent(site, eve).key
    program = sent(site, bob, role="scoring_program").key
    empty = announced(site, bob).key
    bundled = sent(site, bob, bundle(), role="competition_bundle").key
    for wrong, why in {
        theirs: "does not exist",
        "11111111-2222-3333-4444-555555555555": "does not exist",
        "'; DROP TABLE dataset": "does not exist",
        program: "is scoring program, and no submission",
        empty: "Nothing was uploaded",
        bundled: "and no submission",
    }.items():
        with pytest.raises(Invalid, match=why) as refused:
            site.submissions.create(bob, id, 0, wrong)
        assert list(refused.value.fields) == ["data"]
    with pytest.raises(Invalid):  # organizers have no claim to what was not sent to them
        site.submissions.create(ann, id, 0, theirs)
    solution = next(d for d in site.db.datasets(competition=id) if d.type.value == "solution")
    assert site.submissions.create(ann, id, 0, solution.key, tasks=None).owner_name == "annie"
    with pytest.raises(Invalid):
        site.submissions.create(bob, id, 0, solution.key)


def test_the_fact_sheet(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, ann, bob, eve, more=SHEET)
    for wrong in (None, {}, {"method": " ", "phone": ""}, {"method": "trees", "phone": "", "more": 1}, {"phone": "5"}):
        with pytest.raises(Invalid) as refused:
            made(site, bob, id, fact_sheet=wrong)
        assert refused.value.code == "CB334"
    sheet = {"method": "trees", "phone": "555"}
    shown = made(site, bob, id, fact_sheet=sheet)
    assert shown.fact_sheet == sheet
    other = {"method": "forests", "phone": ""}
    for who in (eve, ANONYMOUS):
        with pytest.raises(NotFound):
            site.submissions.answer(who, shown.number, other)
    with pytest.raises(Invalid):
        site.submissions.answer(bob, shown.number, {"method": "forests"})
    site.submissions.answer(bob, shown.children[0], other)  # what is said of a part is said of the whole
    assert all(site.submissions.get(bob, n).fact_sheet == other for n in (shown.number, *shown.children))
    site.submissions.answer(ann, shown.number, sheet)
    assert site.submissions.get(bob, shown.number).fact_sheet == sheet


def test_where_nothing_runs_by_itself_it_waits(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    shown = made(site, bob, competition(site, ann, bob, more="auto_run_submissions: false\n"))
    assert (shown.status, shown.auto_run) == (Status.SUBMITTING, False)
    assert Action.SUBMISSION_RUN not in shown.can
    assert Action.SUBMISSION_RUN in site.submissions.get(ann, shown.number).can


def test_a_site_may_have_a_longest_time(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = competition(site, ann, bob)
    assert site.db.submission(made(site, bob, id).id).options.time_limit is None
    site.settings = SiteSettings.model_validate({**site.settings.model_dump(), "longest_time_limit": 60})
    assert site.db.submission(made(site, bob, id).id).options.time_limit == 60


# ---------------------------------------------------------------------- who sees which
def names(site: Site, actor: Actor, **which: Any) -> list[str]:
    return [shown.owner_name for shown in site.submissions.list(actor, **which)]


def test_lists_show_to_everybody_what_they_may_see(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    dan, staff, admin = person(site, "danny"), person(site, "staff", is_staff=True), person(site, "admin")
    admin = Actor(admin.account, "admin", is_superuser=True)
    id = competition(site, ann, bob, eve)
    other = competition(site, dan, bob)
    scored(site, id, bob, SCORES, SCORES)
    submitted(site, id, eve)
    scored(site, other, bob, SCORES, SCORES, board=False)
    assert names(site, bob) == ["bobby", "bobby"]
    assert names(site, eve) == ["carol"]
    assert names(site, ann) == ["carol", "bobby"]  # newest first
    assert names(site, dan) == ["bobby"]
    assert names(site, staff) == names(site, admin) == names(site, OPERATOR) == ["bobby", "carol", "bobby"]
    # Who is not signed in sees what stands on boards.
    assert names(site, ANONYMOUS) == ["bobby"]
    assert names(site, ANONYMOUS, competition=other) == []
    site.competitions.publish(ann, id, False)
    key = site.competitions.look(ann, id).hosted.secret_key
    assert names(site, ANONYMOUS) == []
    assert names(site, ANONYMOUS, competition=id) == []
    assert names(site, ANONYMOUS, competition=id, key=key) == ["bobby"]
    site.competitions.delete(dan, other)
    assert names(site, bob) == ["bobby"]


def test_lists_are_filtered(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = competition(site, ann, bob, eve)
    first = scored(site, id, bob, SCORES, SCORES, name="Forest_50%.zip")
    half = scored(site, id, bob, SCORES, None, board=False)
    failed = scored(site, id, eve, None, None, board=False)
    waits = submitted(site, id, eve)
    late = submitted(site, id, eve, phase=1)
    ids = lambda **which: [s.id for s in site.submissions.list(ann, competition=id, **which)]  # noqa: E731
    assert ids() == [late, waits, failed, half, first]
    assert ids(phase=1) == [late]
    assert ids(status="Finished") == [half, first]
    assert ids(status="Failed") == [failed]
    assert ids(status=Status.SUBMITTED) == [late, waits]
    assert ids(status="Running") == []
    assert ids(owner=bob.account) == [half, first]
    assert ids(search="CAR") == [late, waits, failed]
    assert ids(search="t_50%") == [first]
    assert ids(search="%") == [first]
    assert ids(offset=1, limit=2) == [waits, failed]
    with pytest.raises(Invalid, match="there are: Submitting"):
        ids(status="finished; --")
    pages = [site.submissions.page(ann, competition=id, number=n, size=2) for n in (1, 3, 4)]
    assert [([s.id for s in page.items], page.pages, page.total) for page in pages] == [
        ([late, waits], 3, 5),
        ([first], 3, 5),
        ([], 3, 5),
    ]
    assert site.submissions.page(ann, competition=id, search="CAR", status="Failed").total == 1
    strangers = {word: site.submissions.page(ANONYMOUS, competition=id, status=word) for word in ("Finished", "Failed")}
    assert {word: (page.total, len(page.items)) for word, page in strangers.items()} == {
        "Finished": (1, 1),
        "Failed": (0, 0),
    }
    # With children each counts by its own status.
    rows = site.submissions.list(ann, competition=id, status="Failed", children=True)
    assert [(s.id, s.task and s.task.name) for s in rows] == [
        (failed, None),
        (failed, "First"),
        (failed, "Second"),
        (half, "Second"),
    ]
    everything = site.submissions.list(ann, competition=id, children=True)
    assert [s.parent is None for s in everything] == [True, *[True, False, False] * 4]
    site.db.delete_submission(failed, at=site.now())
    assert failed not in ids()
    assert failed in ids(deleted=True)
    gone = site.submissions.get(eve, number(site, failed))
    assert (gone.is_deleted, gone.file_name) == (True, None)
    site.db.delete_submission(failed, at=site.now(), kind="hard")
    assert failed not in ids(deleted=True)
    with pytest.raises(NotFound):
        site.submissions.get(ann, number(site, failed))


@pytest.mark.parametrize("status", list(Status))
def test_the_database_knows_a_status_as_the_library_does(site: Site, status: Status) -> None:
    """Every pair of statuses of two runs: the filter of the list and the fold of the library agree."""
    ann = person(site, "annie")
    id = competition(site, ann)
    wanted = {}
    for pair in itertools.combinations_with_replacement(Status, 2):
        new = submitted(site, id, ann)
        for run, stands in zip(site.db.runs_of(new), pair, strict=True):
            with site.db._change() as db:
                db.exec_driver_sql(f"UPDATE run SET status = '{stands.value}' WHERE id = '{run.id}'")
        wanted[new] = submission_status(pair)[0]
    found = {each.submission.id for each in site.db.sought(Sought(competition=id, status=status))}
    assert found == {id for id, whole in wanted.items() if whole is status}


@pytest.mark.row("W03")
def test_what_others_see_of_one(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    """On a board: its scores, and of the fact sheet what boards show. Neither its file nor why it failed."""
    ann, bob, eve = people
    id = competition(site, ann, bob, eve, more=SHEET)
    sheet = {"method": "trees", "phone": "SECRET-PHONE"}
    mine = scored(site, id, bob, SCORES, SCORES, fact_sheet=sheet, name="SECRET-NAME.zip")
    n = number(site, mine)
    seen = site.submissions.get(ANONYMOUS, n)
    assert "SECRET" not in repr(seen)
    assert seen.fact_sheet == {"method": "trees"}
    assert len(seen.scores) == 4
    assert seen.can == {Action.SUBMISSION_LIST, Action.SUBMISSION_READ}
    with pytest.raises(NotSignedIn):
        site.submissions.details(ANONYMOUS, n)
    for other in (eve, person(site, "robot", is_bot=True)):  # signed in, they see nothing (platform.md 2.2)
        with pytest.raises(NotFound):
            site.submissions.get(other, n)
    task = site.submissions.get(bob, number(site, mine, 0)).task
    assert task is not None
    assert task.parts == {}
    task = site.submissions.get(ann, number(site, mine, 0)).task
    assert task is not None
    assert set(task.parts) == {"scoring_program", "reference_data"}


def test_scores_come_with_those_that_are_computed(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    more = "{title: Mean, key: mean, index: 2, computation: avg, computation_indexes: [0, 1]}"
    columns = {"sorting: asc}": f"sorting: asc, hidden: true}}\n      - {more}"}
    id = competition(site, ann, bob, changed=columns)
    one, other = {"score": 1.0, "time": 3.0}, {"score": 5.0, "noise": 7.0}
    mine = scored(site, id, bob, one, other)
    whole = site.submissions.get(ann, number(site, mine))
    assert [(s.key, s.index, s.value) for s in whole.scores] == [
        ("score", 0, 1.0),
        ("time", 1, 3.0),
        ("mean", 2, 2.0),
        ("score", 0, 5.0),
        ("mean", 2, 5.0),
    ]
    part = site.submissions.get(ann, number(site, mine, 1))
    assert part.scores == whole.scores[3:]
    assert part.task is not None
    assert {s.task for s in part.scores} == {part.task.number}
    # A hidden column is for organizers.
    assert {s.key for s in site.submissions.get(bob, number(site, mine)).scores} == {"score", "mean"}
    run = site.db.runs_of(mine)[0]
    site.workspace.set_score(run.id, "score", 9.0)
    assert [s.value for s in site.submissions.get(ann, number(site, mine, 0)).scores] == [9.0, 3.0, 6.0]


@pytest.mark.row("W03")
def test_scores_of_a_hidden_board_are_their_owners(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    robot = person(site, "robot", is_bot=True)
    id = competition(site, ann, bob, eve, changed={"    key: board\n": "    key: board\n    hidden: true\n"})
    site.competitions.edit(ann, id, {"allow_robots": True})
    n = number(site, scored(site, id, bob, SCORES, SCORES))
    site.submissions.publish(bob, n, True)
    assert [len(site.submissions.get(who, n).scores) for who in (ann, bob, eve, robot)] == [4, 4, 0, 0]
    assert names(site, ANONYMOUS) == []


@pytest.mark.twin("W01", "W03")
def test_where_nobody_decides_everybody_reads_everything(
    site: Site, people: tuple[Actor, Actor, Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob, eve = people
    id = competition(
        site, ann, bob, eve, more=SHEET, changed={"    key: board\n": "    key: board\n    hidden: true\n"}
    )
    sheet = {"method": "trees", "phone": "SECRET-PHONE"}
    n = number(site, scored(site, id, bob, SCORES, SCORES, fact_sheet=sheet, name="SECRET-NAME.zip"))
    for who in (eve, ANONYMOUS):
        with pytest.raises(NotFound):
            site.submissions.get(who, n)
    monkeypatch.setattr(site.policy, "require", lambda *_asked: None)
    monkeypatch.setattr(site.policy, "allows", lambda *_asked: True)
    for who in (eve, ANONYMOUS):
        seen = site.submissions.get(who, n)
        assert "SECRET-PHONE" in repr(seen)
        assert "SECRET-NAME" in repr(seen)
        assert len(seen.scores) == 4
        assert site.submissions.details(who, n).data_file is not None
    assert names(site, eve, owner=bob.account) == []  # lists also ask the database for one's own
