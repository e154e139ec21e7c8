"""The pages of signing up, in and out, and those that links in mails open."""

from __future__ import annotations

import re

import pytest
from mail_sink import Sink, mail_sink, text_of
from pages_lab import Browser
from site_lab import PASSWORD, Clock, close_site, make_site, person

from codabench.core.people import CredentialKind
from codabench.site.site import Site


@pytest.fixture
def sink() -> object:
    with mail_sink() as made:
        yield made


@pytest.fixture
def mailing(clock: Clock, sink: Sink) -> object:
    made = make_site(clock, mail_url=sink.url)
    yield made
    close_site(made)


def link_to(site: Site, sink: Sink, address: str) -> str:
    """The path of the link in the last mail to somebody."""
    site.mail.deliver()
    found = re.search(r"http://127\.0\.0\.1:8000(/accounts/\S+)", text_of(sink.to(address)[-1]))
    assert found
    return found[1]


def test_from_signing_up_to_logging_out(mailing: Site, sink: Sink) -> None:
    me = Browser(mailing).open("/").follow("Sign up")
    me.press("Sign up", username="alice", email="Alice@Example.org", password=PASSWORD, repeated=PASSWORD, terms="on")
    assert me.path == "/accounts/login/"
    assert "A mail was sent" in me.words
    assert "A mail was sent" not in me.open("/accounts/login/").words, "it is said once"

    me.press("Log in", username="alice", password=PASSWORD)
    assert me.status == 403
    assert "open the link in the mail" in me.words

    link = link_to(mailing, sink, "alice@example.org")
    me.open(link)
    assert "the account alice" in me.words
    me.open(link).press("Confirm it")
    assert "Log in as alice" in me.words
    assert me.open(link).status == 403, "links work once"

    me.open("/accounts/login/?next=/about/").press("Log in", username="ALICE@example.org", password=PASSWORD)
    assert me.path == "/about/"
    assert "Log out" in me.text
    assert me.open("/accounts/login/").path == "/", "who is logged in need not be asked"
    assert me.open("/accounts/signup/").path == "/"
    session = dict(me.client.cookies)
    me.press("Log out")
    assert "You are logged out" in me.words
    me.client.cookies.update(session)
    assert "Log out" not in me.open("/").text, "and the session is over, whoever has its cookie"


def test_a_form_that_cannot_be_accepted_is_shown_as_it_was(site: Site) -> None:
    me = Browser(site).open("/accounts/signup/")
    me.press("Sign up", username="al", email="<b>@x", password="short", repeated="other")
    assert me.status == 400
    form, _ = me.form("Sign up")
    assert dict(form.fields)["username"] == "al"
    assert dict(form.fields)["email"] == "<b>@x"
    assert "short" not in me.text, "passwords are not sent back"
    assert me.text.count('aria-invalid="true"') == 5
    assert 'id="username-wrong"' in me.text
    assert 'aria-describedby="username-help username-wrong"' in me.text


def test_what_is_switched_off_is_not_offered(clock: Clock) -> None:
    site = make_site(clock, sign_up=False, sign_in=False)
    me = Browser(site).open("/")
    assert "/accounts/signup/" not in me.text
    assert "Nobody signs up here" in me.open("/accounts/signup/").words
    assert "Nobody logs in" in me.open("/accounts/login/").words
    assert me.client.post("/accounts/signup/", data={}).status_code == 403
    assert me.client.post("/accounts/login/", data={}).status_code == 403
    close_site(site)


def test_a_wrong_password_tells_nothing_and_waits(site: Site) -> None:
    person(site, "alice", password=PASSWORD)
    said = []
    for name in ("alice", "nobody"):
        me = Browser(site).open("/accounts/login/?next=/about/").press("Log in", username=name, password="wrong horse")
        assert me.status == 400
        assert dict(me.form("Log in")[0].fields)["next"] == "/about/"
        said.append(me.words.replace(name, "NAME"))
    assert said[0] == said[1]
    me = Browser(site)
    for _ in range(6):
        me.open("/accounts/login/").press("Log in", username="alice", password="wrong horse")
    assert me.status == 429
    assert int(me.answer.headers["retry-after"]) > 0


@pytest.mark.row("W13")
def test_after_logging_in_nobody_is_sent_elsewhere(site: Site) -> None:
    person(site, "alice", password=PASSWORD)
    me = Browser(site).open("/accounts/login/?next=//evil.example/")
    assert me.press("Log in", username="alice", password=PASSWORD).path == "/"


