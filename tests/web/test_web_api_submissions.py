"""Submissions by the calls of Codabench (platform.md 3.4 to 3.6, 3.10): shapes, status codes, words."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from board_lab import over
from hosting_lab import uploaded
from robots_replay import CREATED, DETAILS, SUBMISSION, TASK
from site_lab import person
from starlette.testclient import TestClient
from submission_lab import competition, made, with_files
from upload_lab import sent
from web_lab import browser, robot

from codabench.core.competition import DataRole
from codabench.core.hosting import SharedTask
from codabench.site.actors import Actor
from codabench.site.numbers import Kind
from codabench.site.showing import Shown
from codabench.site.site import Site

SHEET = """\
fact_sheet:
  method: {key: method, type: text, title: Method, selection: "", is_required: "true", is_on_leaderboard: "true"}
"""
ONE_A_DAY = {"    index: 0\n": "    index: 0\n    max_submissions_per_day: 1\n"}
DELETING = {"    key: board\n": "    key: board\n    submission_rule: Add_And_Delete\n"}
PAGES = "enable_detailed_results: true\ncan_participants_make_submissions_public: true\n"


class World:
    """A competition of Annie's in which Bobby takes part, Carol does not; robots may come in."""

    def __init__(self, site: Site, *, more: str = "", changed: dict[str, str] | None = None) -> None:
        self.site = site
        self.annie, self.bobby, self.carol = (person(site, name) for name in ("annie", "bobby", "carol"))
        self.id = competition(site, self.annie, self.bobby, more=more, changed=changed)
        self.number = site.numbers.of(Kind.COMPETITION, self.id)
        self.phases = [site.numbers.of(Kind.PHASE, self.id, place) for place in (0, 1)]
        keys = [task.key for task in site.db.competition(self.id).tasks if task.key]
        self.tasks = [task.id for task in site.db.tasks(keys)]
        self._clients: dict[int | None, TestClient] = {}

    def __call__(self, actor: Actor | None, verb: str, path: str, **more: Any) -> Any:
        who = actor and actor.account
        if who not in self._clients:
            self._clients[who] = robot(self.site, actor)
        return self._clients[who].request(verb, path, **more)

    def made(self, actor: Actor | None = None, **more: Any) -> Shown:
        return made(self.site, actor or self.bobby, self.id, **more)

    def finished(self, actor: Actor | None = None, **more: Any) -> Shown:
        """On its first task, with scores."""
        shown = self.made(actor, tasks=[self.tasks[0]], **more)
        for run in self.site.db.runs_of(shown.id):
            over(self.site, run, {"score": 0.5, "time": 3.0})
        return shown

    def foreign(self, owner: Actor, **more: Any) -> SharedTask:
        """A task that is in no competition."""
        parts = {role.value: uploaded(self.site, owner, b"", role=role).key for role in (DataRole.SCORING_PROGRAM,)}
        key = f"{owner.account:08d}-0000-4000-8000-000000000000"
        task = SharedTask(
            key=key, owner=owner.account or 0, name="Elsewhere", created_at=self.site.now(), **parts, **more
        )
        return self.site.db.add_task(task)


@pytest.fixture
def world(site: Site) -> World:
    return World(site, more=PAGES)


# ---------------------------------------------------------------------- made
def test_one_is_made(world: World) -> None:
    may = world(world.bobby, "GET", f"/api/can_make_submission/{world.phases[0]}")
    assert may.json() == {"can": True, "reason": None}
    key = sent(world.site, world.bobby).key
    given = {
        "phase": world.phases[0],
        "data": key,
        "secret": "mine",
        "status": "Finished",
        "scores": [1],
        "queue": None,
    }
    answer = world(world.bobby, "POST", "/api/submissions/", json=given)
    assert answer.status_code == 201
    found = answer.json()
    assert set(found) == CREATED
    assert (found["status"], found["scores"], found["phase"]) == ("Submitting", [], world.phases[0])
    one = world(world.bobby, "GET", f"/api/submissions/{found['id']}/").json()
    assert set(one) == SUBMISSION
    assert (one["status"], one["scores"], one["has_children"], one["task"]) == ("Submitted", [], True, None)
    children = [world(world.bobby, "GET", f"/api/submissions/{n}/").json() for n in one["children"]]
    assert [(child["parent"], child["task"]["id"]) for child in children] == [(one["id"], n) for n in world.tasks]
    assert all(set(child["task"]) == TASK for child in children)


