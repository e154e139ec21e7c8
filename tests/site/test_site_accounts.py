"""Accounts: how they begin, what they are let do, how they end."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mail_sink import Sink, mail_sink, secret_in, text_of
from PIL import Image
from site_lab import PASSWORD, Clock, close_site, make_site, person

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused, TooMany
from codabench.core.people import CredentialKind
from codabench.db.naming import named_digests
from codabench.db.site_tables import ACCOUNT, HOSTED
from codabench.site.actors import ANONYMOUS, OPERATOR
from codabench.site.pictures import narrow
from codabench.site.site import Site


@pytest.fixture
def sink() -> Iterator[Sink]:
    with mail_sink() as made:
        yield made


@pytest.fixture
def site(clock: Clock, sink: Sink, database: str | None) -> Iterator[Site]:
    made = make_site(clock, database, mail_url=sink.url)
    yield made
    close_site(made)


ALICE = {"username": "alice", "email": "Alice@Example.org", "password": PASSWORD, "repeated": PASSWORD}


def sign_up(site: Site, **changes: Any) -> None:
    site.accounts.sign_up(ANONYMOUS, **{**ALICE, "terms": True, "address": "192.0.2.1", **changes})


def enter(site: Site, name: str = "alice", password: str = PASSWORD) -> str:
    return site.credentials.sign_in(name, password, address="192.0.2.1")


# ---------------------------------------------------------------------- beginning
def test_from_signing_up_to_signing_in(site: Site, sink: Sink) -> None:
    sign_up(site)
    with pytest.raises(NotSignedIn, match="inactive") as refused:
        enter(site)
    assert refused.value.code == "CB807"
    site.mail.deliver()
    secret = secret_in(sink.to("alice@example.org")[0])
    assert site.accounts.activate(secret).is_active
    actor = site.credentials.actor(enter(site))
    assert (actor.username, actor.is_superuser, actor.participant) == ("alice", False, f"u{actor.account}")
    assert site.credentials.actor(enter(site, "ALICE@example.org ")).account == actor.account


def test_a_link_works_once(site: Site, sink: Sink) -> None:
    sign_up(site)
    site.mail.deliver()
    secret = secret_in(sink.mails[0])
    assert site.credentials.look_at_link(secret, CredentialKind.ACTIVATION) is not None
    for kind in (CredentialKind.RESET, CredentialKind.DELETION, CredentialKind.FIRST):
        with pytest.raises(Refused):
            site.credentials.look_at_link(secret, kind)
    site.accounts.activate(secret)
    with pytest.raises(Refused) as spent:
        site.accounts.activate(secret)
    assert spent.value.code == "CB805"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "abcd"}, "username"),
        ({"username": "a" * 16}, "username"),
        ({"username": "Alice"}, "username"),
        ({"username": "alice\n"}, "username"),
        ({"username": "al ice"}, "username"),
        ({"username": "deleted-1"}, "username"),
        ({"username": ""}, "username"),
        ({"email": "alice"}, "email"),
        ({"email": "a*@example.org"}, "email"),
        ({"email": "a@b\nBcc: c@example.org"}, "email"),
        ({"email": "a@example..org"}, "email"),
        ({"email": "a,b@example.org"}, "email"),
        ({"email": ""}, "email"),
        ({"password": "short", "repeated": "short"}, "password"),
        ({"password": "password123", "repeated": "password123"}, "password"),
        ({"password": "alice123", "repeated": "alice123"}, "password"),
        ({"password": "aaaaaaaaaa", "repeated": "aaaaaaaaaa"}, "password"),
        ({"repeated": "something else"}, "repeated"),
        ({"terms": False}, "terms"),
    ],
)
def test_what_is_not_accepted(site: Site, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as wrong:
        sign_up(site, **changes)
    assert list(wrong.value.fields) == [field]
    assert wrong.value.code == "CB802"
    assert site.db.accounts() == []


def test_all_that_is_wrong_is_said_at_once(site: Site) -> None:
    with pytest.raises(Invalid) as wrong:
        sign_up(site, username="x", email="y", password="z", terms=False)
    assert sorted(wrong.value.fields) == ["email", "password", "repeated", "terms", "username"]


def test_a_name_that_is_taken(site: Site) -> None:
    sign_up(site)
    with pytest.raises(Invalid, match="taken"):
        sign_up(site, email="other@example.org")


def test_an_address_that_has_an_account_is_told_by_mail_only(site: Site, sink: Sink) -> None:
    person(site, "alice")
    sign_up(site, username="mallory")
    site.mail.deliver()
    [told] = sink.to("alice@example.org")
    assert "You have one already; its name is alice" in " ".join(text_of(told).split())
    assert site.db.account_at("alice@example.org") == site.db.account_named("alice")


def test_two_at_once_get_one_account(site: Site) -> None:
    ends: list[BaseException | None] = []

    def one() -> None:
        try:
            sign_up(site)
            ends.append(None)
        except (Invalid, TooMany) as error:
            ends.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(end is None for end in ends) == 1
    assert len(site.db.accounts()) == 1


def test_signing_up_and_in_can_be_switched_off(clock: Clock) -> None:
    site = make_site(clock, sign_up=False, sign_in=False)
    person(site, "alice", password=PASSWORD)
    for refused in (lambda: sign_up(site, username="bobby"), lambda: enter(site)):
        with pytest.raises(Refused) as error:
            refused()
        assert error.value.code == "CB806"
    close_site(site)


def test_who_does_not_confirm_in_time_is_forgotten(site: Site, sink: Sink, clock: Clock) -> None:
    sign_up(site)
    site.mail.deliver()
    clock.forward(days=2.9)
    assert site.accounts.purge() == 0
    clock.forward(days=0.2)
    assert site.accounts.purge() == 1
    assert site.db.accounts() == []
    with pytest.raises(Refused):
        site.accounts.activate(secret_in(sink.mails[0]))
    sign_up(site)


def test_who_confirmed_or_has_something_is_kept(site: Site, clock: Clock) -> None:
    person(site, "alice")
    sign_up(site, username="bobby", email="bob@example.org")
    bob = site.db.account_named("bobby")
    assert bob is not None
    host(site, bob.id)
    clock.forward(days=30)
    assert site.accounts.purge() == 0


def test_the_link_is_sent_again(site: Site, sink: Sink, clock: Clock) -> None:
    sign_up(site)
    site.accounts.send_activation("alice@example.org", address="192.0.2.1")
    site.accounts.send_activation("nobody@example.org", address="192.0.2.1")
    site.mail.deliver()
    assert len(sink.to("alice@example.org")) == 2
    assert sink.to("nobody@example.org") == []
    site.accounts.activate(secret_in(sink.mails[0]))


def test_nobody_has_their_mailbox_filled(site: Site) -> None:
    for _ in range(3):
        site.accounts.send_reset("alice@example.org", address="192.0.2.1")
    with pytest.raises(TooMany) as wait:
        site.accounts.send_reset("alice@example.org", address="192.0.2.2")
    assert wait.value.code == "CB804"
    assert wait.value.seconds > 0


# ---------------------------------------------------------------------- passwords
def test_a_forgotten_password(site: Site, sink: Sink) -> None:
    alice = person(site, "alice", password=PASSWORD)
    assert alice.account is not None
    session, token = enter(site), site.credentials.make_token(alice, alice.account, name="robot")
    site.accounts.send_reset("alice@example.org", address="192.0.2.1")
    site.accounts.send_reset("nobody@example.org", address="192.0.2.1")
    site.mail.deliver()
    secret = secret_in(sink.mails[0])
    assert len(sink.mails) == 1
    with pytest.raises(Invalid):
        site.accounts.reset_password(secret, "short", "short")
    with pytest.raises(Invalid, match="differ"):
        site.accounts.reset_password(secret, "a new one, longer", "another one")
    site.accounts.reset_password(secret, "a new one, longer", "a new one, longer")
    for shown in (session, token):
        with pytest.raises(NotSignedIn):
            site.credentials.actor(shown)
    with pytest.raises(Invalid):
        enter(site)
    enter(site, password="a new one, longer")
    with pytest.raises(Refused):
        site.accounts.reset_password(secret, "and another one", "and another one")


def test_a_link_has_its_time(site: Site, sink: Sink, clock: Clock) -> None:
    person(site, "alice", password=PASSWORD)
    site.accounts.send_reset("alice@example.org", address="192.0.2.1")
    clock.forward(days=1)  # it is made when it is sent
    site.mail.deliver()
    clock.forward(hours=3.9)
    site.credentials.look_at_link(secret_in(sink.mails[0]), CredentialKind.RESET)
    clock.forward(hours=0.2)
    with pytest.raises(Refused):
        site.accounts.reset_password(secret_in(sink.mails[0]), "a new one, longer", "a new one, longer")


def test_who_never_confirmed_gets_that_link_first(site: Site, sink: Sink) -> None:
    sign_up(site)
    site.accounts.send_reset("alice@example.org", address="192.0.2.1")
    site.mail.deliver()
    assert all("/accounts/activation/" in text_of(mail) for mail in sink.mails)


def test_the_operator_sets_a_password(site: Site) -> None:
    alice = person(site, "alice", password=PASSWORD)
    session = enter(site)
    assert alice.account is not None
    with pytest.raises(Invalid):
        site.accounts.set_password(OPERATOR, alice.account, "alice")
    site.accounts.set_password(OPERATOR, alice.account, "a new one, longer")
    with pytest.raises(NotSignedIn):
        site.credentials.actor(session)
    with pytest.raises(Refused):
        site.accounts.set_password(alice, alice.account, "yet another one")


# ---------------------------------------------------------------------- profile
def test_a_profile(site: Site) -> None:
    alice, bob = person(site, "alice"), person(site, "bobby")
    assert alice.account is not None
    site.accounts.edit(
        alice,
        alice.account,
        display_name=" Alice  A. ",
        profile={"job_title": "baker", "github_url": "https://x.org/a"},
    )
    site.accounts.edit(alice, alice.account, profile={"location": "Orsay"}, notifications={"forum": False})
    seen = site.accounts.named(bob, "alice")
    assert (seen.shown_name, seen.profile.job_title, seen.profile.location) == ("Alice A.", "baker", "Orsay")
    assert seen.email is None
    assert site.accounts.get(alice, alice.account).email == "alice@example.org"
    assert not site.accounts.get(alice, alice.account).notifications.forum
    assert site.accounts.shown_names([alice.account, bob.account or 0]) == {
        alice.participant: "Alice A.",
        bob.participant: "bobby",
    }
    site.accounts.edit(alice, alice.account, display_name="")
    assert site.accounts.named(bob, "alice").shown_name == "alice"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"display_name": "x" * 51}, "display_name"),
        ({"display_name": "a\u202eb"}, "display_name"),
        ({"profile": {"github_url": "javascript:alert(1)"}}, "github_url"),
        ({"profile": {"first_name": "a\nb"}}, "first_name"),
        ({"profile": {"biography": "x" * 5000}}, "biography"),
        ({"profile": {"biography": "\x00"}}, "biography"),
        ({"profile": {"username": "root"}}, "username"),
        ({"notifications": {"is_superuser": True}}, "is_superuser"),
    ],
)
def test_a_profile_that_is_refused(site: Site, changes: dict[str, Any], field: str) -> None:
    alice = person(site, "alice")
    with pytest.raises(Invalid) as wrong:
        site.accounts.edit(alice, alice.account or 0, **changes)
    assert list(wrong.value.fields) == [field]


def picture(size: tuple[int, int], kind: str = "JPEG", **options: Any) -> bytes:
    into = io.BytesIO()
    Image.new("RGB", size, "red").save(into, kind, **options)
    return into.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_photo_is_made_small_and_says_nothing_of_where_it_was_taken(site: Site, kind: str) -> None:
    alice, bob = person(site, "alice"), person(site, "bobby")
    exif = Image.Exif()
    exif[0x010F] = "Camera of Alice"
    site.accounts.set_photo(alice, alice.account or 0, picture((900, 300), kind, exif=exif))
    shown = site.accounts.photo(bob, alice.account or 0)
    assert shown is not None
    with Image.open(io.BytesIO(shown)) as seen:
        assert (seen.format, seen.size) == ("PNG", (256, 256))
    assert b"Camera" not in shown
    kept = site.accounts.get(bob, alice.account or 0).profile.photo
    assert kept is not None
    assert kept.sha256 in named_digests(site.db)
    site.accounts.edit(alice, alice.account or 0, profile={"location": "Orsay"})
    assert site.accounts.photo(bob, alice.account or 0) == shown
    with pytest.raises(Refused):
        site.accounts.set_photo(bob, alice.account or 0, None)
    site.accounts.set_photo(alice, alice.account or 0, None)
    assert site.accounts.photo(bob, alice.account or 0) is None


def bomb(side: int) -> bytes:
    """A small PNG that says it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        bomb(30_000),
        bomb(8_000),
        bomb(500),
        picture((10, 10))[:100],
        picture((10, 10), "TIFF"),
        b"<svg/>",
        bytes(11 * 1024**2),
    ],
    ids=["empty", "text", "bomb", "small bomb", "rows that are not there", "cut", "another kind", "svg", "too large"],
)
def test_what_is_no_photo(site: Site, data: bytes) -> None:
    alice = person(site, "alice")
    with pytest.raises(Invalid, match="Give a picture"):
        site.accounts.set_photo(alice, alice.account or 0, data)


