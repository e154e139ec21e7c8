"""Accounts, credentials and mails as rows, in both kinds of databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from db_samples import AT

from codabench.core.errors import NotFound
from codabench.core.people import Credential, CredentialKind, Mail, MailKind, Notifications, Profile
from codabench.db.database import Database


def add(db: Database, name: str, **more: object) -> int:
    made = db.add_account(name, email=f"{name}@x.org", password="hash", at=AT, **more)  # type: ignore[arg-type]
    assert made is not None
    return made.id


def show(db: Database, digest: str, account: int | None, kind: CredentialKind = CredentialKind.TOKEN) -> None:
    until = AT + timedelta(days=1)
    db.add_credential(Credential(digest=digest, kind=kind, account=account, created_at=AT, expires_at=until))


def at_once(work: Callable[[], object], many: int = 4) -> list[object]:
    ends: list[object] = []
    threads = [threading.Thread(target=lambda: ends.append(work())) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_nothing_has_a_number_of_many_digits(db: Database) -> None:
    for number in (2**31, 2**63, 2**70):
        for find in (db.account, db.job, db.dataset_numbered, db.task_numbered, db.participation_numbered):
            with pytest.raises(NotFound):
                find(number)


def test_an_account_comes_back_as_it_was(db: Database) -> None:
    alice = add(db, "alice", is_active=True, is_bot=True)
    profile, wants = Profile(biography="Größe\n🙂"), Notifications(forum=False)
    changed = db.change_account(
        alice, profile=profile, notifications=wants, quota=2**40, display_name="A", banned_at=AT
    )
    assert db.account(alice) == changed == db.account_named("alice") == db.account_at("alice@x.org")
    assert (changed.profile, changed.notifications, changed.quota, changed.banned_at) == (profile, wants, 2**40, AT)
    assert (changed.is_active, changed.is_bot, changed.is_superuser) == (True, True, False)
    assert db.password_of("alice") == db.password_of("alice@x.org") == (changed, "hash")
    assert db.password_of("bob") == (None, None)
    with pytest.raises(NotFound):
        db.change_account(99, quota=1)
    with pytest.raises(NotFound):
        db.account(99)


def test_names_and_addresses_are_given_once(db: Database) -> None:
    ends = at_once(lambda: db.add_account("alice", email=None, password=None, at=AT))
    assert sum(end is not None for end in ends) == 1
    assert db.add_account("alice", email="other@x.org", password=None, at=AT) is None
    add(db, "bob")
    assert db.add_account("carol", email="bob@x.org", password=None, at=AT) is None
    assert db.add_account("carol", email=None, password=None, at=AT) is not None  # nobody's address is everybody's


def test_accounts_are_found(db: Database) -> None:
    alice, bob, gone = add(db, "alice", is_staff=True), add(db, "bob_100%", is_active=True), add(db, "carol")
    db.empty_account(gone, at=AT, digest=None, until=AT)

    def names(**which: object) -> list[str]:
        return [each.username for each in db.accounts(**which)]  # type: ignore[arg-type]

    assert names() == ["alice", "bob_100%", f"deleted-{gone}"]
    assert names(deleted=False) == ["alice", "bob_100%"]
    assert names(containing="_100%") == names(ids=[bob]) == names(active=True) == ["bob_100%"]
    assert names(containing="l_c") == names(ids=[]) == []
    assert names(containing="bob", email="alice@x.org") == ["alice", "bob_100%"]
    assert names(email_containing="@x.o", limit=1) == names(flag="is_staff") == ["alice"]
    assert db.count_accounts() == 2
    db.change_account(alice, display_name="Alice A.")
    assert db.shown_names([alice, bob, 99]) == {alice: "Alice A.", bob: "bob_100%"}


def test_a_credential_has_a_holder_until_it_ends(db: Database) -> None:
    alice = add(db, "alice")
    show(db, "d", alice)
    found = db.holder("d", [CredentialKind.TOKEN], AT)
    assert found is not None
    assert (found[0].account, found[1]) == (alice, db.account(alice))
    for digest, kind, when in (
        ("e", CredentialKind.TOKEN, AT),
        ("d", CredentialKind.SESSION, AT),
        ("d", CredentialKind.TOKEN, AT + timedelta(days=1)),
    ):
        assert db.holder(digest, [kind], when) is None
    later = AT + timedelta(days=9)
    db.touch_credential("d", used_at=AT, expires_at=later)
    [kept] = db.credentials_of(alice, CredentialKind.TOKEN)
    assert (kept.used_at, kept.expires_at) == (AT, later)
    assert db.drop_credentials(account=alice, kinds=[CredentialKind.SESSION]) == 0
    assert db.drop_credentials(digest="d") == 1
    assert db.credentials_of(alice, CredentialKind.TOKEN) == []


def test_a_link_is_used_once_whoever_tries(db: Database) -> None:
    show(db, "l", None, CredentialKind.FIRST)
    assert db.holder("l", [CredentialKind.FIRST], AT) is not None
    assert not db.use_link("l", CredentialKind.RESET, AT)
    assert not db.use_link("l", CredentialKind.FIRST, AT + timedelta(days=2))
    assert sorted(map(bool, at_once(lambda: db.use_link("l", CredentialKind.FIRST, AT)))) == [False, False, False, True]
    assert db.holder("l", [CredentialKind.FIRST], AT) is None
    assert db.purge_credentials(AT) == 1


def test_a_new_password_ends_everything(db: Database) -> None:
    alice, bob = add(db, "alice"), add(db, "bob")
    for kind in CredentialKind:
        show(db, f"a-{kind}", alice, kind)
    show(db, "b", bob)
    db.set_password(alice, "other", revoke=False)
    assert len(db.credentials_of(alice, CredentialKind.SESSION)) == 1
    db.set_password(alice, "third")
    assert all(db.credentials_of(alice, kind) == [] for kind in CredentialKind)
    assert db.credentials_of(bob, CredentialKind.TOKEN) != []
    assert db.password_of("alice")[1] == "third"


def test_an_address_is_forgotten_for_a_time(db: Database) -> None:
    alice, until = add(db, "alice"), AT + timedelta(days=30)
    show(db, "d", alice)
    db.empty_account(alice, at=AT, digest="sha", until=AT + timedelta(days=1))
    db.empty_account(alice, at=AT, digest="sha", until=until)  # once more, and for longer
    assert db.credentials_of(alice, CredentialKind.TOKEN) == []
    assert db.is_forgotten("sha", until - timedelta(seconds=1))
    assert not db.is_forgotten("sha", until)
    assert db.purge_forgotten(until - timedelta(seconds=1)) == 0
    assert db.purge_forgotten(until) == 1
    add(db, "alice")


def test_only_who_never_came_and_has_nothing_is_purged(db: Database) -> None:
    new, came, banned, gone = add(db, "new"), add(db, "came", is_active=True), add(db, "banned"), add(db, "gone")
    show(db, "d", new, CredentialKind.ACTIVATION)
    db.change_account(banned, banned_at=AT)
    db.empty_account(gone, at=AT, digest=None, until=AT)
    assert db.purge_unactivated(AT) == 0
    assert db.purge_unactivated(AT + timedelta(seconds=1)) == 1
    assert {each.id for each in db.accounts()} == {came, banned, gone}
    assert db.owned_by(came) == {"competitions": [], "data sets": [], "tasks": []}


def test_mails_wait_are_taken_and_settled(db: Database) -> None:
    words = {"subject": "S", "body": "B", "created_at": AT}
    db.add_mails([])
    db.add_mails([Mail(recipient=f"{n}@x.org", kind=MailKind.RESET, **words) for n in range(3)])  # type: ignore[arg-type]
    first, second, third = db.waiting_mails(AT, tries=5, limit=10)
    assert (first.recipient, first.kind, first.attempts) == ("0@x.org", MailKind.RESET, 0)
    assert len(db.waiting_mails(AT, tries=5, limit=2)) == 2
    until = AT + timedelta(minutes=5)
    assert sorted(map(bool, at_once(lambda: db.claim_mail(first.id, now=AT, until=until)))) == [False] * 3 + [True]
    assert [mail.id for mail in db.waiting_mails(AT, tries=5, limit=10)] == [second.id, third.id]
    assert [mail.attempts for mail in db.waiting_mails(until, tries=5, limit=10)] == [1, 0, 0]
    assert [mail.attempts for mail in db.waiting_mails(until, tries=1, limit=10)] == [0, 0]
    db.settle_mail(second.id, sent_at=AT, body="")
    db.drop_mail(third.id)
    assert [mail.id for mail in db.mails(sent=True)] == [second.id]
    assert [mail.id for mail in db.mails()] == [second.id, first.id]
    assert not db.claim_mail(second.id, now=until, until=until)
    assert db.purge_mails(AT) == 0
    assert db.purge_mails(until) == 2