@pytest.mark.parametrize("form", ["json", "data", "parts"])
def test_in_every_form(world: World, form: str) -> None:
    given = {"phase": world.phases[0], "tasks": [world.tasks[1]], "data": sent(world.site, world.bobby).key}
    if form == "parts":
        lists = {
            name: [str(v) for v in value] if isinstance(value, list) else str(value) for name, value in given.items()
        }
        answer = world(world.bobby, "POST", "/api/submissions/", data=lists, files={"nothing": ("", b"")})
    else:
        answer = world(world.bobby, "POST", "/api/submissions/", **{form: given})
    assert answer.status_code == 201, answer.text
    one = world(world.bobby, "GET", f"/api/submissions/{answer.json()['id']}/").json()
    assert (one["task"]["id"], one["children"]) == (world.tasks[1], [])


def test_what_is_not_taken(site: Site) -> None:
    world = World(site, more=SHEET, changed=ONE_A_DAY)
    right = {"phase": world.phases[0], "data": sent(site, world.bobby).key, "fact_sheet_answers": {"method": "trees"}}
    foreign = world.foreign(world.bobby)
    wrong: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"phase": 999}, {"phase": ['Invalid pk "999" - object does not exist.']}),
        ({"data": "x"}, {"data": ["Object with key=x does not exist."]}),
        ({"tasks": [foreign.id]}, {"non_field_errors": ["All tasks must be part of the current phase."]}),
        ({"organization": 3}, {"organization": ["There are no organisations here."]}),
    ]
    for change, said in wrong:
        answer = world(world.bobby, "POST", "/api/submissions/", json={**right, **change})
        assert (answer.status_code, answer.json()) == (400, said)
    for sheet in (None, {}, {"method": ""}, {"method": "trees", "more": "x"}):
        answer = world(world.bobby, "POST", "/api/submissions/", json={**right, "fact_sheet_answers": sheet})
        assert (answer.status_code, list(answer.json())) == (400, ["non_field_errors"])
    assert world(world.bobby, "POST", "/api/submissions/", json={}).json() == {
        "phase": ["This field is required."], "data": ["This field is required."],
    }  # fmt: skip
    theirs = {**right, "data": sent(site, world.carol).key}
    answer = world(world.bobby, "POST", "/api/submissions/", json=theirs)
    assert list(answer.json()) == ["data"]
    answer = world(world.carol, "POST", "/api/submissions/", json=theirs)
    reason = "You do not have access to this competition to make a submission"
    assert (answer.status_code, answer.json()["detail"]) == (403, reason)
    assert world(None, "POST", "/api/submissions/", json=right).status_code == 403
    assert world.site.db.count_submissions() == 0

    assert world(world.bobby, "POST", "/api/submissions/", json=right).status_code == 201
    over_limit = world(world.bobby, "POST", "/api/submissions/", json=right)
    reason = "Reached maximum allowed submissions for today for this phase"
    assert (over_limit.status_code, over_limit.json()["detail"]) == (403, reason)
    may = world(world.bobby, "GET", f"/api/can_make_submission/{world.phases[0]}/")
    assert may.json() == {"can": False, "reason": reason}
    may = world(world.carol, "GET", f"/api/can_make_submission/{world.phases[0]}/")
    assert may.json() == {"can": False, "reason": "User not approved to participate in this competition"}
    assert world(world.bobby, "GET", "/api/can_make_submission/999/").status_code == 404
    assert world(None, "GET", f"/api/can_make_submission/{world.phases[0]}/").status_code == 403