def test_a_photo_is_no_way_to_other_files(site: Site) -> None:
    alice, secret = person(site, "alice"), site.workspace.storage.put(b"the labels")
    with pytest.raises(Invalid):
        site.accounts.edit(alice, alice.account or 0, profile={"photo": secret.model_dump()})  # type: ignore[dict-item]
    assert site.accounts.photo(alice, alice.account or 0) is None


def test_a_picture_keeps_its_shape_where_it_is_only_made_narrower() -> None:
    for size, shown in (((900, 300), (100, 33)), ((50, 80), (50, 80)), ((1000, 2), (100, 1))):
        with Image.open(io.BytesIO(narrow(picture(size), 100))) as seen:
            assert seen.size == shown


def test_who_may_see_and_change_whom(site: Site) -> None:
    alice, bob = person(site, "alice"), person(site, "bobby")
    staff, admin = person(site, "staff", is_staff=True), person(site, "admin", is_superuser=True)
    assert alice.account is not None
    with pytest.raises(NotSignedIn):
        site.accounts.named(ANONYMOUS, "alice")
    with pytest.raises(NotFound):
        site.accounts.named(bob, "nobody")
    assert site.accounts.named(staff, "alice").email == "alice@example.org"
    for who in (bob, staff):
        for forbidden in (
            lambda who=who: site.accounts.edit(who, alice.account, display_name="x"),
            lambda who=who: site.accounts.set_flags(who, alice.account, is_staff=True),
            lambda who=who: site.accounts.set_quota(who, alice.account, 1),
            lambda who=who: site.accounts.ban(who, alice.account),
            lambda who=who: site.accounts.delete(who, alice.account),
            lambda who=who: site.accounts.add(who, "carol"),
            lambda who=who: site.accounts.all(who),
        ):
            with pytest.raises(Refused):
                forbidden()
    with pytest.raises(Refused):
        site.accounts.set_flags(alice, alice.account, is_superuser=True)
    assert site.accounts.set_quota(admin, alice.account, 10**9).quota == 10**9
    with pytest.raises(Invalid):
        site.accounts.set_quota(admin, alice.account, -1)


