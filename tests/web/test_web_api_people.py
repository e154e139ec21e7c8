"""People by REST: tokens, profiles, a search, the end of an account (platform.md 3.2, 3.3, 3.10)."""

from __future__ import annotations

import base64
import json

import pytest
from hosting_lab import FILES
from site_lab import PASSWORD, person
from web_lab import robot

from codabench.site.actors import OPERATOR
from codabench.site.site import Site


@pytest.mark.parametrize("spelling", ["data", "json"])
def test_a_password_is_exchanged_for_a_token(site: Site, spelling: str) -> None:
    person(site, "annie", password=PASSWORD)
    client = robot(site)
    sent = {spelling: {"username": "annie", "password": PASSWORD}}
    token = client.post("/api/api-token-auth/", **sent).json()["token"]
    assert len(token) == 40
    shown = {"authorization": f"Token {token}"}
    assert client.get("/api/my_profile/", headers=shown).json()["username"] == "annie"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (
            {"username": "annie", "password": "wrong"},
            {"non_field_errors": ["Unable to log in with provided credentials."]},
        ),
        (
            {"username": "nobody", "password": PASSWORD},
            {"non_field_errors": ["Unable to log in with provided credentials."]},
        ),
        ({"username": "annie"}, {"password": ["This field is required."]}),
    ],
)
def test_what_is_wrong_with_a_login(site: Site, sent: dict[str, str], answer: object) -> None:
    person(site, "annie", password=PASSWORD)
    found = robot(site).post("/api/api-token-auth/", data=sent)
    assert (found.status_code, found.json()) == (400, answer)


def test_who_may_not_come_in_gets_no_token(site: Site) -> None:
    """A token of an account that is not active is refused where it is asked for (platform.md section 6, 25)."""
    annie = person(site, "annie", password=PASSWORD)
    site.accounts.ban(OPERATOR, annie.account or 0)
    found = robot(site).post("/api/api-token-auth/", data={"username": "annie", "password": PASSWORD})
    assert found.status_code == 403
    assert "token" not in found.json()


@pytest.mark.parametrize("path", ["/api/my_profile/", "/api/user_lookup/?q=a", "/api/users/1/"])
def test_nobody_is_told_of_people(site: Site, path: str) -> None:
    person(site, "annie")
    found = robot(site).get(path)
    assert (found.status_code, found.json()) == (403, {"detail": "Authentication credentials were not provided."})


def test_people_are_found(site: Site) -> None:
    annie, boss = person(site, "annie"), person(site, "bossy", is_staff=True)
    (hit,) = robot(site, annie).get("/api/user_lookup/?q=boss").json()["results"]
    assert hit == {"id": boss.account, "name": "bossy", "username": "bossy"}
    assert robot(site, annie).get("/api/user_lookup/?q=bossy@example.or").json()["results"] == []
    (hit,) = robot(site, boss).get("/api/user_lookup/?q=annie@example.or").json()["results"]
    assert hit["name"] == "annie (annie@example.org)"


def test_a_profile_is_changed_by_its_holder(site: Site) -> None:
    annie, bob = person(site, "annie"), person(site, "bobby")
    path = f"/api/users/{annie.account}/"
    picture = json.dumps({"file_name": "x.png", "data": base64.b64encode(FILES["logo.png"]).decode()})
    sent = {"display_name": "Annie O.", "title": "Botanist", "biography": "Seeds.", "photo": picture}
    found = robot(site, annie).patch(path, json=sent | {"allow_forum_notifications": False, "is_superuser": True})
    assert (found.status_code, found.json()) == (200, "/profiles/user/annie/")
    shown = robot(site, bob).get(path).json()
    assert (shown["display_name"], shown["job_title"], shown["email"]) == ("Annie O.", "Botanist", None)
    assert robot(site, bob).get(shown["photo"]).headers["content-type"] == "image/png"
    account = site.accounts.get(annie, annie.account or 0)
    assert (account.notifications.forum, account.notifications.from_organizers) == (False, True)
    assert not account.is_superuser, "what is not a field of a profile is left alone"
    assert robot(site, bob).patch(path, json={"display_name": "Mine"}).status_code == 403
    wrong = robot(site, annie).patch(path, json={"personal_url": "javascript:alert(1)"})
    assert (wrong.status_code, set(wrong.json())) == (400, {"personal_url"})
    assert robot(site, annie).patch(path, json={"photo": ""}).status_code == 200
    assert robot(site, annie).get(path).json()["photo"] is None


def test_an_account_is_deleted_by_its_holder_alone(site: Site) -> None:
    annie = person(site, "annie", password=PASSWORD)
    client = robot(site, annie)
    wrong = client.request("DELETE", "/api/delete_account/", json={"username": "annie", "password": "no"})
    assert (wrong.status_code, wrong.json()["success"]) == (400, False)
    right = client.request("DELETE", "/api/delete_account/", json={"username": "annie", "password": PASSWORD})
    assert (right.status_code, right.json()["success"]) == (200, True)
    assert site.accounts.get(annie, annie.account or 0).deleted_at is None, "only the link in the mail deletes"
