"""Data sets by REST: announced, uploaded, listed, shared, downloaded (platform.md 3.4, 3.7, 3.10)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_lab import World, world
from hosting_lab import bundle, zipped
from site_lab import person
from starlette.testclient import TestClient
from web_lab import robot

from codabench.site.site import Site

ITEM = {
    "id", "created_by", "owner_display_name", "created_when", "name", "type", "description", "is_public", "key",
    "value", "was_created_by_competition", "in_use", "competition", "file_name", "file_size",
}  # fmt: skip
ZIP = zipped({"answer.csv": b"1\n"})


@pytest.fixture
def annie(site: Site) -> TestClient:
    return robot(site, person(site, "annie"))


@pytest.fixture
def bobby(site: Site) -> TestClient:
    return robot(site, person(site, "bobby"))


def upload(client: TestClient, data: bytes = ZIP, **said: Any) -> str:
    """The key of a data set whose bytes were sent as a robot sends them."""
    sent = {"type": "submission", "request_sassy_file_name": "submission.zip", "file_size": len(data)} | said
    answer = client.post("/api/datasets/", data=sent)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"key", "sassy_url"}
    headers = {"content-type": "application/zip", "authorization": "", "cookie": ""}
    assert client.put(answer.json()["sassy_url"], content=data, headers=headers).status_code == 200
    return str(answer.json()["key"])


def number_of(client: TestClient, key: str) -> int:
    (item,) = client.get(f"/api/datasets/?key={key}").json()["results"]
    assert set(item) >= ITEM
    return int(item["id"])


def test_a_robot_uploads_in_two_calls(annie: TestClient) -> None:
    key = upload(annie)
    item = annie.get(f"/api/datasets/{number_of(annie, key)}/").json()
    assert (item["key"], item["value"], item["file_size"], item["type"]) == (key, key, len(ZIP), "submission")
    sent = annie.get(f"/datasets/download/{key}/", follow_redirects=False)
    assert sent.status_code == 302
    assert annie.get(sent.headers["location"], headers={"authorization": ""}).content == ZIP


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"type": "submission", "request_sassy_file_name": "a.zip"}, {"file_size": "This field is required."}),
        (
            {"type": "submission", "request_sassy_file_name": "a.zip", "file_size": "many"},
            {"file_size": ["A valid number is required."]},
        ),
        (
            {"type": "submission", "file_size": "3"},
            {"request_sassy_file_name": ["This field is required."]},
        ),
        ({"request_sassy_file_name": "a.zip", "file_size": "3"}, {"type": ["This field is required."]}),
        (
            {"type": "submission", "request_sassy_file_name": "a.zip", "file_size": "3", "competition": "99"},
            {"competition": ['Invalid pk "99" - object does not exist.']},
        ),
    ],
)
def test_what_is_wrong_with_an_announcement(annie: TestClient, sent: dict[str, str], answer: object) -> None:
    found = annie.post("/api/datasets/", data=sent)
    assert (found.status_code, found.json()) == (400, answer)


def test_there_is_room_or_not(annie: TestClient, site: Site) -> None:
    site.db.change_account(1, quota=10)
    found = annie.post("/api/datasets/", data={"type": "submission", "request_sassy_file_name": "a", "file_size": "22"})
    assert found.status_code == 400
    assert found.json()["data_file"][0].startswith("Insufficient space.")


def test_a_name_is_taken_once(annie: TestClient) -> None:
    upload(annie, name="mine")
    sent = {"type": "submission", "request_sassy_file_name": "a.zip", "file_size": 3, "name": "mine"}
    found = annie.post("/api/datasets/", json=sent)
    assert (found.status_code, set(found.json())) == (400, {"non_field_errors"})


def test_a_bundle_becomes_a_competition(annie: TestClient, site: Site) -> None:
    data = bundle()
    key = upload(annie, data, type="competition_bundle", request_sassy_file_name="wheat.zip")
    begun = annie.put(f"/api/datasets/completed/{key}/")
    assert begun.status_code == 200, begun.text
    number = begun.json()["status_id"]
    for _ in range(200):
        state = annie.get(f"/api/competitions/{number}/creation_status/").json()
        if state["status"] != "Starting":
            break
        site.jobs.resume()
    assert (state["status"], state["created_by"]) == ("Finished", "annie")
    detail = annie.get(f"/api/competitions/{state['resulting_competition']}/").json()
    assert (detail["title"], detail["published"]) == ("Wheat seeds", False)
    assert annie.get("/api/competitions/?mine=true").json()[0]["id"] == state["resulting_competition"]


def test_an_upload_is_over_for_its_owner_alone(annie: TestClient, bobby: TestClient) -> None:
    key = upload(annie)
    assert bobby.put(f"/api/datasets/completed/{key}/").status_code == 404
    assert annie.put(f"/api/datasets/completed/{key}/").json() == {"key": key}
    assert annie.put("/api/datasets/completed/nonsense/").status_code == 404


def test_own_ones_are_listed_in_pages(annie: TestClient, bobby: TestClient) -> None:
    for number in range(3):
        upload(annie, name=f"n{number}", type="input_data" if number else "submission")
    page = annie.get("/api/datasets/?page_size=2").json()
    assert (page["count"], page["previous"], len(page["results"])) == (3, None, 2)
    assert re.search(r"^http.*/api/datasets/\?page_size=2&page=2$", page["next"])
    last = annie.get(page["next"]).json()
    assert (last["next"], len(last["results"])) == (None, 1)
    assert annie.get("/api/datasets/?page=3").status_code == 404
    assert annie.get("/api/datasets/?type=input_data").json()["count"] == 2
    assert annie.get("/api/datasets/?_type=submission").json()["count"] == 1
    assert annie.get("/api/datasets/?_type=dataset&search=n2").json()["count"] == 1
    assert annie.get("/api/datasets/?was_created_by_competition=true").json()["count"] == 0
    assert bobby.get("/api/datasets/").json()["count"] == 0


def test_what_is_public_is_found_by_everybody(annie: TestClient, bobby: TestClient, site: Site) -> None:
    key = upload(annie, type="public_data", name="open")
    number = number_of(annie, key)
    path = f"/api/datasets/{number}/"
    nobody = robot(site)
    for client in (nobody, bobby):
        assert client.get(path).status_code in (403, 404)
        assert client.get(f"/datasets/download/{key}/", follow_redirects=False).status_code in (403, 404)
        assert client.get(f"/datasets/download/id/{number}/", follow_redirects=False).status_code in (403, 404)
    sent = {"is_public": True, "license": "MIT", "description": "Seeds"}
    assert annie.patch(path, json=sent).json()["license"] == "MIT"
    for client in (nobody, bobby):
        page = client.get("/api/datasets/public/?has_license=true").json()
        assert {name: page[name] for name in ("count", "page_size")} == {"count": 1, "page_size": 20}
        assert client.get(path).json()["name"] == "open"
        assert client.get(f"/datasets/download/id/{number}", follow_redirects=False).status_code == 302
    assert nobody.get("/api/datasets/public/?is_verified=true").json()["count"] == 0
    assert bobby.get("/api/datasets/?_public=true").json()["count"] == 1
    assert bobby.patch(path, json={"name": "mine"}).status_code == 403, "only its owner (platform.md section 6, 7)"
    assert annie.patch(path, json={"is_verified": True}).status_code == 403
    boss = robot(site, person(site, "suzie", is_superuser=True))
    assert boss.patch(path, json={"is_verified": True}).json()["is_verified"] is True
    assert nobody.get("/api/datasets/public/?is_verified=true&ordering=most_downloaded").json()["count"] == 1


def test_deleted_by_their_owner(annie: TestClient, bobby: TestClient) -> None:
    first, second = (number_of(annie, upload(annie)) for _ in range(2))
    assert bobby.delete(f"/api/datasets/{first}/").status_code in (403, 404)
    assert bobby.post("/api/datasets/delete_many/", json=[first, second]).status_code in (403, 404)
    assert annie.post("/api/datasets/delete_many/", json=[first, 999]).status_code == 404
    assert annie.get("/api/datasets/").json()["count"] == 2, "all of them, or none"
    assert annie.delete(f"/api/datasets/{first}/").status_code == 204
    assert annie.post("/api/datasets/delete_many/", json=[second]).json()["count"] == 1
    assert annie.get("/api/datasets/").json()["count"] == 0
    assert annie.post("/api/datasets/delete_many/", json={"ids": 1}).status_code == 400


def test_what_a_competition_needs_stays(site: Site) -> None:
    made: World = world(site)
    (program,) = made.annie.get("/api/datasets/?type=scoring_program").json()["results"]
    assert program["in_use"] == [{"pk": made.number, "title": "Wheat seeds"}]
    assert program["competition"] == {"id": made.number, "title": "Wheat seeds"}
    assert made.annie.delete(f"/api/datasets/{program['id']}/").status_code == 403
    reference = made.annie.get("/api/datasets/?type=reference_data").json()["results"][0]
    for client in (made.nobody, made.bobby):
        """The key of answers opens nothing (platform.md section 6, 1)."""
        assert client.get(f"/datasets/download/{reference['key']}/", follow_redirects=False).status_code in (403, 404)