def test_people_are_found(site: Site) -> None:
    for n in range(7):
        person(site, f"alice{n}")
    bob, staff = person(site, "bobby"), person(site, "staff", is_staff=True)
    found = site.accounts.find(bob, "LICE")
    assert [each.username for each in found] == [f"alice{n}" for n in range(5)]
    assert {each.email for each in found} == {None}
    assert [each.username for each in site.accounts.find(bob, "alice6@example.org")] == ["alice6"]
    assert site.accounts.find(bob, "example.org") == site.accounts.find(bob, " ") == site.accounts.find(bob, "%") == []
    assert site.accounts.find(bob, "al\x00ice0")[0].username == "alice0"
    assert site.accounts.find(bob, "alice\ud800") == []
    for name in ("ali\x00", "\ud800", "x" * 100_000):
        with pytest.raises(NotFound):
            site.accounts.named(bob, name)
    assert len(site.accounts.find(staff, "example.org")) == 5
    with pytest.raises(NotSignedIn):
        site.accounts.find(ANONYMOUS, "alice")


# ---------------------------------------------------------------------- flags, bans
def test_flags_hold_at_once(site: Site) -> None:
    alice = person(site, "alice", password=PASSWORD)
    session = enter(site)
    assert alice.account is not None
    site.accounts.set_flags(OPERATOR, alice.account, is_staff=True, is_bot=True)
    assert site.credentials.actor(session).is_staff
    assert site.credentials.actor(session).is_bot
    site.accounts.set_flags(OPERATOR, alice.account, is_staff=False)
    assert not site.credentials.actor(session).is_staff


