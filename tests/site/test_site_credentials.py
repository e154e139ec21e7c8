"""What lets people in: passwords, sessions, tokens; who guesses waits."""

from __future__ import annotations

import logging
import re
import sys
import threading
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from site_lab import PASSWORD, Clock, close_site, make_site, person

from codabench.core.errors import Invalid, MissingExtra, NotFound, NotSignedIn, Refused, TooMany
from codabench.core.people import CredentialKind
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
from codabench.site.passwords import Passwords, weakness
from codabench.site.pictures import narrow, square
from codabench.site.redaction import Redacting
from codabench.site.site import Site
from codabench.site.throttle import Limit, Throttle, machine


def enter(site: Site, word: str = "alice", password: str = PASSWORD, address: str = "192.0.2.1") -> str:
    return site.credentials.sign_in(word, password, address=address)


@pytest.fixture
def alice(site: Site) -> Actor:
    return person(site, "alice", password=PASSWORD)


def number(actor: Actor) -> int:
    assert actor.account is not None
    return actor.account


# ---------------------------------------------------------------------- sessions
def test_a_session_ends_with_its_time_unless_it_is_used(site: Site, clock: Clock, alice: Actor) -> None:
    session = enter(site)
    for _ in range(5):
        clock.forward(days=10)
        assert site.credentials.actor(session).account == alice.account
    clock.forward(days=14, seconds=1)
    with pytest.raises(NotSignedIn) as over:
        site.credentials.actor(session)
    assert over.value.code == "CB801"


def test_signing_out_ends_one_session(site: Site, alice: Actor) -> None:
    here, there = enter(site), enter(site)
    assert re.fullmatch("[0-9a-f]{40}", here)
    assert here != there
    site.credentials.sign_out(here)
    with pytest.raises(NotSignedIn):
        site.credentials.actor(here)
    assert site.credentials.actor(there).account == alice.account


def test_a_session_is_no_token_and_a_token_no_session(site: Site, alice: Actor) -> None:
    session, token = enter(site), site.credentials.make_token(alice, number(alice), name="robot")
    for shown, other in ((session, CredentialKind.TOKEN), (token, CredentialKind.SESSION)):
        with pytest.raises(NotSignedIn):
            site.credentials.actor(shown, [other])
    site.credentials.sign_out(token)  # only a session is ended so
    assert site.credentials.actor(token).account == alice.account


@pytest.mark.parametrize("shown", ["", "0" * 40, "x", "\x00", "\ud800", "0" * 10_000])
def test_what_nobody_has_lets_nobody_in(site: Site, shown: str) -> None:
    with pytest.raises(NotSignedIn, match=r"Invalid token\."):
        site.credentials.actor(shown)


# ---------------------------------------------------------------------- tokens
def test_a_token_for_reading_changes_nothing(site: Site, alice: Actor) -> None:
    reader = site.credentials.actor(site.credentials.make_token(alice, number(alice), name="r", scope="read"))
    assert site.accounts.get(reader, number(alice)).email
    for change in (
        lambda: site.accounts.edit(reader, number(alice), display_name="x"),
        lambda: site.credentials.make_token(reader, number(alice), name="w"),
        lambda: site.credentials.revoke(reader, number(alice)),
    ):
        with pytest.raises(Refused):
            change()


def test_tokens_expire_and_are_revoked(site: Site, clock: Clock, alice: Actor) -> None:
    short = site.credentials.make_token(alice, number(alice), name="short", days=1)
    usual, session = site.credentials.make_token(alice, number(alice), name="usual"), enter(site)
    clock.forward(days=2)
    with pytest.raises(NotSignedIn):
        site.credentials.actor(short)
    held = site.credentials.held(alice, number(alice))
    assert {(each.kind.value, each.name) for each in held} == {("session", ""), ("token", "usual")}
    assert not {usual, session} & {word for each in held for word in (each.id, each.digest, each.name)}
    [token] = [each for each in held if each.name == "usual"]
    assert site.credentials.revoke(alice, number(alice), token.id) == 1
    with pytest.raises(NotSignedIn):
        site.credentials.actor(usual)
    with pytest.raises(NotFound):
        site.credentials.revoke(alice, number(alice), token.id)
    assert site.credentials.revoke(alice, number(alice)) == 1
    with pytest.raises(NotSignedIn):
        site.credentials.actor(session)


def test_a_token_is_not_made_longer_by_using_it(site: Site, clock: Clock, alice: Actor) -> None:
    token = site.credentials.make_token(alice, number(alice), name="month", days=30)
    clock.forward(days=29)
    site.credentials.actor(token)
    clock.forward(days=2)
    with pytest.raises(NotSignedIn):
        site.credentials.actor(token)