# ---------------------------------------------------------------------- listed
def test_lists_and_their_filters(world: World) -> None:
    first, second = world.finished(), world.made()
    other = world.finished(world.annie)

    def numbers(query: str, actor: Actor | None = world.annie) -> list[int]:
        answer = world(actor, "GET", f"/api/submissions/{query}")
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()]

    parts = numbers("", world.bobby)[1:3]
    assert numbers("") == [other.number, second.number, *parts, first.number]
    assert numbers("", world.bobby) == [second.number, *parts, first.number]
    assert numbers("", world.carol) == numbers("", None) == []
    assert numbers(f"?phase={world.phases[0]}") == numbers("")
    assert numbers(f"?phase={world.phases[1]}") == []
    assert numbers(f"?phase__competition={world.number}&status=Finished") == [other.number, first.number]
    assert numbers("?status=Submitted") == [second.number, *parts]
    assert numbers("?search=bobb") == [second.number, *parts, first.number]
    for query in ("?phase=999", "?phase__competition=999", "?status=Sleeping"):
        assert world(world.annie, "GET", f"/api/submissions/{query}").status_code == 400

    world(world.bobby, "DELETE", f"/api/submissions/{first.number}/soft_delete/")
    assert first.number not in numbers("")
    assert numbers("?show_is_soft_deleted=true")[-1] == first.number
    assert numbers("?is_soft_deleted=true") == [first.number]
    gone = world(world.bobby, "GET", f"/api/submissions/{first.number}/").json()
    assert (gone["filename"], gone["is_soft_deleted"]) == ("Deleted File", True)
    details = world(world.bobby, "GET", f"/api/submissions/{first.number}/get_details/").json()
    assert (details["data_file"], details["logs"]) == (None, [])


def test_a_table_of_them(world: World) -> None:
    one = world.finished()
    for path in ("/api/submissions/?format=csv", "/api/submissions.csv"):
        answer = world(world.annie, "GET", path)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        head, row = csv.reader(io.StringIO(answer.text))
        assert head == ["Submission ID", "File Name", "Owner", "Created When", "Status", "Phase"]
        assert (row[0], row[2], row[4], row[5]) == (str(one.number), "bobby", "Finished", "Open")


# ---------------------------------------------------------------------- files
def test_details(world: World) -> None:
    one = with_files(world.site, world.id, world.bobby)
    child = one.children[0]
    details = world(world.bobby, "GET", f"/api/submissions/{child}/get_details/").json()
    assert set(details) == DETAILS
    assert {log["name"] for log in details["logs"]} == {"prediction_stdout", "scoring_stdout"}
    assert [board["key"] for board in details["leaderboards"]] == ["board"]
    with robot(world.site) as nobody:
        for url in (details["data_file"], details["scoring_result"], details["logs"][0]["data_file"]):
            assert nobody.get(url).status_code == 200
            assert nobody.get(url.replace("/files/", "/files/x")).status_code == 403
    for actor in (world.carol, None):
        assert world(actor, "GET", f"/api/submissions/{child}/get_details/").status_code in (403, 404)

    page = world(world.bobby, "GET", f"/api/submissions/{child}/get_detail_result/").json()
    with robot(world.site) as nobody:
        shown = nobody.get(page)
        assert (shown.status_code, shown.content) == (200, b"<h1>page</h1>")
        assert "sandbox" in shown.headers["content-security-policy"]
    plain = world.finished()
    assert world(world.bobby, "GET", f"/api/submissions/{plain.number}/get_detail_result/").json() is None


def test_detailed_results_are_off(site: Site) -> None:
    world = World(site)
    one = world.finished()
    answer = world(world.bobby, "GET", f"/api/submissions/{one.number}/get_detail_result/")
    assert (answer.status_code, answer.json()["error_msg"]) == (
        404,
        "Detailed results are disabled for this competition!",
    )


def test_detailed_results_of_what_is_not_published(world: World) -> None:
    one = world.finished()
    world.site.competitions.publish(world.annie, world.id, False)
    path = f"/api/submissions/{one.number}/get_detail_result/"
    assert world(world.bobby, "GET", path).status_code == 200
    answer = world(world.carol, "GET", path)
    assert (answer.status_code, list(answer.json())) in ((403, ["error_msg"]), (404, ["error_msg"]))


def test_output_is_hidden(site: Site) -> None:
    world = World(site, changed={"    index: 0\n": "    index: 0\n    hide_output: true\n"})
    path = f"/api/submissions/{world.finished().number}/get_details/"
    answer = world(world.bobby, "GET", path)
    reason = "Cannot access submission details while phase marked to hide output."
    assert (answer.status_code, answer.json()["detail"]) == (403, reason)
    assert world(world.annie, "GET", path).status_code == 200


