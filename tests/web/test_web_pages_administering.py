"""The pages of those who run the site, and that nobody else sees or presses anything there."""

from __future__ import annotations

import pytest
from hosting_lab import hosted
from pages_lab import Browser
from site_lab import person

from codabench.core.people import Account
from codabench.site.actors import Actor
from codabench.site.site import Site


@pytest.fixture
def root(site: Site) -> Actor:
    return person(site, "admin1", is_superuser=True)


@pytest.fixture
def me(site: Site, root: Actor) -> Browser:
    return Browser(site, root)


def named(site: Site, name: str) -> Account:
    found = site.db.account_named(name)
    assert found is not None
    return found


def test_accounts_are_found_and_added(site: Site, me: Browser) -> None:
    for name in ("alice", "bobby"):
        person(site, name)
    person(site, "robby", is_bot=True)
    me.open("/admin/").follow("Accounts")
    assert all(name in me.words for name in ("alice", "bobby", "alice@example.org"))
    me.press("Show", search="ICE@exam")
    assert "alice" in me.words
    assert "bobby" not in me.words
    me.open("/admin/accounts/").press("Show", flag="is_bot")
    assert "robby" in me.words
    assert "alice" not in me.words
    assert "Nobody is like that" in me.press("Show", search="nobody").words
    me.open("/admin/accounts/add/").press("Add", username="alice")
    assert me.status == 400
    me.press("Add", username="carol", email="carol@example.org", is_staff="on")
    assert "The account carol is made" in me.words
    assert named(site, "carol").is_staff


def test_flags_quota_ban(site: Site, me: Browser) -> None:
    alice = person(site, "alice")
    page = f"/admin/accounts/{alice.account}/"
    me.open(page).press("Change", is_staff="on", is_bot="on")
    assert (named(site, "alice").is_staff, named(site, "alice").is_bot) == (True, True)
    me.press("Change", is_bot=False)
    assert not named(site, "alice").is_bot
    assert me.press("Set the quota", quota="much").status == 400
    assert "Write a size" in me.words
    me.press("Set the quota", quota="2 GiB")
    assert named(site, "alice").quota == 2 * 1024**3
    me.press("Set the quota", quota="")
    assert named(site, "alice").quota is None

    other = Browser(site, alice)
    assert "Log out" in other.open("/").text
    me.press("Ban")
    assert "alice is banned" in me.words
    assert other.open("/competitions/").status == 403
    assert "banned" in other.words
    me.press("Let in again")
    assert other.open("/competitions/").status == 200


def test_an_account_is_deleted_and_restored(site: Site, me: Browser) -> None:
    alice = person(site, "alice")
    me.open(f"/admin/accounts/{alice.account}/").follow("Delete")
    assert named(site, "alice").deleted_at is None
    me.press("Delete it for ever")
    assert "The account is deleted" in me.words
    assert "alice" not in me.words
    me.press("Show", deleted="on")
    me.open(f"/admin/accounts/{alice.account}/").press("Restore")
    assert site.db.account(alice.account or 0).deleted_at is None


def test_the_last_superuser_stays(site: Site, root: Actor, me: Browser) -> None:
    page = f"/admin/accounts/{root.account}/"
    assert "only superuser" in me.open(page).press("Change", is_superuser=False).words
    assert "only superuser" in me.open(page).press("Ban").words
    assert "only superuser" in me.open(f"{page}delete/").press("Delete it for ever").words


def test_something_is_announced(site: Site, me: Browser) -> None:
    me.open("/admin/").press("Announce", announcement="**Welcome** <script>alert(1)</script>")
    shown = Browser(site).open("/")
    assert "<strong>Welcome</strong>" in shown.text
    assert "alert(1)" not in shown.text
    assert me.press("Announce", announcement="x" * 2001).status == 400
    assert "at most 2000" in me.words
    assert "<strong>Welcome</strong>" in shown.open("/").text
    me.open("/admin/").press("Announce", announcement="")
    assert "Announcement" not in shown.open("/").text


def test_a_competition_is_featured(site: Site, me: Browser) -> None:
    id = hosted(site, person(site, "alice"), published=True)
    me.open("/admin/competitions/").press("Feature Wheat seeds")
    assert site.db.hosted(id).is_featured
    assert "featured" in Browser(site).open("/").words
    me.press("Feature no more Wheat seeds")
    assert not site.db.hosted(id).is_featured


@pytest.mark.row("W01", "W18")
def test_nobody_else_sees_or_presses_anything(site: Site, root: Actor, me: Browser) -> None:
    alice = person(site, "alice")
    id = hosted(site, alice, published=True)
    number = site.competitions.number(id)
    pages = ["/admin/", "/admin/accounts/", "/admin/accounts/add/", "/admin/competitions/"]
    one = f"/admin/accounts/{alice.account}/"
    presses = [f"{one}{what}/" for what in ("flags", "quota", "ban", "delete", "restore")]
    presses += ["/admin/announcement/", "/admin/accounts/add/", f"/admin/competitions/{number}/feature/"]
    for actor in (alice, person(site, "staff1", is_staff=True)):
        other = Browser(site, actor)
        csrf = dict(other.open("/competitions/").form("Log out")[0].fields)["csrf"]
        assert "Administration" not in other.text
        for page in (*pages, one, f"{one}delete/"):
            assert other.open(page).status == 403, page
        sent = {
            "csrf": csrf,
            "is_superuser": "on",
            "quota": "1",
            "featured": "on",
            "username": "mallory",
            "announcement": "Fool",
        }
        for press in presses:
            answer = other.client.post(press, data=sent)
            assert answer.status_code == 403 or "You may not do that" in answer.text, press
    kept = named(site, "alice")
    assert (kept.is_superuser, kept.quota, kept.deleted_at) == (False, None, None)
    assert site.db.account_named("mallory") is None
    assert site.status.announcement(alice) is None
    assert not site.db.hosted(id).is_featured
    assert Browser(site).open("/admin/").path == "/accounts/login/"
