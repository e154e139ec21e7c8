"""Buttons of accounts, profiles and administration, pressed without scripts; the effect is read from the REST API."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from browser_lab import Person, Served, until

from codabench.bundle.defined.logo import placeholder_logo
from codabench.site.actors import ANONYMOUS

Sit = Callable[..., Person]

PASSWORD, OTHER = "correct horse battery", "another horse battery"


def may_enter(served: Served, name: str, password: str) -> bool:
    """Whether that name and password are worth a token."""
    answer = served.api().post("/api-token-auth/", data={"username": name, "password": password})
    return answer.status_code == 200


@pytest.mark.presses(
    ("POST", "/accounts/password_reset/", "Send the link"),
    ("POST", "/accounts/reset/S/", "Set it"),
    ("POST", "/accounts/resend_activation/", "Send the link"),
    ("POST", "/accounts/password/", "Set a new password"),
    ("POST", "/accounts/logout/", "Log out"),
    ("POST", "/accounts/delete/", "Send the link"),
    ("POST", "/accounts/deletion/S/", "Delete it for ever"),
    ("POST", "/accounts/activation/S/", "Confirm it"),
)
def test_an_account_from_its_first_password_to_its_end(served: Served, sit_down: Sit) -> None:
    actor = served.somebody("anna")
    name, address = actor.username, f"{actor.username}@example.org"
    nobody = sit_down(java_script_enabled=False)
    nobody.open("/accounts/password_reset/").press("Send the link", email=address)
    nobody.open(served.link_in_mail(address)).press("Set it", password=OTHER, repeated=OTHER)
    assert (may_enter(served, name, PASSWORD), may_enter(served, name, OTHER)) == (False, True)

    new = served.name("newby")
    served.site.accounts.sign_up(
        ANONYMOUS,
        username=new,
        email=f"{new}@example.org",
        password=PASSWORD,
        repeated=PASSWORD,
        terms=True,
        address="127.0.0.1",
    )
    until(lambda: served.sink.to(f"{new}@example.org"))
    nobody.open("/accounts/resend_activation/").press("Send the link", email=f"{new}@example.org")
    until(lambda: len(served.sink.to(f"{new}@example.org")) == 2)
    nobody.open(served.link_in_mail(f"{new}@example.org")).press("Confirm it")
    assert may_enter(served, new, PASSWORD)

    anna = sit_down(actor, java_script_enabled=False)
    mails = len(served.sink.to(address))
    anna.open("/accounts/settings/").press("Set a new password")
    until(lambda: len(served.sink.to(address)) > mails)
    mails = len(served.sink.to(address))
    anna.open("/accounts/delete/").press("Send the link", username=name, password=OTHER)
    until(lambda: len(served.sink.to(address)) > mails)
    leaving = served.link_in_mail(address)
    anna.page.locator("header summary").click()
    anna.press("Log out", at="header")
    assert anna.open("/accounts/settings/").path == "/accounts/login/"
    anna.open(leaving).press("Delete it for ever")
    assert not may_enter(served, name, OTHER)


@pytest.mark.presses(
    ("POST", "/profiles/user/NAME/edit/", "Save"),
    ("POST", "/profiles/user/NAME/edit/photo/upload/", "Upload the picture"),
    ("POST", "/profiles/user/NAME/edit/photo/remove/", "Remove the picture"),
    ("POST", "/profiles/user/NAME/notifications/", "Save"),
    ("POST", "/accounts/tokens/", "Make a token"),
    ("POST", "/accounts/tokens/S/revoke/", "Revoke"),
    ("POST", "/accounts/sessions/S/revoke/", "End"),
    ("POST", "/accounts/sessions/end/", "End all others"),
    ("POST", "/theme/", "Set"),
    ("GET", "/competitions/public/", "Search"),
    ("GET", "/competitions/public/", "Show"),
)
def test_a_profile_tokens_and_sessions(served: Served, sit_down: Sit) -> None:
    actor = served.somebody("berta")
    me, others = sit_down(actor, java_script_enabled=False), [sit_down(actor, java_script_enabled=False) for _ in "ab"]
    at = f"/profiles/user/{actor.username}/"
    with me.api() as api:
        me.open(f"{at}edit/").press("Save", display_name="Berta B.")
        assert served.site.accounts.get(actor, actor.account or 0).display_name == "Berta B."
        assert "Berta B." in api.get(f"/users/{actor.account}/").text
        me.open(f"{at}edit/").press("Upload the picture", photo=placeholder_logo("berta"))
        assert api.get(f"/users/{actor.account}/photo/").status_code == 200
        me.open(f"{at}edit/").press("Remove the picture")
        assert api.get(f"/users/{actor.account}/photo/").status_code == 404
        me.open(f"{at}notifications/").press("Save", forum=False)
        assert served.site.accounts.get(actor, actor.account or 0).notifications.forum is False

        me.open("/accounts/tokens/").press("Make a token", name="for a script")
        secret = me.page.locator("main input[readonly]").input_value()
        asked = {"authorization": f"Token {secret}"}
        assert served.api().get("/my_profile/", headers=asked).json()["username"] == actor.username
        me.open("/accounts/tokens/").press("Revoke", of="for a script")
        assert served.api().get("/my_profile/", headers=asked).status_code in (401, 403)

        me.open("/accounts/sessions/")
        me.page.get_by_role("button", name="End the session of").first.evaluate("button => button.dataset.first = 1")
        me.press("End", at="tr:has([data-first])", of=_row(me))
        me.open("/accounts/sessions/").press("End all others")
        assert {other.open("/accounts/settings/").path for other in others} == {"/accounts/login/"}
        assert me.open("/accounts/settings/").path == "/accounts/settings/"

    me.page.locator("footer select").select_option("dark")
    me.press("Set", at="footer")
    assert me.page.locator("html").get_attribute("data-theme") == "dark"
    me.page.locator("#top-search").fill("nothing like this")
    me.press("Search", at="header")
    assert "0 found" in me.words
    me.press("Show", search="")
    found = served.api().get("/competitions/public/").json()["count"]
    assert f"{found} found" in me.words


def _row(me: Person) -> str:
    """What follows the text of the first button for those who listen."""
    return str(me.page.locator("[data-first] .unseen").inner_text()).strip()


@pytest.mark.presses(
    ("POST", "/admin/accounts/add/", "Add"),
    ("POST", "/admin/accounts/N/flags/", "Change"),
    ("POST", "/admin/accounts/N/quota/", "Set the quota"),
    ("POST", "/admin/accounts/N/ban/", "Ban"),
    ("POST", "/admin/accounts/N/ban/", "Let in again"),
    ("POST", "/admin/accounts/N/delete/", "Delete it for ever"),
    ("POST", "/admin/accounts/N/restore/", "Restore"),
    ("POST", "/admin/competitions/N/feature/", "Feature"),
    ("POST", "/admin/competitions/N/feature/", "Feature no more"),
    ("GET", "/admin/accounts/", "Show"),
    ("GET", "/admin/competitions/", "Show"),
    ("POST", "/admin/maintenance/", "Close the site"),
    ("POST", "/admin/maintenance/", "Open the site again"),
    ("POST", "/admin/orphans/", "Remove them"),
    ("POST", "/admin/announcement/", "Announce"),
    ("GET", "/server_status/", "Show"),
    ("GET", "/analytics/", "Show"),
)
def test_those_who_run_the_site(served: Served, sit_down: Sit) -> None:
    root, somebody = served.somebody("root", is_superuser=True), served.somebody("carl")
    me, at, name = (
        sit_down(root, java_script_enabled=False),
        f"/admin/accounts/{somebody.account}/",
        served.name("added"),
    )
    me.open("/admin/accounts/add/").press("Add", username=name, email=f"{name}@example.org")
    assert me.api().get("/user_lookup/", params={"q": name}).json()["results"]
    me.open("/admin/accounts/").press("Show", search=somebody.username)
    assert somebody.username in me.words

    me.open(at).press("Change", is_bot=True)
    assert served.site.db.account(somebody.account or 0).is_bot
    me.open(at).press("Set the quota", quota="1000000")
    with served.api(somebody) as api:
        assert api.get("/user_quota/").json()["quota"] == 0.001
        me.open(at).press("Ban")
        assert api.get("/my_profile/").status_code == 403
        me.open(at).press("Let in again")
        assert api.get("/my_profile/").status_code == 200
    me.open(f"{at}delete/").press("Delete it for ever")
    assert not may_enter(served, somebody.username, PASSWORD)
    me.open(at).press("Restore")
    assert served.site.db.account(somebody.account or 0).deleted_at is None

    number = served.competition(root)
    title = "Wheat seeds"
    me.open("/admin/competitions/").press("Show", search=title)
    row = f"tr:has(a[href='/competitions/{number}/'])"
    for text, wanted in (("Feature", True), ("Feature no more", False)):
        me.press(text, of=title, at=row)
        listed = served.api().get("/competitions/public/").json()["results"]
        assert next(each["is_featured"] for each in listed if each["id"] == number) is wanted

    stray = served.site.workspace.storage.put(b"nobody names this")
    files = [file for file in Path(served.site.workspace.url).rglob(f"*{stray.sha256[4:]}*") if file.is_file()]
    for file in files:
        os.utime(file, (1e9, 1e9))  # older than a day
    before = me.api().get("/analytics/get_orphan_files/").json()["count"]
    me.open("/admin/orphans/").press("Remove them")
    assert files
    assert not any(file.exists() for file in files)
    assert me.api().get("/analytics/get_orphan_files/").json()["count"] < before
    me.open("/admin/").press("Announce", announcement="We move on *Monday*.")
    assert "We move on Monday." in sit_down().open("/").words
    me.open("/server_status/").press("Show", children=True)
    assert me.page.get_by_label("also each task").is_checked()
    me.open("/analytics/").press("Show", since="2026-01-01")
    assert "2026-01-01" in me.page.url
    me.open("/admin/").press("Close the site", text="Back at noon.")
    until(lambda: served.api().get("/competitions/public/").status_code == 503)  # it is looked at now and then
    me.open("/admin/").press("Open the site again")
    until(lambda: served.api().get("/competitions/public/").status_code == 200)