@pytest.mark.row("W05")
def test_a_session_is_new_with_each_login(site: Site) -> None:
    person(site, "alice", password=PASSWORD)
    me = Browser(site)
    me.client.cookies.set("codabench", "planted")
    # The page that the planted session is shown has a mark of its own; without it nothing is accepted.
    me.open("/accounts/login/").press("Log in", username="alice", password=PASSWORD)
    assert "Log out" in me.text
    assert me.client.cookies.get("codabench", domain="127.0.0.1") != "planted"


@pytest.mark.row("W04")
def test_nobody_is_logged_in_by_a_page_of_somebody_else(site: Site) -> None:
    person(site, "alice", password=PASSWORD)
    sent = {"username": "alice", "password": PASSWORD}
    me = Browser(site)
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert me.client.post("/accounts/login/", data=sent, headers=headers).status_code == 403
    assert me.client.post("/accounts/login/", data=sent).status_code == 200


def test_a_forgotten_password(mailing: Site, sink: Sink) -> None:
    alice = person(mailing, "alice", password=PASSWORD)
    other = Browser(mailing, alice)
    me = Browser(mailing).open("/accounts/login/").follow("I do not know the password any more")
    me.press("Send the link", email="alice@example.org")
    assert me.path == "/accounts/password_reset/done/"
    unknown = Browser(mailing).open("/accounts/password_reset/").press("Send the link", email="nobody@example.org")
    assert unknown.words == me.words, "whether there is an account is not said"
    link = link_to(mailing, sink, "alice@example.org")
    me.open(link).press("Set it", password="a new password", repeated="another one")
    assert me.status == 400
    assert "differ" in me.words
    me.press("Set it", password="a new password", repeated="a new password")
    assert me.path == "/accounts/login/"
    assert "Log out" in me.press("Log in", username="alice", password="a new password").text
    assert "Log out" not in other.open("/").text, "sessions of before are over"
    assert me.open(link).status == 403


def test_an_account_is_deleted_by_its_link(mailing: Site, sink: Sink) -> None:
    alice = person(mailing, "alice", password=PASSWORD)
    me = Browser(mailing, alice).open("/accounts/delete/")
    assert me.press("Send the link", username="bobby", password=PASSWORD).status == 400
    me.press("Send the link", username="alice", password=PASSWORD)
    assert "A mail was sent to you" in me.words
    link = link_to(mailing, sink, "alice@example.org")
    assert "Delete the account alice?" in me.open(link).words
    assert mailing.db.account(alice.account or 0).deleted_at is None, "looking deletes nothing"
    me.press("Delete it for ever")
    assert "The account is deleted" in me.words
    assert "Log out" not in me.text
    assert mailing.db.account(alice.account or 0).deleted_at is not None


def test_the_mail_is_sent_again(mailing: Site, sink: Sink) -> None:
    me = Browser(mailing).open("/accounts/resend_activation/")
    assert me.press("Send the link", email="no address").status == 400
    assert "If an account waits" in me.press("Send the link", email="carol@example.org").words


def test_the_first_administrator(site: Site) -> None:
    link = site.accounts.first_link()
    assert link is not None
    me = Browser(site).open(link)
    me.press("Make the account", username="x", email="root@example.org", password=PASSWORD, repeated=PASSWORD)
    assert me.status == 400
    me.press("Make the account", username="administrator", password=PASSWORD, repeated=PASSWORD)
    found = site.db.account_named("administrator")
    assert found is not None
    assert found.is_superuser
    assert "Log out" in me.open("/").text, "and is logged in"
    assert Browser(site).open(link).status == 403


@pytest.mark.parametrize("kind", ["activation", "reset", "deletion", "first"])
def test_links_that_are_none(site: Site, kind: str) -> None:
    me = Browser(site)
    assert me.open(f"/accounts/{kind}/{'0' * 40}/").status == 403
    assert "does not work any more" in me.words
    assert me.open(f"/accounts/{kind}/short/").status == 404
    other = site.credentials.make_link(CredentialKind.SESSION, person(site, "alice").account)
    assert me.open(f"/accounts/{kind}/{other.rstrip('/')[-40:]}/").status == 403, "of another kind"
