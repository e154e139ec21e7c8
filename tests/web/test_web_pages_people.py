"""Profiles, pictures, tokens, sessions, mails: each button, and what it does."""

from __future__ import annotations

import io
import re

import pytest
from hosting_lab import hosted
from pages_lab import Browser
from PIL import Image
from site_lab import person
from web_lab import robot

from codabench.core.people import CredentialKind
from codabench.site.actors import Actor
from codabench.site.site import Site


@pytest.fixture
def alice(site: Site) -> Actor:
    return person(site, "alice")


@pytest.fixture
def me(site: Site, alice: Actor) -> Browser:
    return Browser(site, alice)


def picture() -> bytes:
    into = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(into, "PNG")
    return into.getvalue()


def test_a_profile_is_changed_and_seen(site: Site, me: Browser) -> None:
    me.open("/profiles/user/alice/").follow("Edit")
    me.press(
        "Save",
        display_name="Alice <3",
        biography="I *like* seeds. <script>alert(1)</script>",
        github_url="https://github.com/alice",
    )
    assert me.path == "/profiles/user/alice/"
    assert "Alice &lt;3" in me.text
    assert "<em>like</em>" in me.text
    assert "alert(1)" not in me.text
    assert 'href="https://github.com/alice"' in me.text
    assert "alice@example.org" in me.words
    other = Browser(site, person(site, "bobby")).open("/profiles/user/alice/")
    assert "Alice &lt;3" in other.text
    assert "alice@example.org" not in other.text
    assert "Edit" not in other.words
    assert Browser(site).open("/profiles/user/alice/").path == "/accounts/login/"
    assert me.open("/profiles/user/nobody/").status == 404


def test_a_profile_that_cannot_be(me: Browser) -> None:
    me.open("/profiles/user/alice/edit/").press("Save", location="Here", github_url="javascript:alert(1)")
    assert me.status == 400
    assert "begins with https://" in me.words
    assert dict(me.form("Save")[0].fields)["location"] == "Here"
    assert "javascript:alert" not in me.open("/profiles/user/alice/").text


@pytest.mark.row("W01")
@pytest.mark.parametrize("page", ["edit", "notifications"])
def test_nobody_changes_the_profile_of_somebody_else(site: Site, me: Browser, page: str) -> None:
    person(site, "bobby")
    assert me.open(f"/profiles/user/bobby/{page}/").status == 403
    csrf = dict(me.open("/profiles/user/alice/edit/").form("Save")[0].fields)["csrf"]
    answer = me.client.post(f"/profiles/user/bobby/{page}/", data={"csrf": csrf, "display_name": "Fool"})
    assert answer.status_code == 403
    bobby = site.db.account_named("bobby")
    assert bobby is not None
    assert bobby.display_name == ""
    assert bobby.notifications.forum


def test_a_picture_is_shown_and_removed(site: Site, me: Browser) -> None:
    me.open("/profiles/user/alice/edit/").press("Upload the picture", files={"photo": ("me.png", b"no picture")})
    assert me.status == 400
    assert "Give a picture" in me.words
    assert me.open("/profiles/user/alice/edit/").press("Upload the picture").status == 400
    me.open("/profiles/user/alice/edit/").press("Upload the picture", files={"photo": ("me.png", picture())})
    assert "The picture is changed" in me.words
    shown = Browser(site, person(site, "bobby")).open("/profiles/user/alice/photo/").answer
    assert shown.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(shown.content)).size == (256, 256)
    me.open("/profiles/user/alice/edit/").press("Remove the picture")
    assert me.client.get("/profiles/user/alice/photo/").status_code == 404


@pytest.mark.row("W10")
def test_large_files_of_nobody_are_not_read(site: Site) -> None:
    def body() -> object:
        yield b"x" * 1024

    client = Browser(site).client
    client.cookies.set("codabench", "0" * 40)
    url = "/profiles/user/alice/edit/photo/upload/"
    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post(url, content=body(), headers=kind, follow_redirects=False)  # type: ignore[arg-type]
    assert answer.status_code == 403
    me = Browser(site, person(site, "bobby")).client
    assert me.post(url, content=body(), headers=kind).status_code == 411  # type: ignore[arg-type]
    assert me.post(url, content=b"", headers={**kind, "content-length": str(2**40)}).status_code == 413


def test_a_script_that_uploads_is_told_where_to_go_on(me: Browser) -> None:
    csrf = dict(me.open("/profiles/user/alice/edit/").form("Upload the picture")[0].fields)["csrf"]
    answer = me.client.post(
        "/profiles/user/alice/edit/photo/upload/",
        data={"csrf": csrf},
        files={"photo": ("me.png", picture())},
        headers={"x-progress": "1"},
    )
    assert (answer.status_code, answer.headers["x-go"]) == (204, "/profiles/user/alice/")
    assert "The picture is changed" in me.open("/profiles/user/alice/").words


def test_wishes_for_mails(site: Site, alice: Actor, me: Browser) -> None:
    me.open("/profiles/user/alice/notifications/").press("Save", forum=False)
    found = site.db.account(alice.account or 0).notifications
    assert (found.from_organizers, found.forum, found.organization_invites) == (True, False, True)
    assert "forum" not in dict(me.form("Save")[0].fields), "and the page shows it"


def test_tokens_are_shown_once_and_revoked(site: Site, me: Browser) -> None:
    me.open("/accounts/tokens/").press("Make a token", name="", days="many")
    assert me.status == 400
    me.open("/accounts/tokens/").press("Make a token", name="nightly", scope="read", days="3")
    found = re.search(r'id="made"[^>]* value="([0-9a-f]{40})"', me.text)
    assert found
    assert found[1] not in me.open("/accounts/tokens/").text
    assert "nightly" in me.words
    actor = site.credentials.actor(found[1], [CredentialKind.TOKEN])
    assert (actor.username, actor.scope) == ("alice", "read")
    client = robot(site)
    client.headers["authorization"] = f"Token {found[1]}"
    assert client.post("/accounts/sessions/end/").status_code == 403, "a token for reading changes nothing"
    me.press("Revoke nightly")
    assert "It counts no more" in me.words
    assert client.get("/accounts/tokens/").status_code == 403


def test_sessions_are_ended(site: Site, alice: Actor, me: Browser) -> None:
    others = [Browser(site, alice) for _ in range(3)]
    assert me.open("/accounts/sessions/").text.count("this one") == 1
    ended = re.search(r"/accounts/sessions/[0-9a-f]{16}/revoke/", me.text)
    assert ended
    me.press(next(text for form in me.forms() for text, _ in form.buttons if text.startswith("End the session")))
    assert sum("Log out" in each.open("/").text for each in others) == 2
    me.press("End all others")
    assert "2 ended" in me.words
    assert not any("Log out" in each.open("/").text for each in others)
    assert "Log out" in me.open("/").text
    assert me.client.post(ended[0]).status_code == 403, "without what its page was given"


def test_the_password_is_set_by_mail(site: Site, me: Browser) -> None:
    me.open("/accounts/settings/").press("Set a new password")
    assert "A mail was sent to you" in me.words
    nobody = Browser(site, person(site, "carol", email=None)).open("/accounts/settings/")
    assert "no address" in nobody.press("Set a new password").words


def test_what_somebody_organizes_is_on_the_profile(site: Site, alice: Actor, me: Browser) -> None:
    id = hosted(site, alice)
    assert "Wheat seeds" not in me.open("/profiles/user/alice/").words
    site.competitions.publish(alice, id, True)
    assert "Wheat seeds" in me.open("/profiles/user/alice/").words