def test_somebody_looks_after_the_site(site: Site) -> None:
    alice, bob = person(site, "alice", is_superuser=True), person(site, "bobby", is_superuser=True)
    assert alice.account is not None
    assert bob.account is not None
    site.accounts.ban(alice, bob.account)
    for last in (site.accounts.ban, site.accounts.delete):
        with pytest.raises(Refused, match="only superuser"):
            last(OPERATOR, alice.account)
    with pytest.raises(Refused, match="only superuser"):
        site.accounts.set_flags(OPERATOR, alice.account, is_superuser=False)
    site.accounts.unban(alice, bob.account)
    site.accounts.delete(bob, alice.account)


def test_a_ban_holds_for_all_that_is_shown(site: Site) -> None:
    alice = person(site, "alice", password=PASSWORD)
    assert alice.account is not None
    shown = [enter(site), site.credentials.make_token(alice, alice.account, name="robot")]
    site.accounts.ban(OPERATOR, alice.account)
    for each in (*(lambda s=s: site.credentials.actor(s) for s in shown), lambda: enter(site)):
        with pytest.raises(Refused) as banned:
            each()
        assert banned.value.code == "CB803"
    with pytest.raises(Refused):
        site.credentials.exchange("alice", PASSWORD, address="192.0.2.1")
    site.accounts.unban(OPERATOR, alice.account)
    assert [site.credentials.actor(s).account for s in shown] == [alice.account] * 2


