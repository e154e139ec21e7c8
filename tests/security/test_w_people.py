"""W05, W06, W08: taking over sessions, guessing, and what a stolen database or log is worth; each with its twin."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mail_sink import Sink, mail_sink, secret_in
from site_lab import PASSWORD, Clock, close_site, make_site, person

from codabench.core.errors import CodabenchError, Invalid, NotSignedIn, TooMany
from codabench.core.people import CredentialKind
from codabench.site import credentials, mail
from codabench.site.actors import ANONYMOUS
from codabench.site.redaction import Redacting
from codabench.site.settings import SiteSettings
from codabench.site.site import Site
from codabench.site.throttle import Throttle

NEW = "another one, longer"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(clock: Clock) -> Iterator[Site]:
    made = make_site(clock)
    yield made
    close_site(made)


def enter(site: Site, name: str, password: str = PASSWORD, **more: Any) -> str:
    return site.credentials.sign_in(name, password, address="192.0.2.1", **more)


def opens(site: Site, secret: str) -> str | None:
    """Whose account a secret opens."""
    try:
        return site.credentials.actor(secret).username
    except NotSignedIn:
        return None


# ---------------------------------------------------------------------- W05: sessions of others
def planted(site: Site) -> str:
    """Mallory's session, put into Alice's browser; then Alice signs in."""
    person(site, "alice", password=PASSWORD)
    person(site, "mallory", password=PASSWORD)
    secret = enter(site, "mallory")
    enter(site, "alice", replaces=secret)
    return secret


@pytest.mark.row("W05")
def test_a_planted_session_opens_nothing(site: Site) -> None:
    assert opens(site, planted(site)) is None


@pytest.mark.twin("W05")
def test_a_session_that_stays_the_same_opens_the_account_of_who_signs_in(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials.secrets, "token_hex", lambda size: "5" * 2 * size)
    assert opens(site, planted(site)) == "alice"


def stolen(site: Site, clock: Clock) -> dict[str, str]:
    """Alice's secrets, after all that should have made them worthless."""
    alice = person(site, "alice", password=PASSWORD)
    assert alice.account is not None
    found = {"signed out": enter(site, "alice")}
    site.credentials.sign_out(found["signed out"])
    found["session before a new password"] = enter(site, "alice")
    found["token before a new password"] = site.credentials.make_token(alice, alice.account, name="robot")
    link = site.credentials.make_link(CredentialKind.RESET, alice.account).rstrip("/").rpartition("/")[2]
    site.accounts.reset_password(link, NEW, NEW)
    found["revoked"] = enter(site, "alice", NEW)
    site.credentials.revoke(alice, alice.account)
    return found


@pytest.mark.row("W05")
def test_what_was_ended_opens_nothing(site: Site, clock: Clock) -> None:
    assert {why: opens(site, secret) for why, secret in stolen(site, clock).items()} == dict.fromkeys(
        ("signed out", "session before a new password", "token before a new password", "revoked")
    )


