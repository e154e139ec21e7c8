"""Competitions by REST: what everybody reads, what organizers change, who takes part (platform.md 3.3, 3.9, 3.10)."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from api_lab import World, world
from hosting_lab import FILES, hosted, zipped
from PIL import Image
from site_lab import person
from web_lab import browser, robot

from codabench.core.people import ParticipationStatus
from codabench.site.site import Site

ITEM = {
    "id", "title", "created_by", "owner_display_name", "created_when", "published", "participants_count", "logo",
    "logo_icon", "description", "competition_type", "reward", "contact_email", "report", "is_featured",
    "submissions_count",
}  # fmt: skip
DETAIL = {
    "id", "title", "published", "created_by", "owner_display_name", "created_when", "logo", "logo_icon", "terms",
    "pages", "phases", "leaderboards", "collaborators", "registration_auto_approve", "description",
    "participants_count", "submissions_count", "queue", "enable_detailed_results",
    "show_detailed_results_in_submission_panel", "show_detailed_results_in_leaderboard", "auto_run_submissions",
    "can_participants_make_submissions_public", "make_programs_available", "make_input_data_available", "docker_image",
    "allow_robot_submissions", "competition_type", "fact_sheet", "forum", "reward", "contact_email", "report",
    "forum_enabled",
}  # fmt: skip
SECRET = {"secret_key", "whitelist_emails"}
PHASE = {
    "id", "index", "start", "end", "name", "description", "status", "execution_time_limit", "tasks",
    "has_max_submissions", "max_submissions_per_day", "max_submissions_per_person", "auto_migrate_to_this_phase",
    "hide_output", "hide_prediction_output", "hide_score_output", "public_data", "starting_kit", "is_final_phase",
    "used_submissions_per_day", "used_submissions_per_person",
}  # fmt: skip
TASK = {
    "task", "order_index", "phase", "id", "value", "key", "created_when", "name", "solutions", "public_datasets",
}  # fmt: skip


@pytest.fixture
def made(site: Site) -> World:
    return world(site)


def approved(made: World, name: str) -> None:
    account = made.actors[name].account
    assert account is not None
    made.site.db.add_participation(made.id, account, ParticipationStatus.APPROVED, at=made.site.now())


def files_named(detail: dict[str, Any]) -> set[str]:
    """The types of all data sets that are named."""
    found = set()
    for phase in detail["phases"]:
        found |= {role for role in ("public_data", "starting_kit") if phase[role]}
        for task in phase["tasks"]:
            found |= {each["type"] for each in task["public_datasets"]}
            found |= {"solution" for _ in task["solutions"]}
    return found


# ---------------------------------------------------------------------- what everybody reads
def test_a_list_is_bare_and_has_published_ones(made: World) -> None:
    (item,) = made.nobody.get("/api/competitions/").json()
    assert set(item) >= ITEM
    assert (item["id"], item["created_by"], item["title"]) == (made.number, "annie", "Wheat seeds")
    assert made.nobody.get("/api/competitions/?type=benchmark").json() == []
    assert len(made.nobody.get("/api/competitions/?type=any&search=SEEDS").json()) == 1
    assert made.nobody.get("/api/competitions/?search=nothing").json() == []
    assert len(made.annie.get("/api/competitions/?mine=true").json()) == 1
    assert made.bobby.get("/api/competitions/?mine=true").json() == []
    assert made.bobby.get("/api/competitions/?participating_in=true").json() == []
    approved(made, "bobby")
    assert len(made.bobby.get("/api/competitions/?participating_in=1").json()) == 1


def test_the_public_list_has_pages(made: World) -> None:
    page = made.nobody.get("/api/competitions/public/?page_size=1").json()
    assert {name: page[name] for name in ("count", "next", "previous", "page_size")} == {
        "count": 1, "next": None, "previous": None, "page_size": 1,
    }  # fmt: skip
    assert page["results"][0]["id"] == made.number
    assert made.nobody.get("/api/competitions/public/?page=2").status_code == 404
    assert made.nobody.get("/api/competitions/public/?has_reward=true").json()["count"] == 0
    refused = made.nobody.get("/api/competitions/public/?participating_in=true")
    told = "Authentication required for filtering by participating in or organizing."
    assert (refused.status_code, refused.json()) == (401, {"detail": told})
    assert made.annie.get("/api/competitions/public/?organizing=true").json()["count"] == 1


def test_the_front_page(made: World) -> None:
    front = made.nobody.get("/api/competitions/front_page/").json()
    assert [each["id"] for each in front["popular_comps"]] == [made.number]
    assert front["recent_comps"] == []


FILES_OF: dict[str, set[str]] = {
    "nobody": set(),
    "bobby": set(),
    "annie": {"scoring_program", "reference_data", "input_data", "public_data", "starting_kit", "solution"},
}
MORE: dict[str, set[str]] = {"nobody": set(), "bobby": {"participant_status"}, "annie": {"participant_status", *SECRET}}


def test_a_competition_has_every_field_for_who_may_see_it(made: World) -> None:
    """Keys of programs, data and kits are told to those alone who may have them (platform.md section 6, 1)."""
    for who, files in FILES_OF.items():
        detail = getattr(made, who).get(made.path).json()
        assert set(detail) == ITEM | DETAIL | MORE[who], who
        assert all(set(phase) >= PHASE for phase in detail["phases"])
        assert all(set(task) >= TASK for phase in detail["phases"] for task in phase["tasks"])
        assert files_named(detail) == files, who
        assert [phase["status"] for phase in detail["phases"]] == ["Current", "Next"]
        assert [phase["is_final_phase"] for phase in detail["phases"]] == [False, True]
        assert [column["key"] for column in detail["leaderboards"][0]["columns"]] == ["score", "time"]


def test_who_takes_part_is_told_of_kits_and_samples(made: World) -> None:
    approved(made, "bobby")
    assert files_named(made.bobby.get(made.path).json()) == {"public_data", "starting_kit", "solution"}
    made.annie.patch(made.path, json={"make_programs_available": True, "make_input_data_available": True})
    named = files_named(made.bobby.get(made.path).json())
    assert named == {"public_data", "starting_kit", "solution", "scoring_program", "input_data"}


def test_what_is_hidden_is_named_to_organizers_alone(made: World) -> None:
    board = made.annie.get(made.path).json()["leaderboards"][0]
    board["columns"][0] |= {"title": "Canary", "hidden": True}
    assert made.annie.patch(made.path, json={"leaderboards": [board]}).status_code == 200
    approved(made, "bobby")
    for client in (made.nobody, made.bobby):
        assert [each["title"] for each in client.get(made.path).json()["leaderboards"][0]["columns"]] == ["Time"]
        assert "Canary" not in client.get(made.path).text
    assert "Canary" in made.annie.get(made.path).text
    made.annie.patch(made.path, json={"leaderboards": [board | {"hidden": True}]})
    assert [client.get(made.path).json()["leaderboards"] for client in (made.nobody, made.bobby)] == [[], []]
    assert made.suzie.get(made.path).json()["leaderboards"][0]["hidden"] is True


def test_what_is_not_published_opens_with_its_key(site: Site) -> None:
    made = world(site, published=False)
    key = made.annie.get(made.path).json()["secret_key"]
    assert made.nobody.get("/api/competitions/").json() == []
    assert made.nobody.get(made.path).status_code == 404
    detail = made.nobody.get(f"{made.path}?secret_key={key}").json()
    assert detail["id"] == made.number
    assert "secret_key" not in detail
    assert made.nobody.get(detail["logo"]).headers["content-type"] == "image/png", "its address has the key"
    assert made.nobody.get(f"{made.path}logo/").status_code == 404
    assert [each["id"] for each in made.nobody.get(f"/api/competitions/?secret_key={key}").json()] == [made.number]
    assert made.bobby.post(f"{made.path}register/").status_code == 404
    assert made.bobby.post(f"{made.path}register/", data={"secret_key": key}).status_code == 201


def test_a_small_logo(made: World) -> None:
    icon = made.nobody.get(made.annie.get(made.path).json()["logo_icon"])
    assert Image.open(io.BytesIO(icon.content)).width <= 100


def test_it_is_found_without_the_slash(made: World) -> None:
    """A client of Codabench asks so."""
    assert made.nobody.get(f"/api/competitions/{made.number}").json() == made.nobody.get(made.path).json()
    assert made.nobody.get(f"/api/competitions/{made.number}.json").status_code == 200


# ---------------------------------------------------------------------- what organizers change
def test_what_was_read_can_be_sent_back(made: World) -> None:
    before = made.annie.get(made.path).json()
    answer = made.annie.put(made.path, json=before)
    assert answer.status_code == 200, answer.text
    assert answer.json() == before


OLD = b"""\
title: Weather
description: Guess it
image: logo.png
html: {overview: page.html, evaluation: page.html, terms: page.html, data: page.html}
phases:
  0: {phasenumber: 1, label: One, start_date: 2026-01-01, max_submissions_per_day: 0, scoring_program: scoring.zip}
