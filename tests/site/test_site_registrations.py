"""Taking part: who is let in and when, who decides, who is told."""

from __future__ import annotations

import csv
import io

import pytest
from hosting_lab import bundle, hosted
from site_lab import Clock, person

from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused
from codabench.core.people import ParticipationStatus as P
from codabench.site.actors import ANONYMOUS, Actor
from codabench.site.policy import Action
from codabench.site.site import Site


def mails(site: Site) -> list[tuple[str, str]]:
    """Who was written to, and about what, since the last look."""
    waiting = site.db.mails(sent=False)[::-1]
    for mail in waiting:
        site.db.drop_mail(mail.id)
    return [(mail.recipient.partition("@")[0], mail.subject) for mail in waiting]


def application(site: Site, competition: str, actor: Actor) -> int:
    found = site.db.participation(competition, actor.account or 0)
    assert found is not None
    return found.id


def test_an_application_is_decided(site: Site, clock: Clock) -> None:
    ann, bob, eve = person(site, "annie"), person(site, "bobby"), person(site, "evita")
    id = hosted(site, ann, published=True)
    site.competitions.edit(ann, id, {"collaborators": [eve.account]})
    assert site.registrations.status(bob, id) is None
    assert site.registrations.register(bob, id).status is P.PENDING
    assert site.registrations.status(bob, id) is P.PENDING
    assert mails(site) == [
        ("annie", "bobby asks to take part in Wheat seeds"),
        ("evita", "bobby asks to take part in Wheat seeds"),
        ("bobby", "You asked to take part in Wheat seeds"),
    ]
    with pytest.raises(Invalid):
        site.registrations.register(bob, id)
    mine = application(site, id, bob)
    for other in (bob, ANONYMOUS):
        with pytest.raises((Refused, NotSignedIn)):
            site.registrations.decide(other, mine, P.APPROVED)
    clock.forward(hours=1)
    made = site.registrations.decide(eve, mine, P.APPROVED)
    assert (made.status, made.decided_at) == (P.APPROVED, clock())
    assert mails(site)[0] == ("bobby", "You were let in to Wheat seeds")
    with pytest.raises(Invalid):
        site.registrations.decide(ann, mine, P.APPROVED)
    site.registrations.decide(ann, mine, P.DENIED)
    assert ("bobby", "You were refused for Wheat seeds") in mails(site)
    with pytest.raises(Refused):
        site.competitions.look(bob, id, Action.SUBMISSION_CREATE)
    with pytest.raises(Invalid):  # one application is for ever
        site.registrations.register(bob, id)


def test_who_is_let_in_at_once(site: Site) -> None:
    ann, bob, eve = person(site, "annie"), person(site, "bobby"), person(site, "evita", email="evita@example.org")
    listed = hosted(site, ann, bundle("whitelist_emails: [EVITA@example.org]\n"), published=True)
    assert site.registrations.register(bob, listed).status is P.PENDING
    assert site.registrations.register(eve, listed).status is P.APPROVED
    mails(site)
    open_to_all = hosted(site, ann, bundle("registration_auto_approve: true\n"), published=True)
    assert site.registrations.register(bob, open_to_all).status is P.APPROVED
    assert ("bobby", "You were let in to Wheat seeds") in mails(site)
    assert [c.hosted.competition for c in site.competitions.entered(bob)] == [open_to_all]