def test_many_are_downloaded(world: World) -> None:
    one, other = world.finished(), world.finished(world.annie)
    answer = world(world.annie, "POST", "/api/submissions/download_many/", json={"pks": [one.number, other.number]})
    files = answer.json()
    assert [set(file) for file in files] == [{"name", "url"}] * 2
    with robot(world.site) as nobody:
        assert all(nobody.get(file["url"]).status_code == 200 for file in files)
    pks = {"pks": [one.number, other.number]}
    assert world(world.bobby, "POST", "/api/submissions/download_many/", json=pks).status_code in (403, 404)


# ---------------------------------------------------------------------- cancelled, run again
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_cancelled(world: World, verb: str) -> None:
    path = f"/api/submissions/{world.made().number}/cancel_submission/"
    assert world(world.carol, verb, path).status_code == 404
    assert world(world.bobby, verb, path).json() == {"canceled": True}
    assert world(world.bobby, verb, path).json() == {"canceled": False}


def test_a_page_of_somebody_else_cancels_nothing(world: World) -> None:
    """A browser sends its cookie along with any GET; such a call has to show a token, or to be a POST of our pages."""
    path = f"/api/submissions/{world.made().number}/cancel_submission/"
    with browser(world.site, world.bobby) as page:
        assert page.get(path).status_code == 403
        assert page.post(path).json() == {"canceled": True}


def test_run_again(world: World) -> None:
    one = world.finished()
    path = f"/api/submissions/{one.number}/re_run_submission/"
    again = world(world.annie, "POST", path)
    assert (again.status_code, list(again.json())) == (200, ["id"])
    new = world(world.annie, "GET", f"/api/submissions/{again.json()['id']}/").json()
    assert (new["owner"], new["task"]["id"], new["is_specific_task_re_run"]) == ("bobby", world.tasks[0], False)

    elsewhere = world.foreign(world.annie)
    other = world(world.annie, "POST", f"{path}?task_key={elsewhere.key}").json()["id"]
    new = world(world.annie, "GET", f"/api/submissions/{other}/").json()
    assert (new["task"]["key"], new["is_specific_task_re_run"]) == (elsewhere.key, True)

    for actor in (world.bobby, world.carol):
        answer = world(actor, "POST", path)
        reason = "You do not have permission to re-run submissions"
        assert (answer.status_code, answer.json()["detail"]) == (403, reason)
    answer = world(world.annie, "POST", f"/api/submissions/{other}/re_run_submission/")
    reason = "Cannot request a re-run on a submission that has not finished processing."
    assert (answer.status_code, answer.json()["detail"]) == (403, reason)
    unknown = world(world.annie, "POST", f"{path}?task_key={'0' * 36}")
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "No Task matches the given query.")
    theirs = world(world.annie, "POST", f"{path}?task_key={world.foreign(world.bobby).key}")
    assert theirs.json() == unknown.json()


def test_many_are_run_again(world: World) -> None:
    one, two, waiting = world.finished(), world.finished(), world.made()
    path = "/api/submissions/re_run_many_submissions/"
    assert world(world.annie, "POST", path, json=[one.number, waiting.number]).status_code == 403
    assert world(world.bobby, "POST", path, json=[one.number]).status_code == 403
    before = world.site.db.count_submissions()
    assert len(world(world.annie, "POST", path, json=[one.number, two.number]).json()["ids"]) == 2
    assert world.site.db.count_submissions() == before + 2
    again = f"/api/phases/{world.phases[0]}/rerun_submissions/"
    assert world(world.bobby, "GET", again).status_code == 403
    assert world(world.annie, "GET", again).json() == {"count": 2}
    assert world(world.annie, "POST", again).json() == {"count": 2}


# ---------------------------------------------------------------------- deleted
def test_deleted(world: World) -> None:
    one, other = world.finished(), world.finished(world.annie)
    many = "/api/submissions/delete_many/"
    assert world(world.bobby, "DELETE", many, json=[one.number, other.number]).status_code in (403, 404)
    assert world(world.bobby, "GET", f"/api/submissions/{one.number}/").status_code == 200
    assert world(world.carol, "DELETE", f"/api/submissions/{one.number}/").status_code == 404
    assert world(world.bobby, "DELETE", f"/api/submissions/{one.number}/").status_code == 204
    assert world(world.bobby, "GET", f"/api/submissions/{one.number}/").status_code == 404
    assert world(world.annie, "DELETE", many, json=[other.number]).status_code == 200
    assert world.site.db.count_submissions() == 0
    assert world(world.annie, "PATCH", f"/api/submissions/{one.number}/", json={}).status_code == 405