# ---------------------------------------------------------------------- the end
def host(site: Site, owner: int) -> None:
    site.db.add_competition("c", CompetitionSpec(title="Cats"), source="", at=datetime(2026, 1, 1, tzinfo=UTC))
    with site.db._change() as db:
        row = {"competition": "c", "owner": owner, "secret_key": "k", "whitelist": "[]", "settings": "{}"}
        row |= dict.fromkeys(("published", "allow_robots", "is_featured"), False)
        db.execute(HOSTED.insert().values(**row, created_at=site.now()))


def test_deleting_ones_account(site: Site, sink: Sink, clock: Clock) -> None:
    person(site, "admin", is_superuser=True)
    alice = person(site, "alice", password=PASSWORD)
    assert alice.account is not None
    host(site, alice.account)
    session = enter(site)
    site.accounts.edit(alice, alice.account, display_name="Alice A.", profile={"biography": "I bake."})
    with pytest.raises(Invalid):
        site.accounts.ask_deletion(alice, username="bobby", password=PASSWORD, address="192.0.2.1")
    with pytest.raises(Invalid):
        site.accounts.ask_deletion(alice, username="alice", password="wrong", address="192.0.2.1")
    with pytest.raises(NotSignedIn):
        site.accounts.ask_deletion(ANONYMOUS, username="alice", password=PASSWORD, address="192.0.2.1")
    site.accounts.ask_deletion(alice, username="alice", password=PASSWORD, address="192.0.2.1")
    site.mail.deliver()
    assert site.credentials.actor(session).account == alice.account
    site.accounts.confirm_deletion(secret_in(sink.to("alice@example.org")[0]))

    with site.db._read() as db:
        row = db.execute(ACCOUNT.select().where(ACCOUNT.c.id == alice.account)).one()
    assert not any(word in str(tuple(row)) for word in ("alice", "Alice", "bake", "argon2"))
    assert row.deleted_at == clock()
    with pytest.raises(NotSignedIn):
        site.credentials.actor(session)
    with pytest.raises(Invalid):
        enter(site)
    site.mail.deliver()
    assert "was deleted" in text_of(sink.to("alice@example.org")[1])
    assert "Cats" in text_of(sink.to("admin@example.org")[0])
    # nobody takes the address over before its time
    sign_up(site, username="alice2")
    site.mail.deliver()
    assert "no account was made" in str(sink.to("alice@example.org")[2]["Subject"])
    clock.forward(days=31)
    site.tick()
    sign_up(site, username="alice3")
    site.mail.deliver()
    site.accounts.activate(secret_in(sink.to("alice@example.org")[3]))