leaderboard:
  leaderboards:
    Results: &RESULTS {label: Results, rank: 1}
  columns:
    rain: {leaderboard: *RESULTS, label: Rain, rank: 2, sort: asc}
    mean: {leaderboard: *RESULTS, label: Mean, rank: 1, computed: {operation: Avg, fields: rain}}
"""


def test_so_can_what_an_old_bundle_said(site: Site) -> None:
    """A computation of CodaLab, and a phase that takes nothing, have no words of today."""
    annie = person(site, "annie")
    files = {
        "competition.yaml": OLD,
        "logo.png": FILES["logo.png"],
        "page.html": b"x",
        "scoring.zip": zipped({"metadata": b"command: python $program/x.py\n"}),
    }
    number = site.competitions.number(hosted(site, annie, zipped(files)))
    client, path = robot(site, annie), f"/api/competitions/{number}/"
    before = client.get(path).json()
    assert [column["computation"] for column in before["leaderboards"][0]["columns"]] == ["mean_rank", None]
    assert before["phases"][0]["max_submissions_per_day"] == 0
    answer = client.put(path, json=before | {"title": "Newer"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["leaderboards"] == before["leaderboards"]
    assert answer.json()["phases"][0]["max_submissions_per_day"] == 0
    assert answer.json()["title"] == "Newer"


CHANGES: dict[str, Any] = {
    "title": "Barley",
    "description": "Other seeds.",
    "docker_image": "example/other:2",
    "competition_type": "benchmark",
    "reward": "1 EUR",
    "contact_email": "someone@example.org",
    "report": "https://example.org/report",
    "terms": "None.",
    "registration_auto_approve": True,
    "enable_detailed_results": True,
    "show_detailed_results_in_submission_panel": False,
    "show_detailed_results_in_leaderboard": False,
    "auto_run_submissions": False,
    "can_participants_make_submissions_public": False,
    "make_programs_available": True,
    "make_input_data_available": True,
    "forum_enabled": False,
    "allow_robot_submissions": True,
    "whitelist_emails": ["a@example.org"],
    "published": False,
    "fact_sheet": {
        "q": {
            "key": "q", "type": "text", "title": "Why?", "selection": "", "is_required": "true",
            "is_on_leaderboard": "false",
        }
    },
}  # fmt: skip


def test_every_field_is_changed_and_no_other(made: World) -> None:
    for field, value in CHANGES.items():
        before = made.annie.get(made.path).json()
        answer = made.annie.patch(made.path, json={field: value})
        assert answer.status_code == 200, (field, answer.text)
        after = answer.json()
        assert after[field] != before[field], field
        assert field == "fact_sheet" or after[field] == value
        kept = set(before) - {field, "phases"}  # their data sets say the title
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}, field
    assert after["fact_sheet"]["q"]["title"] == "Why?"


def test_pages_phases_boards_people_and_logo_are_changed(made: World) -> None:
    detail = made.annie.get(made.path).json()
    phases, boards = detail["phases"], detail["leaderboards"]
    phases[0] |= {"name": "First", "max_submissions_per_day": 2, "hide_output": True, "end": "May 1, 2026"}
    phases[1] |= {"has_max_submissions": False, "starting_kit": {"value": phases[0]["public_data"]["key"]}}
    boards[0]["columns"].append(
        {"title": "Mean", "key": "mean", "index": 2, "computation": "avg", "computation_indexes": ["0", "1"]}
    )
    sent = {
        "pages": [{"title": "B", "content": "b", "index": 1}, {"title": "A", "content": "a", "index": 0}],
        "phases": phases,
        "leaderboards": boards,
        "collaborators": [made.actors["bobby"].account],
        "logo": json.dumps({"file_name": "x.png", "data": base64.b64encode(FILES["logo.png"]).decode()}),
    }
    answer = made.annie.patch(made.path, json=sent)
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert [(page["title"], page["content"]) for page in after["pages"]] == [("A", "a"), ("B", "b")]
    first, second = after["phases"]
    assert (first["name"], first["max_submissions_per_day"], first["hide_output"]) == ("First", 2, True)
    assert first["end"] == "2026-05-01T00:00:00.000000Z"
    assert (second["has_max_submissions"], second["max_submissions_per_day"]) == (False, None)
    assert second["starting_kit"]["type"] in ("public_data", "starting_kit")
    assert after["leaderboards"][0]["columns"][2]["computation_indexes"] == ["0", "1"]
    assert [each["username"] for each in after["collaborators"]] == ["bobby"]
    assert made.bobby.get(made.path).json()["secret_key"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"title": 5}, "title"),
    ({"phases": []}, "phases"),
    ({"phases": [{"name": "x", "start": "soon"}]}, "phases"),
    ({"phases": [{"name": "x", "start": "2026-01-01", "tasks": ["not a key"]}]}, "phases"),
    ({"leaderboards": [{"title": "x", "key": "x", "columns": []}]}, "leaderboards"),
    ({"collaborators": [999]}, "collaborators"),
    ({"whitelist_emails": ["nobody"]}, "whitelist"),
    ({"logo": '{"file_name": "x.png", "data": "%%%"}'}, "logo"),
    ({"logo": '{"file_name": "x.png"}'}, "logo"),
    ({"queue": 3}, "queue"),
    ({"report": "javascript:alert(1)"}, "report"),
]


def test_what_cannot_be_is_told_by_field(made: World) -> None:
    before = made.annie.get(made.path).json()
    for sent, field in WRONG:
        answer = made.annie.patch(made.path, json=sent)
        assert answer.status_code == 400, (sent, answer.text)
        assert field in answer.json(), sent
    assert made.annie.get(made.path).json() == before


def test_a_competition_is_made_of_json(made: World) -> None:
    detail = made.annie.get(made.path).json()
    sent = {name: detail[name] for name in ("title", "description", "terms", "pages", "phases", "leaderboards")}
    answer = made.annie.post("/api/competitions/", json=sent | {"title": "Again"})
    assert answer.status_code == 201, answer.text
    after = answer.json()
    assert (after["title"], after["published"]) == ("Again", False)
    tasks = [[task["key"] for task in phase["tasks"]] for phase in detail["phases"]]
    assert [[task["key"] for task in phase["tasks"]] for phase in after["phases"]] == tasks
    refused = made.bobby.post("/api/competitions/", json=sent)
    assert (refused.status_code, set(refused.json())) == (400, {"phases"}), "the tasks are somebody else's"
    assert made.nobody.post("/api/competitions/", json=sent).status_code == 403
    assert made.annie.post("/api/competitions/", json={}).status_code == 400


def test_strangers_change_nothing(made: World) -> None:
    before = made.annie.get(made.path).json()
    phase = f"/api/phases/{before['phases'][0]['id']}/"
    for client in (made.nobody, made.bobby):
        assert client.patch(made.path, json={"title": "Mine"}).status_code == 403
        assert client.delete(made.path).status_code == 403
        for call in ("toggle_publish", "create_dump"):
            assert client.post(f"{made.path}{call}/", json={}).status_code == 403, call
        assert client.post(f"{made.path}email_all_participants/", json={"message": "x"}).status_code == 403
        assert client.get(f"{made.path}get_files/").status_code == 403
        assert client.patch(phase, json={"name": "Mine"}).status_code == 403
        assert client.delete(phase).status_code == 403
        assert client.post(f"{phase}manually_migrate/").status_code == 403
        assert client.post("/api/phases/", json={"competition": made.number, "name": "x"}).status_code == 403
    assert made.annie.get(made.path).json() == before


def test_published_and_not(made: World) -> None:
    assert made.annie.post(f"{made.path}toggle_publish/").json() == {"published": False}
    assert made.nobody.get(made.path).status_code == 404
    assert made.annie.post(f"{made.path}toggle_publish/").json() == {"published": True}


def test_deleted(made: World) -> None:
    assert made.annie.delete(made.path).status_code == 204
    assert made.annie.get(made.path).status_code == 404


# ---------------------------------------------------------------------- phases
def test_phases_are_objects(made: World) -> None:
    detail = made.annie.get(made.path).json()
    first, second = detail["phases"]
    assert made.nobody.get("/api/phases/").json() == []
    assert made.nobody.get(f"/api/phases/{first['id']}/").json()["competition"] == made.number
    renamed = made.annie.patch(f"/api/phases/{first['id']}/", json={"name": "Renamed"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Renamed")
    assert made.annie.patch(f"/api/phases/{second['id']}/", json={"end": "March 1, 2027"}).status_code == 200
    task = first["tasks"][0]["key"]
    new = {"competition": made.number, "name": "Third", "start": "2027-03-02T00:00:00Z", "tasks": [task]}
    third = made.annie.post("/api/phases/", json=new)
    assert third.status_code == 201, third.text
    assert (third.json()["index"], third.json()["tasks"][0]["key"]) == (2, task)
    assert [phase["name"] for phase in made.annie.get(made.path).json()["phases"]] == ["Renamed", "Final", "Third"]
    assert made.annie.delete(f"/api/phases/{third.json()['id']}/").status_code == 204
    assert made.annie.get(f"/api/phases/{third.json()['id']}/").status_code == 404
    assert made.annie.delete(f"/api/phases/{third.json()['id']}/").status_code == 404
    assert made.annie.post("/api/phases/", json=new | {"competition": 999}).status_code == 400


def test_a_phase_is_migrated_by_hand(made: World) -> None:
    first, second = made.annie.get(made.path).json()["phases"]
    assert made.annie.post(f"/api/phases/{first['id']}/manually_migrate/").json() == {"count": 0}
    assert made.annie.post(f"/api/phases/{second['id']}/manually_migrate/").status_code == 400


# ---------------------------------------------------------------------- participants, mails, bundles
def test_somebody_registers_and_is_let_in(made: World) -> None:
    answer = made.bobby.post(f"{made.path}register/")
    assert (answer.status_code, answer.json()) == (201, {"participant_status": "pending"})
    assert made.bobby.get(made.path).json()["participant_status"] == "pending"
    assert made.bobby.post(f"{made.path}register/").status_code == 400, "once for ever"
    assert made.nobody.post(f"{made.path}register/").status_code == 403
    assert made.annie.get("/api/participants/").json() == []
    listed = made.annie.get(f"/api/participants/?competition={made.number}&status=pending").json()
    assert [(each["username"], each["email"], each["status"]) for each in listed] == [
        ("bobby", "bobby@example.org", "pending")
    ]
    path = f"/api/participants/{listed[0]['id']}/"
    assert made.bobby.patch(path, json={"status": "approved"}).status_code == 403
    assert made.annie.patch(path, json={"status": "no"}).status_code == 400
    assert made.annie.patch(path, data={"status": "approved"}).json()["status"] == "approved"
    assert made.annie.patch(path, json={"status": "approved"}).status_code == 400, "twice is refused"
    assert made.annie.post(f"{path}send_email/", json={"message": "Hello"}).json() == {"count": 1}
    assert made.annie.post(f"{path}send_email/", json={"message": ""}).status_code == 400
    told = made.annie.post(f"{made.path}email_all_participants/", json={"message": "Hello"})
    assert told.json()["count"] == 2


FILTERS: list[tuple[str, list[str]]] = [
    ("", ["annie", "bobby"]),
    ("&search=bob", ["bobby"]),
    ("&user__username=ann", ["annie"]),
    ("&user__email=bobby@", ["bobby"]),
    ("&user__is_deleted=false", ["annie", "bobby"]),
    ("&user__is_deleted=true", []),
]


def test_participants_are_filtered(made: World) -> None:
    approved(made, "bobby")
    for query, names in FILTERS:
        path = f"/api/participants/?competition={made.number}{query}"
        assert [each["username"] for each in made.annie.get(path).json()] == names, query
        assert made.bobby.get(path).status_code == 403


def test_participants_as_csv(made: World) -> None:
    answer = made.annie.get(f"/api/participants.csv?competition={made.number}")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines()[0] == "ID,Username,Email,Is Bot,Status"


def test_a_dump_is_made_and_downloaded(made: World) -> None:
    answer = made.annie.post(f"{made.path}create_dump/", data={"keys_instead_of_files": "true"})
    assert answer.status_code == 201
    number = answer.json()["status_id"]
    made.site.jobs.wait(made.actors["annie"], number, timeout=60)
    state = made.annie.get(f"/api/competitions/{number}/creation_status/").json()
    assert (state["status"], state["created_by"], state["resulting_competition"]) == ("Finished", "annie", None)
    assert made.bobby.get(f"/api/competitions/{number}/creation_status/").status_code == 403
    files = made.annie.get(f"{made.path}get_files/").json()
    assert files["bundle"]["file_name"] == "wheat.zip"
    assert len(files["dumps"]) == 1
    assert files["dumps"][0]["url"].startswith(made.site.settings.url)


# ---------------------------------------------------------------------- the session of a browser
def test_a_browser_needs_what_its_page_was_given(made: World) -> None:
    client = browser(made.site, made.actors["annie"])
    assert client.post(f"{made.path}toggle_publish/").json() == {"published": False}
    del client.headers["x-csrf-token"]
    assert client.post(f"{made.path}toggle_publish/").status_code == 403