# ---------------------------------------------------------------------- boards, scores, answers
def test_on_and_off_the_board(site: Site) -> None:
    world = World(site, changed=DELETING)
    one = world.finished()
    path = f"/api/submissions/{one.number}/submission_leaderboard_connection/"
    shown = f"/api/submissions/{one.number}/"
    assert world(None, "GET", shown).status_code == 404
    assert world(world.bobby, "POST", path).status_code == 200
    found = world(None, "GET", shown).json()
    assert (found["on_leaderboard"], found["leaderboard"]) == (True, site.numbers.of(Kind.BOARD, world.id, 0))
    assert [score["score"] for score in found["scores"]] == ["0.5000000000", "3.0000000000"]
    assert world(world.bobby, "DELETE", f"{shown}soft_delete/").status_code == 403
    assert world(world.bobby, "DELETE", path).status_code == 200
    assert world(world.bobby, "GET", shown).json()["on_leaderboard"] is False


def test_scores_by_hand(world: World) -> None:
    one = world.finished()
    score = world(world.bobby, "GET", f"/api/submissions/{one.number}/").json()["scores"][0]
    path = f"/api/submission_scores/{score['id']}/"
    assert world(world.bobby, "GET", path).json() == score
    assert world(world.annie, "GET", f"/api/submission_scores/?submission={one.number}").json()[0] == score
    assert world(world.annie, "GET", "/api/submission_scores/").json() == []
    for given in ({"score": "much"}, {"score": None}, {}):
        assert list(world(world.annie, "PATCH", path, json=given).json()) == ["score"]
    assert world(world.bobby, "PATCH", path, json={"score": 1}).status_code == 403
    assert world(world.annie, "PATCH", path, json={"score": "0.75"}).json() == {**score, "score": "0.7500000000"}
    found = world(world.bobby, "GET", f"/api/submissions/{one.number}/").json()["scores"]
    assert [each["score"] for each in found] == ["0.7500000000", "3.0000000000"]
    assert world(world.annie, "GET", "/api/submission_scores/999/").status_code == 404


def test_answers_and_publicity(site: Site) -> None:
    world = World(site, more=SHEET + PAGES)
    one = world.finished(fact_sheet={"method": "trees"})
    path = f"/api/submissions/{one.number}/"
    assert world(world.bobby, "PATCH", f"{path}update_fact_sheet/", json={"method": "nets"}).status_code == 200
    assert world(world.bobby, "GET", path).json()["fact_sheet_answers"] == {"method": "nets"}
    nested = {"fact_sheet_answers": {"method": "forests"}}
    assert world(world.annie, "PATCH", f"{path}update_fact_sheet/", json=nested).status_code == 200
    assert world(world.bobby, "GET", path).json()["fact_sheet_answers"] == {"method": "forests"}
    assert world(world.bobby, "PATCH", f"{path}update_fact_sheet/", json={"other": 1}).status_code == 400
    assert world(None, "PATCH", f"{path}update_fact_sheet/", json={"method": "x"}).status_code in (403, 404)

    assert world(world.carol, "GET", path).status_code == 404
    assert world(world.bobby, "GET", f"{path}toggle_public/").json() == {"is_public": True}
    assert world(world.carol, "GET", path).json()["is_public"] is True
    assert world(world.bobby, "POST", f"{path}toggle_public/").json() == {"is_public": False}
    assert world(world.carol, "GET", path).status_code == 404


def test_what_waits_is_run(site: Site) -> None:
    world = World(site, more="auto_run_submissions: false\n")
    one = world.made(tasks=[world.tasks[0]])
    path = f"/api/submissions/{one.number}/"
    assert world(world.bobby, "GET", path).json()["status"] == "Submitting"
    assert world(world.bobby, "POST", f"{path}run_submission/").status_code == 403
    assert world(world.annie, "POST", f"{path}run_submission/").status_code == 200
    assert world(world.bobby, "GET", path).json()["status"] == "Submitted"
    assert world(world.annie, "POST", f"{path}run_submission/").status_code == 403