def test_an_account_without_an_address_is_deleted_by_others(site: Site) -> None:
    alice = person(site, "alice", password=PASSWORD, email=None)
    with pytest.raises(Refused, match="no address"):
        site.accounts.ask_deletion(alice, username="alice", password=PASSWORD, address="192.0.2.1")


def test_what_was_deleted_can_be_restored_without_what_was_removed(site: Site) -> None:
    alice = person(site, "alice", password=PASSWORD)
    assert alice.account is not None
    site.accounts.delete(OPERATOR, alice.account)
    site.accounts.delete(OPERATOR, alice.account)
    assert [each.username for each in site.accounts.all(OPERATOR)] == []
    restored = site.accounts.restore(OPERATOR, alice.account)
    assert (restored.username, restored.email, restored.deleted_at) == (f"deleted-{alice.account}", None, None)
    assert restored.may_enter


# ---------------------------------------------------------------------- the first administrator
def secret(link: str | None) -> str:
    assert link is not None
    return link.rstrip("/").rpartition("/")[2]


def claim(site: Site, secret: str, **changes: str) -> Any:
    given = {"username": "admin", "email": "admin@example.org", "password": PASSWORD, "repeated": PASSWORD, **changes}
    return site.accounts.claim(secret, **given)


def test_the_first_superuser(site: Site) -> None:
    older, newer = secret(site.accounts.first_link()), secret(site.accounts.first_link())
    with pytest.raises(Refused):
        claim(site, older)
    person(site, "taken")
    for wrong in ({"username": "taken"}, {"email": "taken@example.org"}, {"password": "x"}, {"repeated": "y"}):
        with pytest.raises(Invalid):
            claim(site, newer, **wrong)
    made = claim(site, newer)
    assert made.is_superuser
    assert site.credentials.actor(enter(site, "admin")).is_superuser
    assert site.accounts.first_link() is None
    with pytest.raises(Refused):
        claim(site, newer, username="mallory", email="mallory@example.org")


def test_a_superuser_made_elsewhere_ends_the_link(site: Site) -> None:
    link = secret(site.accounts.first_link())
    person(site, "admin", is_superuser=True)
    with pytest.raises(Refused):
        claim(site, link, username="mallory", email="mallory@example.org")


def test_one_claims_where_many_try(site: Site, tmp_path: Path) -> None:
    link, ends = secret(site.accounts.first_link()), list[Callable[[], None] | None]()

    def one(n: int) -> None:
        try:
            claim(site, link, username=f"admin{n}", email=f"admin{n}@example.org")
            ends.append(None)
        except Refused:
            pass

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 1
    assert len(site.db.accounts(flag="is_superuser")) == 1
