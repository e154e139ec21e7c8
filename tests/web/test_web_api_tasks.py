"""Tasks by REST: listed, made, changed, shared, uploaded, deleted (platform.md 3.6, 3.10); the API described."""

from __future__ import annotations

from typing import Any

import pytest
from api_lab import World, world
from hosting_lab import zipped
from web_lab import browser, robot

from codabench.site.site import Site

ITEM = {
    "id", "created_when", "created_by", "owner_display_name", "key", "name", "description", "solutions",
    "ingestion_only_during_scoring", "value", "is_public", "is_used_in_competitions",
}  # fmt: skip
PROGRAM = zipped({"metadata": b"command: python3 score.py\n"})
TASK = zipped({"task.yaml": b"name: Mine\ndescription: d\nscoring_program:\n  zip: s.zip\n", "s.zip": PROGRAM})


@pytest.fixture
def made(site: Site) -> World:
    return world(site)


def file(data: bytes = TASK) -> dict[str, Any]:
    return {"files": {"file": ("task.zip", data)}}


def test_own_ones_are_listed(made: World) -> None:
    page = made.annie.get("/api/tasks/").json()
    assert page["count"] == 2
    assert all(set(item) == ITEM for item in page["results"])
    assert {item["name"]: item["is_used_in_competitions"] for item in page["results"]} == {
        "First": True,
        "Second": True,
    }
    assert page["results"][1]["solutions"][0]["key"]
    assert made.bobby.get("/api/tasks/").json()["count"] == 0
    assert made.nobody.get("/api/tasks/").status_code == 403
    assert made.annie.get("/api/tasks/?search=second").json()["count"] == 1


def test_one_is_uploaded(made: World) -> None:
    answer = made.bobby.post("/api/tasks/upload_task/", **file())
    assert answer.status_code == 201, answer.text
    assert "Mine" in answer.json()["message"]
    detail = made.bobby.get(f"/api/tasks/{answer.json()['id']}/").json()
    assert (detail["name"], detail["scoring_program"]["file_size"]) == ("Mine", len(PROGRAM))
    assert made.bobby.post("/tasks/upload_task/", **file()).status_code == 201


def test_what_is_wrong_with_an_upload(made: World) -> None:
    wrong = made.bobby.post("/api/tasks/upload_task/", **file(zipped({"task.yaml": b"name: x\n"})))
    assert (wrong.status_code, set(wrong.json())) == (400, {"error"})
    assert "scoring_program" in wrong.json()["error"]
    assert made.bobby.post("/api/tasks/upload_task/", **file(b"no zip")).status_code == 400
    assert made.bobby.post("/api/tasks/upload_task/", data={"x": "y"}).status_code == 400
    assert made.nobody.post("/api/tasks/upload_task/", **file()).status_code == 403
    made.site.db.change_account(made.actors["bobby"].account or 0, quota=10)
    full = made.bobby.post("/api/tasks/upload_task/", **file())
    assert (full.status_code, set(full.json())) == (507, {"error"})
    assert made.bobby.get("/api/tasks/").json()["count"] == 0


def test_large_forms_are_not_read_for_nothing(made: World) -> None:
    headers = {"content-length": str(2**40), "content-type": "multipart/form-data; boundary=x"}
    assert made.bobby.post("/api/tasks/upload_task/", content=b"", headers=headers).status_code == 413
    made.site.db.change_account(made.actors["bobby"].account or 0, quota=10)
    headers["content-length"] = str(10**6)
    assert made.bobby.post("/api/tasks/upload_task/", content=b"", headers=headers).status_code == 507
    made.site.db.change_account(made.actors["bobby"].account or 0, quota=None)
    sent = made.bobby.post("/api/tasks/upload_task/", content=iter([b"x"]), headers={"content-type": "text/plain"})
    assert sent.status_code == 411
    page = browser(made.site, made.actors["bobby"])
    assert page.post("/api/tasks/upload_task/", **file()).status_code == 201
    del page.headers["x-csrf-token"]
    assert page.post("/api/tasks/upload_task/", **file()).status_code == 403


def test_one_is_made_and_changed_in_part(made: World) -> None:
    (program,) = made.annie.get("/api/datasets/?type=scoring_program").json()["results"]
    inputs = made.annie.get("/api/datasets/?type=input_data").json()["results"][0]
    sent = {"name": "New", "description": "d", "scoring_program": program["key"], "input_data": inputs["key"]}
    answer = made.annie.post("/api/tasks/", json=sent)
    assert answer.status_code == 201, answer.text
    path = f"/api/tasks/{answer.json()['id']}/"
    changed = made.annie.patch(path, json={"is_public": True}).json()
    assert (changed["is_public"], changed["input_data"]["key"]) == (True, inputs["key"]), "what is not named stays"
    assert made.annie.patch(path, json={"input_data": None}).json()["input_data"] is None
    wrong = made.annie.post("/api/tasks/", json={"name": "x"})
    assert (wrong.status_code, set(wrong.json())) == (400, {"scoring_program"})
    assert made.bobby.post("/api/tasks/", json=sent).status_code == 400, "the data are somebody else's"
    seen = made.bobby.get(path).json()
    assert (seen["name"], seen["scoring_program"], seen["shared_with"]) == ("New", None, [])
    assert made.bobby.get("/api/tasks/?public=true").json()["count"] == 1
    assert made.bobby.patch(path, json={"name": "x"}).status_code == 403
    assert made.bobby.delete(path).status_code == 403
    assert made.annie.delete(path).status_code == 204
    assert made.annie.get(path).status_code == 404


def test_one_is_shared(made: World) -> None:
    (first, _) = sorted(item["id"] for item in made.annie.get("/api/tasks/").json()["results"])
    path = f"/api/tasks/{first}/"
    assert made.bobby.get(path).status_code == 404
    bobby = made.actors["bobby"].account
    assert made.annie.patch(path, json={"shared_with": [bobby]}).json()["shared_with"] == [bobby]
    assert made.bobby.get("/api/tasks/").json()["count"] == 1
    assert made.bobby.get(path).json()["scoring_program"]["key"], "who uses it may read it"
    assert made.bobby.patch(path, json={"name": "x"}).status_code == 403


def test_what_a_competition_has_stays(made: World) -> None:
    ids = [item["id"] for item in made.annie.get("/api/tasks/").json()["results"]]
    assert made.annie.delete(f"/api/tasks/{ids[0]}/").status_code == 403
    new = made.annie.post("/api/tasks/upload_task/", **file()).json()["id"]
    assert made.annie.post("/api/tasks/delete_many/", json=[new, ids[0]]).status_code == 403
    assert made.annie.get("/api/tasks/").json()["count"] == 3, "all of them, or none"
    assert made.annie.post("/api/tasks/delete_many/", json=[new]).json()["count"] == 1


# ---------------------------------------------------------------------- the API described
def test_the_document_and_its_page(site: Site) -> None:
    document = robot(site).get("/api/schema/").json()
    assert document["openapi"].startswith("3.")
    calls = [call for verbs in document["paths"].values() for call in verbs.values()]
    assert all(bool(call.get("x-action")) != bool(call.get("x-open")) for call in calls)
    assert not any("422" in call["responses"] for call in calls)
    page = browser(site).get("/api/docs/")
    assert page.headers["content-type"].startswith("text/html")
    for path in document["paths"]:
        assert path in page.text, path
    assert "https://" not in page.text.replace(site.settings.url, ""), "nothing comes from another host"