@pytest.mark.twin("W05")
def test_what_the_server_does_not_end_opens_the_account(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = site.db.set_password
    monkeypatch.setattr(site.db, "set_password", lambda *args, **kwargs: keep(*args, revoke=False))
    monkeypatch.setattr(site.db, "drop_credentials", lambda **which: 1)
    assert set(map(str, (opens(site, secret) for secret in stolen(site, clock).values()))) == {"alice"}


# ---------------------------------------------------------------------- W06: guessing
SECONDS = 600
GUESSES = 10_000


def guessed(site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> tuple[int, bool]:
    """How many of ten thousand guesses in ten minutes were compared, and whether one was right."""
    heard = 0

    def matches(kept: str | None, password: str) -> bool:
        nonlocal heard
        heard += 1
        return password == "guess 9999"

    person(site, "alice", password=PASSWORD)
    monkeypatch.setattr(site.credentials.passwords, "matches", matches)
    monkeypatch.setattr(site.credentials.passwords, "is_old", lambda kept: False)
    for n in range(GUESSES):
        clock.forward(seconds=SECONDS / GUESSES)
        try:
            enter(site, "alice", f"guess {n}")
        except (Invalid, TooMany):
            continue
        return heard, True
    return heard, False


@pytest.mark.row("W06")
def test_ten_thousand_guesses_are_a_few(site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, right = guessed(site, clock, monkeypatch)
    assert not right
    assert heard <= 10 * SECONDS / 60


@pytest.mark.twin("W06")
def test_without_pauses_all_are_heard_and_one_is_right(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Throttle, "enter", lambda self, now, *limits: None)
    assert guessed(site, clock, monkeypatch) == (GUESSES, True)


def replies(site: Site, name: str) -> list[str]:
    """What is answered to who asks for an account in every way."""
    address = f"{name}@example.org"
    taken = {"username": f"new-{name}", "email": address, "password": PASSWORD, "repeated": PASSWORD}
    asked: list[Callable[[], object]] = [
        lambda: enter(site, name, "wrong"),
        lambda: enter(site, address, "wrong"),
        lambda: site.credentials.exchange(name, "wrong", address="192.0.2.1"),
        lambda: site.accounts.send_reset(address, address="192.0.2.1"),
        lambda: site.accounts.send_activation(address, address="192.0.2.1"),
        lambda: site.accounts.sign_up(ANONYMOUS, **taken, terms=True, address="192.0.2.1"),
        *(lambda: enter(site, name, "wrong") for _ in range(6)),
    ]
    said = []
    for ask in asked:
        try:
            said.append(repr(ask()))
        except CodabenchError as error:
            said.append(str(error))
    return said


@pytest.mark.row("W06")
def test_whether_there_is_an_account_is_answered_by_nothing(site: Site) -> None:
    person(site, "alice", password=PASSWORD)
    known = replies(site, "alice")
    assert known == replies(site, "nobody")
    assert len(set(known)) == 3  # wrong, wait, sent


@pytest.mark.twin("W06")
def test_an_answer_that_looks_first_tells(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def looks(email: str, *, address: str) -> None:
        if site.db.account_at(email) is None:
            raise Invalid({"email": "There is no such account."})

    monkeypatch.setattr(site.accounts, "send_reset", looks)
    person(site, "alice", password=PASSWORD)
    assert replies(site, "alice") != replies(site, "nobody")


def gap(site: Site) -> float:
    """Milliseconds of processors by which a wrong password takes longer where there is such an account."""
    person(site, "alice", password=PASSWORD)
    taken: dict[str, list[float]] = {"alice": [], "nobody": []}
    for n in range(9):
        for name, times in taken.items():
            start = time.process_time()
            with pytest.raises(Invalid):
                site.credentials.check(name, "wrong", address=f"192.0.2.{n}")
            times.append(1000 * (time.process_time() - start))
    return abs(statistics.median(taken["alice"]) - statistics.median(taken["nobody"]))


@pytest.fixture
def slow(clock: Clock) -> Iterator[Site]:
    """A site whose passwords cost what they do by default."""
    made = make_site(clock, password_memory=SiteSettings().password_memory)
    yield made
    close_site(made)


@pytest.mark.row("W06")
def test_it_takes_as_long_whether_there_is_an_account_or_not(slow: Site) -> None:
    assert gap(slow) < 5


@pytest.mark.twin("W06")
def test_without_a_password_to_compare_it_is_answered_at_once(slow: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    careful = slow.credentials.passwords.matches
    monkeypatch.setattr(
        slow.credentials.passwords, "matches", lambda kept, password: kept is not None and careful(kept, password)
    )
    assert gap(slow) > 5


def test_a_new_site_has_no_account_with_a_known_password(site: Site) -> None:
    for name, password in (("admin", "admin"), ("admin", "password"), ("root", "root"), ("codabench", "codabench")):
        with pytest.raises(Invalid):
            enter(site, name, password)
    assert site.db.accounts() == []


# ---------------------------------------------------------------------- W08: a copy of the database, a log
def lived(site: Site, sink: Sink) -> list[str]:
    """A life of an account; everything that ever let somebody in."""
    first = site.accounts.first_link()
    assert first is not None
    given = {"username": "alice", "email": "alice@example.org", "password": PASSWORD, "repeated": PASSWORD}
    site.accounts.sign_up(ANONYMOUS, **given, terms=True, address="192.0.2.1")
    site.mail.deliver()
    confirm = secret_in(sink.mails[-1])
    account = site.accounts.activate(confirm)
    session = enter(site, "alice")
    alice = site.credentials.actor(session)
    tokens = [
        site.credentials.make_token(alice, account.id, name="nightly"),
        site.credentials.exchange("alice", PASSWORD, address="192.0.2.1"),
    ]
    site.accounts.send_reset("alice@example.org", address="192.0.2.1")
    site.accounts.ask_deletion(alice, username="alice", password=PASSWORD, address="192.0.2.1")
    site.mail.deliver()
    links = [secret_in(mail) for mail in sink.mails[-2:]]
    site.accounts.send_reset("alice@example.org", address="192.0.2.1")  # one that waits
    return [PASSWORD, first.rstrip("/").rpartition("/")[2], confirm, session, *tokens, *links]


def found_in_files(tmp_path: Path, clock: Clock) -> list[bool]:
    """Which of these secrets stand in the files of the database, its log of writes among them."""
    with mail_sink() as sink:
        site = make_site(clock, f"sqlite:///{tmp_path}/site.db", mail_url=sink.url)
        made = lived(site, sink)
        kept = b"".join(file.read_bytes() for file in tmp_path.glob("site.db*"))
        close_site(site)
    assert b"alice@example.org" in kept
    return [secret.encode() in kept for secret in made]


@pytest.mark.row("W08")
def test_a_copy_of_the_database_lets_nobody_in(tmp_path: Path, clock: Clock) -> None:
    found = found_in_files(tmp_path, clock)
    assert len(found) == 8
    assert not any(found)


@pytest.mark.twin("W08")
def test_a_database_that_keeps_secrets_gives_them_away(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (credentials, mail):
        monkeypatch.setattr(module, "digest_of", lambda secret: secret)
    found = found_in_files(tmp_path, clock)
    assert all(found[1:])
    assert not found[0]  # a password is never kept as it is, whatever is done to the others


def written(clock: Clock, caplog: pytest.LogCaptureFixture) -> list[bool]:
    """Which secrets are in a log, where everything is logged that a web server sees and the library says."""
    with mail_sink() as sink, caplog.at_level(logging.DEBUG):
        site = make_site(clock, mail_url=sink.url)
        made = lived(site, sink)[1:]
        access = logging.getLogger("codabench.access")
        for secret in made:
            access.info('192.0.2.1 "GET /accounts/reset/%s/?token=%s HTTP/1.1" 200', secret, secret)
            access.info("Authorization: Token %s; cookie: session=%s", secret, secret)
        close_site(site)
    return [secret in caplog.text for secret in made]


@pytest.mark.row("W08")
def test_a_log_lets_nobody_in(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.filtering(Redacting()):
        assert written(clock, caplog) == [False] * 7


@pytest.mark.twin("W08")
def test_a_log_of_everything_gives_secrets_away(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    assert written(clock, caplog) == [True] * 7