def test_only_ones_own_tokens(site: Site, alice: Actor) -> None:
    bob, admin = person(site, "bobby"), person(site, "admin", is_superuser=True)
    for who in (bob, admin, ANONYMOUS):
        for forbidden in (
            lambda who=who: site.credentials.make_token(who, number(alice), name="x"),
            lambda who=who: site.credentials.held(who, number(alice)),
            lambda who=who: site.credentials.revoke(who, number(alice)),
        ):
            with pytest.raises((Refused, NotSignedIn)):
                forbidden()


@pytest.mark.parametrize("wrong", [{"name": " "}, {"name": "x" * 101}, {"name": "a\x00"}, {"days": 0}, {"days": 1e9}])
def test_a_token_that_cannot_be_meant(site: Site, alice: Actor, wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        site.credentials.make_token(alice, number(alice), **{"name": "x", **wrong})  # type: ignore[arg-type]


def test_a_password_is_exchanged_for_tokens_but_not_for_ever_more(site: Site, alice: Actor) -> None:
    tokens = [site.credentials.exchange("alice", PASSWORD, address="192.0.2.1") for _ in range(52)]
    assert len(site.credentials.held(alice, number(alice))) == 50
    assert site.credentials.actor(tokens[-1]).account == alice.account
    with pytest.raises(Invalid) as wrong:
        site.credentials.exchange("alice", "wrong", address="192.0.2.1")
    assert wrong.value.fields == {"": ["Unable to log in with provided credentials."]}
    assert wrong.value.code == "CB808"


def test_nobody_gets_a_token_for_an_account_that_is_not_active(site: Site) -> None:
    site.accounts.sign_up(
        ANONYMOUS,
        username="bobby",
        email="bob@example.org",
        password=PASSWORD,
        repeated=PASSWORD,
        terms=True,
        address="192.0.2.1",
    )
    with pytest.raises(NotSignedIn) as refused:
        site.credentials.exchange("bobby", PASSWORD, address="192.0.2.1")
    assert refused.value.code == "CB807"
    with pytest.raises(Invalid):
        site.credentials.exchange("bobby", "wrong", address="192.0.2.1")
    assert site.db.account_named("bobby") is not None
    with pytest.raises(NotSignedIn):
        site.credentials.make_token(OPERATOR, 1, name="x")


# ---------------------------------------------------------------------- passwords
def test_an_account_without_a_password_is_entered_with_none(site: Site) -> None:
    person(site, "robot")
    for password in ("", "\x00", "None"):
        with pytest.raises(Invalid):
            enter(site, "robot", password)


@pytest.mark.parametrize(
    ("password", "same", "differs"),
    [
        ("Ä" * 10 + "bc", "A\u0308" * 10 + "bc", "A" * 10 + "bc"),
        ("ordinary words", "ordinary words", "ordinary words "),
        ("x" * 1024, "x" * 1024, "x" * 1025),
        ("\ud800lone surrogate", "\ud800lone surrogate", "lone surrogate"),
    ],
)
def test_a_password_is_the_same_however_it_is_typed(password: str, same: str, differs: str) -> None:
    passwords = Passwords(1024**2)
    kept = passwords.hash(password)
    assert kept.startswith("$argon2id$")
    assert passwords.matches(kept, same)
    assert not passwords.matches(kept, differs)
    assert not passwords.matches(None, password)
    assert not passwords.matches("damaged", password)


@given(st.text())
def test_weakness_is_told_of_every_text(password: str) -> None:
    said = weakness(password, "alice", "alice@example.org", None)
    assert (said is None) or len(password) < 8 or len(password) > 1024 or "guessed" in said or "too much like" in said


def test_a_password_is_hashed_anew_when_more_is_asked(site: Site, clock: Clock, alice: Actor) -> None:
    session, before = enter(site), site.db.password_of("alice")[1]
    site.credentials.passwords = Passwords(2 * 1024**2)
    enter(site)
    after = site.db.password_of("alice")[1]
    assert before != after
    assert after is not None
    assert "m=2048" in after
    enter(site)
    assert site.db.password_of("alice")[1] == after
    assert site.credentials.actor(session).account == alice.account


def test_what_hashes_and_what_reads_pictures_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("argon2", "PIL"):
        monkeypatch.setitem(sys.modules, name, None)
    passwords = Passwords(1024**2)
    for work in (
        lambda: passwords.hash("x"),
        lambda: passwords.matches(None, "x"),
        lambda: narrow(b"x", 9),
        lambda: square(b"x", 9),
    ):
        with pytest.raises(MissingExtra, match="is not installed") as missing:
            work()
        assert missing.value.hint == "pip install codabench[web]"


# ---------------------------------------------------------------------- guessing
def test_who_guesses_waits_and_who_knows_does_not(site: Site, clock: Clock, alice: Actor) -> None:
    for _ in range(5):
        with pytest.raises(Invalid):
            enter(site, password="wrong")
    with pytest.raises(TooMany) as wait:
        enter(site)
    assert 0 < wait.value.seconds <= 1
    enter(site, address="198.51.100.7")  # somebody else's guesses keep nobody out
    clock.forward(seconds=1)
    enter(site)
    for _ in range(5):  # and it begins anew
        with pytest.raises(Invalid):
            enter(site, password="wrong")


def test_pauses_grow_to_a_quarter_of_an_hour(site: Site, clock: Clock) -> None:
    throttle, limit, waits = Throttle(), Limit(("pair", "a"), 3, 900), list[float]()
    for _ in range(20):
        while True:
            try:
                throttle.enter(clock(), limit)
                break
            except TooMany as error:
                waits.append(error.seconds)
                clock.forward(seconds=error.seconds)
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == 900
    clock.forward(hours=1, seconds=1)
    for _ in range(3):
        throttle.enter(clock(), limit)


def test_many_at_the_same_time_are_all_counted(site: Site, clock: Clock, alice: Actor) -> None:
    ends: list[type[BaseException]] = []

    def guess() -> None:
        try:
            enter(site, password="wrong")
        except (Invalid, TooMany) as error:
            ends.append(type(error))

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends.count(Invalid) == 5
    assert ends.count(TooMany) == 15


def test_many_names_from_one_machine_are_slowed_down_too(site: Site, clock: Clock) -> None:
    tried = 0
    for n in range(60):
        try:
            enter(site, f"name{n}", "Spring2026!")
        except Invalid:
            tried += 1
        except TooMany:
            pass
    assert tried == 30


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("a socket", "a socket", True),
    ],
)
def test_what_is_one_machine(one: str, other: str, same: bool) -> None:
    assert (machine(one) == machine(other)) is same