def test_an_unpublished_one_needs_its_key(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id = hosted(site, ann)
    key = site.competitions.look(ann, id).hosted.secret_key
    with pytest.raises(NotFound):
        site.registrations.register(bob, id)
    site.registrations.register(bob, id, key=key)
    # Who waits learns how it stands, and no more.
    assert site.registrations.status(bob, id) is P.PENDING
    with pytest.raises(NotFound):
        site.competitions.look(bob, id)
    with pytest.raises(NotSignedIn):
        site.registrations.register(ANONYMOUS, id, key=key)


def test_robots_let_themselves_in_where_they_may(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    robot = person(site, "robot", is_bot=True)
    id = hosted(site, ann, published=True)
    assert site.registrations.enrol(robot, id) is None
    site.competitions.edit(ann, id, {"allow_robots": True})
    assert site.registrations.enrol(bob, id) is None
    assert site.registrations.enrol(robot, id) is P.APPROVED
    site.registrations.decide(ann, application(site, id, robot), P.DENIED)
    assert site.registrations.enrol(robot, id) is P.DENIED


def test_organizers_take_part_and_stay(site: Site) -> None:
    ann, eve = person(site, "annie"), person(site, "evita")
    id = hosted(site, ann, published=True)
    site.registrations.register(eve, id)
    site.registrations.decide(ann, application(site, id, eve), P.DENIED)
    site.competitions.edit(ann, id, {"collaborators": [eve.account]})
    assert site.registrations.status(eve, id) is P.APPROVED
    for who in (ann, eve):
        with pytest.raises(Invalid):
            site.registrations.decide(eve, application(site, id, who), P.DENIED)


def test_the_list_and_the_table(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    formula = person(site, "gonzo", email="-1+2@example.org")
    robot = person(site, "robot", is_bot=True)
    id = hosted(site, ann, published=True)
    for each in (bob, formula, robot):
        site.registrations.register(each, id)
    site.registrations.decide(ann, application(site, id, bob), P.APPROVED)
    names = lambda **which: [p.account.username for p in site.registrations.participants(ann, id, **which)]  # noqa: E731
    assert names() == ["annie", "bobby", "gonzo", "robot"]
    assert names(status=P.PENDING) == ["gonzo", "robot"]
    assert names(text="bo") == ["bobby", "robot"]
    rows = list(csv.reader(io.StringIO(site.registrations.to_csv(ann, id))))
    assert rows[0] == ["ID", "Username", "Email", "Is Bot", "Status"]
    assert [row[1:] for row in rows[2:]] == [
        ["bobby", "bobby@example.org", "False", "approved"],
        ["gonzo", "'-1+2@example.org", "False", "pending"],
        ["robot", "robot@example.org", "True", "pending"],
    ]
    for other in (bob, ANONYMOUS):
        with pytest.raises((Refused, NotSignedIn)):
            site.registrations.to_csv(other, id)


def test_mails_of_organizers(site: Site) -> None:
    ann, bob, eve, dan = (person(site, name) for name in ("annie", "bobby", "evita", "danny"))
    id = hosted(site, ann, published=True)
    for each in (bob, eve, dan):
        site.registrations.register(each, id)
    for each in (bob, dan):
        site.registrations.decide(ann, application(site, id, each), P.APPROVED)
    site.accounts.edit(dan, dan.account or 0, notifications={"from_organizers": False})
    mails(site)
    assert site.registrations.mail_all(ann, id, "**Hello**") == 2  # ann and bob; not who waits, not who wants none
    subject = "A message from the organizers of Wheat seeds"
    assert mails(site) == [("annie", subject), ("bobby", subject)]
    assert site.registrations.mail_all(ann, id, "Hello", everybody=True) == 3
    assert site.registrations.mail(ann, application(site, id, eve), "Hello") == 1
    with pytest.raises(Invalid):
        site.registrations.mail_all(ann, id, " \n")
    with pytest.raises(Refused):
        site.registrations.mail_all(bob, id, "Spam")
    with pytest.raises(NotFound):
        site.registrations.mail(ann, 999, "Hello")


def test_a_title_puts_no_headers_into_mails(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id = hosted(site, ann, published=True)
    site.competitions.edit(ann, id, {"title": "Seeds\r\nBcc: evita@example.org"})
    site.registrations.register(bob, id)
    for mail in site.db.mails(sent=False):
        assert "\n" not in mail.subject
        assert "\r" not in mail.subject