def test_all_addresses_of_one_line_guess_together(site: Site, alice: Actor) -> None:
    heard = 0
    for n in range(20):
        with pytest.raises((Invalid, TooMany)) as refused:
            enter(site, password="wrong", address=f"2001:db8::{n:x}")
        heard += refused.type is Invalid
    assert heard == 5


def test_a_throttle_forgets_the_oldest_and_not_its_bounds(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codabench.site.throttle._MANY", 10)
    throttle = Throttle()
    for n in range(1000):
        throttle.enter(clock(), Limit(("address", str(n)), 1, 60))
    assert len(throttle._counts) == 10


# ---------------------------------------------------------------------- upkeep
def test_what_is_worth_nothing_goes(site: Site, clock: Clock, alice: Actor) -> None:
    enter(site)
    site.credentials.make_token(alice, number(alice), name="x", days=30)
    site.accounts.first_link()
    clock.forward(days=15)
    assert site.credentials.purge() == 2
    assert site.credentials.purge() == 0
    assert [each.name for each in site.credentials.held(alice, number(alice))] == ["x"]


def test_scheduled_work_is_done_by_one(clock: Clock, tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/site.db"
    here, there = make_site(clock, url), make_site(clock, url)
    assert here.tick()
    assert there.tick()  # the first has let go
    token = "somebody"
    assert here.db.take_lease("site.tick", holder="h", token=token, now=clock(), seconds=600)
    assert not there.tick()
    clock.forward(seconds=601)
    assert there.tick()
    for site in (here, there):
        close_site(site)


def test_secrets_do_not_reach_logs(caplog: pytest.LogCaptureFixture) -> None:
    log, secret = logging.getLogger("codabench.test.access"), "0123456789abcdef0123" * 2
    log.addFilter(Redacting())
    with caplog.at_level(logging.INFO, log.name):
        log.info('%s - "GET /accounts/reset/%s/ HTTP/1.1" %d', "192.0.2.1", secret, 200)
        log.info("Authorization: Token %s", secret)
        log.info(f"sha256:{'ab' * 32} stays, {secret.upper()} does not")
        log.info({"token": secret})
        log.info("smtp://robot:hunter2@mail.example.org is away")
    assert secret not in caplog.text.lower()
    assert "hunter2" not in caplog.text
    assert "ab" * 32 in caplog.text
    assert '"GET /accounts/reset/(hidden)/ HTTP/1.1" 200' in caplog.text


def test_the_clock_of_a_site_is_in_utc(site: Site) -> None:
    with_own = make_site(Clock())
    assert with_own.now().utcoffset() == timedelta(0)
    close_site(with_own)
