"""Mails: sent to a real server, kept while it is away, given up where it will never take them."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mail_sink import Sink, mail_sink, secret_in, text_of
from pydantic import ValidationError
from site_lab import PASSWORD, Clock, close_site, make_site, person

from codabench.backends.dask.certs import make_certificates
from codabench.core.errors import StorageError, UsageError
from codabench.core.people import MailKind
from codabench.site.actors import OPERATOR
from codabench.site.mail import TRIES
from codabench.site.settings import SiteSettings
from codabench.site.site import Site


@pytest.fixture
def sink() -> Iterator[Sink]:
    with mail_sink() as made:
        yield made


@pytest.fixture
def site(clock: Clock, sink: Sink, database: str | None) -> Iterator[Site]:
    says = {"title": "Bench é", "url": "https://bench.example.org/", "mail_from": "b@example.org"}
    made = make_site(clock, database, mail_url=sink.url, **says)
    yield made
    close_site(made)


def test_a_mail_as_it_comes(site: Site, sink: Sink) -> None:
    to = ["ann@example.org", None, "bob@example.org", "ann@example.org"]
    assert site.mail.put(to, " Größe\n of it ", "Hé\n.\nend") == 2
    assert site.mail.waiting.is_set()
    assert site.mail.deliver() == 2
    assert site.mail.deliver() == 0
    [ann], [bob] = sink.to("ann@example.org"), sink.to("bob@example.org")
    assert (ann["To"], bob["To"]) == ("ann@example.org", "bob@example.org")  # nobody sees the other one
    assert ann["Subject"] == "Größe of it"
    assert str(ann["From"]) == "Bench é <b@example.org>"
    assert ann["Auto-Submitted"] == "auto-generated"
    assert ann["Message-ID"] != bob["Message-ID"]
    assert text_of(ann).rstrip() == "Hé\n.\nend"
    [kept, _] = site.db.mails(sent=True)
    assert (kept.body, kept.error, kept.sent_at) == ("", None, site.now())


def test_words_that_no_database_takes_are_sent_without_them(site: Site, sink: Sink) -> None:
    site.mail.put(["ann@example.org"], "a\x00b", "c\x00d\ud800e")
    site.mail.deliver()
    assert (sink.mails[0]["Subject"], text_of(sink.mails[0]).strip()) == ("ab", "cd\ufffde")


def test_people_are_told_what_they_want_to_hear(site: Site) -> None:
    people = [person(site, f"alice{n}") for n in range(4)]
    ids = [who.account or 0 for who in people]
    site.accounts.edit(people[1], ids[1], notifications={"from_organizers": False})
    site.accounts.ban(OPERATOR, ids[2])
    site.accounts.delete(OPERATOR, ids[3])
    site.db.add_account("waits", email="waits@example.org", password=None, at=site.now())
    [*_, waiting] = site.db.accounts()
    before = len(site.db.mails())
    assert site.mail.tell([*ids, waiting.id], "s", "b", wants="from_organizers") == 1
    assert site.mail.tell([*ids, waiting.id], "s", "b") == 2
    assert len(site.db.mails()) == before + 3


def test_a_password_for_the_server(clock: Clock) -> None:
    with mail_sink(with_password=True) as sink:
        site = make_site(clock, mail_url=sink.url)
        site.mail.put(["ann@example.org"], "s", "b")
        assert site.mail.deliver() == 1
        assert sink.signed_in == [("robot", "p@ss:word")]
        close_site(site)
        site = make_site(clock, mail_url=sink.url.replace("word", "wrong"))
        site.mail.put(["ann@example.org"], "s", "b")
        assert site.mail.deliver() == 0
        [waits] = site.db.mails(sent=False)
        assert "refuses us: 535" in str(waits.error)
        assert "wrong" not in str(waits.error)
        close_site(site)


@pytest.mark.parametrize("way", ["smtps", "starttls"])
def test_what_is_encrypted_goes_to_who_proves_who_it_is(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    make_certificates(tmp_path)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with mail_sink(**{way: own}) as sink:  # type: ignore[arg-type]
        site = make_site(clock, mail_url=sink.url)
        site.mail.put(["ann@example.org"], "s", "b")
        assert site.mail.deliver() == 0
        assert "CERTIFICATE_VERIFY_FAILED" in str(site.db.mails()[0].error)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        clock.forward(minutes=2)
        assert site.mail.deliver() == 1
        assert len(sink.mails) == 1
        close_site(site)


def test_a_password_goes_to_no_other_machine_in_the_clear(clock: Clock) -> None:
    with mail_sink(with_password=True) as sink:
        site = make_site(clock, mail_url=sink.url.replace("127.0.0.1", "0.0.0.0"))
        site.mail.put(["ann@example.org"], "s", "b")
        assert site.mail.deliver() == 0
        assert "offers no TLS" in str(site.db.mails()[0].error)
        assert sink.signed_in == []
        close_site(site)


def test_many_mails_go_over_one_connection(site: Site, sink: Sink, clock: Clock) -> None:
    sink.replies["a3@example.org"] = "550 nobody of that name"
    site.mail.put([f"a{n}@example.org" for n in range(10)], "s", "b")
    assert site.mail.deliver() == 9
    assert sink.connections == 1
    site.mail.put(["late@example.org"], "s", "b")
    assert site.mail.deliver() == 1
    assert sink.connections == 2  # none stays open


def test_a_server_that_takes_few_at_a_time_gets_them_all(site: Site, sink: Sink, clock: Clock) -> None:
    sink.patience = 3
    site.mail.put([f"a{n}@example.org" for n in range(7)], "s", "b")
    assert site.mail.deliver() == 7
    assert sink.connections == 3


def test_a_sender_who_is_refused_loses_nothing(site: Site, sink: Sink, clock: Clock) -> None:
    sink.replies["b@example.org"] = "550 not from here"
    site.mail.put(["ann@example.org"], "s", "b")
    assert site.mail.deliver() == 0
    [mail] = site.db.mails(sent=False)
    assert (mail.attempts, "refuses b@example.org: 550" in str(mail.error)) == (1, True)
    sink.replies.clear()
    clock.forward(minutes=1)
    assert site.mail.deliver() == 1


def test_a_server_that_is_away_loses_nothing(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    site = make_site(clock, mail_url=f"smtp://127.0.0.1:{port}")
    person(site, "alice", password=PASSWORD)
    for n in range(3):
        site.mail.put([f"ann{n}@example.org"], "s", "b")
    site.accounts.send_reset("alice@example.org", address="192.0.2.1")
    assert site.mail.deliver() == 0
    assert [mail.attempts for mail in site.db.mails()] == [0, 0, 0, 1]  # the others are not tried in vain
    assert site.mail.deliver() == 0
    assert [mail.attempts for mail in site.db.mails()] == [0, 0, 0, 1]  # nor is it asked again at once
    with mail_sink(port=port) as sink:
        clock.forward(minutes=2)
        assert site.mail.deliver() == 4
        assert {mail["To"] for mail in sink.mails} == {*(f"ann{n}@example.org" for n in range(3)), "alice@example.org"}
    close_site(site)


def test_what_is_refused_for_now_is_tried_later(site: Site, sink: Sink, clock: Clock) -> None:
    sink.replies["ann@example.org"] = "451 come back later"
    site.mail.put(["ann@example.org", "bob@example.org"], "s", "b")
    assert site.mail.deliver() == 1
    waits = []
    for _ in range(TRIES - 1):
        [mail] = site.db.mails(sent=False)
        assert mail.not_before is not None
        waits.append((mail.not_before - clock()).total_seconds() / 60)
        clock.at = mail.not_before
        assert site.mail.deliver() == 0
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == 360
    assert sum(waits) > 36 * 60
    clock.forward(days=1)
    assert site.mail.deliver() == 0  # given up
    [mail] = site.db.mails(sent=False)
    assert (mail.attempts, "451" in str(mail.error)) == (TRIES, True)


def test_one_that_comes_later_is_the_same_mail(site: Site, sink: Sink, clock: Clock) -> None:
    sink.replies["*"] = "450 not now"
    site.mail.put(["ann@example.org"], "s", "b")
    assert site.mail.deliver() == 0
    del sink.replies["*"]
    clock.forward(minutes=1)
    assert site.mail.deliver() == 1
    [before] = site.db.mails()
    site.db.settle_mail(before.id, sent_at=None, not_before=None, body="b")  # its answer was lost
    assert site.mail.deliver() == 1
    assert len({mail["Message-ID"] for mail in sink.mails}) == 1


@pytest.mark.parametrize("where", ["ann@example.org", "*"])
def test_what_is_refused_for_good_is_given_up(site: Site, sink: Sink, clock: Clock, where: str) -> None:
    sink.replies[where] = "550 nobody of that name"
    site.mail.put(["ann@example.org"], "s", "b")
    assert site.mail.deliver() == 0
    [mail] = site.db.mails(sent=False)
    assert (mail.attempts, "550" in str(mail.error)) == (TRIES, True)
    sink.replies.clear()
    clock.forward(days=1)
    assert site.mail.deliver() == 0


def test_what_no_mail_can_be_made_of_is_given_up(site: Site, sink: Sink) -> None:
    site.mail.put(["no address\n"], "s", "b")
    site.mail.put(["ann@example.org"], "s", "b")
    assert site.mail.deliver() == 1
    assert [mail["To"] for mail in sink.mails] == ["ann@example.org"]


def test_many_who_send_send_each_mail_once(site: Site, sink: Sink, clock: Clock, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/site.db"
    sites = [make_site(clock, url, mail_url=sink.url) for _ in range(3)]
    sites[0].mail.put([f"a{n}@example.org" for n in range(30)], "s", "b")
    sent: list[int] = []
    threads = [threading.Thread(target=lambda s=s: sent.append(s.mail.deliver())) for s in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == 30
    assert sorted(mail["To"] for mail in sink.mails) == sorted(f"a{n}@example.org" for n in range(30))
    for each in sites:
        close_site(each)


def test_who_is_stopped_leaves_a_mail_to_others(site: Site, sink: Sink, clock: Clock) -> None:
    site.mail.put(["ann@example.org"], "s", "b")
    [mail] = site.db.mails()
    assert site.db.claim_mail(mail.id, now=clock(), until=clock.at.replace(hour=13))
    assert site.mail.deliver() == 0
    clock.forward(hours=1)
    assert site.mail.deliver() == 1


def test_without_a_server_mails_are_shown(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    site = make_site(clock)
    person(site, "alice", password=PASSWORD)
    site.accounts.send_reset("alice@example.org", address="192.0.2.1")
    assert site.mail.deliver() == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "mail to alice@example.org" in shown.err
    assert "http://127.0.0.1:8000/accounts/reset/" in shown.err
    [kept] = site.db.mails()
    assert (kept.kind, kept.body, "console" in str(kept.error)) == (MailKind.RESET, "", True)
    close_site(site)


def test_links_lead_to_the_address_of_the_site(site: Site, sink: Sink) -> None:
    person(site, "alice", password=PASSWORD)
    site.accounts.send_reset("alice@example.org", address="192.0.2.1")
    site.mail.deliver()
    assert f"https://bench.example.org/accounts/reset/{secret_in(sink.mails[0])}/" in text_of(sink.mails[0])


def test_an_organizer_cannot_have_a_link_written(site: Site, sink: Sink) -> None:
    person(site, "alice", password=PASSWORD)
    words = "{link} {0} %s ${link} https://bench.example.org/accounts/reset/"
    site.mail.put(["alice@example.org"], words, words)
    site.mail.deliver()
    assert text_of(sink.mails[0]).strip() == words


def test_mails_of_a_month_ago_are_forgotten(site: Site, clock: Clock) -> None:
    site.mail.put(["ann@example.org"], "s", "b")
    site.mail.deliver()
    clock.forward(days=31)
    site.mail.put(["bob@example.org"], "s", "b")
    site.tick()
    assert [mail.recipient for mail in site.db.mails()] == ["bob@example.org"]


def test_whoever_attends_sends_at_once(site: Site, sink: Sink) -> None:
    stop = threading.Event()
    attending = threading.Thread(target=site.attend, args=(stop,))
    attending.start()
    try:
        for n in range(2):
            site.mail.put([f"ann{n}@example.org"], "s", "b")
            until = time.monotonic() + 20
            while len(sink.mails) <= n and time.monotonic() < until:
                time.sleep(0.02)
        assert [mail["To"] for mail in sink.mails] == ["ann0@example.org", "ann1@example.org"]
    finally:
        stop.set()
        site.mail.waiting.set()
        attending.join()


def test_whoever_attends_outlives_what_fails(
    site: Site, sink: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("codabench.site.site._REST", 0.01)
    monkeypatch.setattr("codabench.site.site._PAUSE", 0.01)
    stop, deliver, fails = threading.Event(), site.mail.deliver, [StorageError("broken"), UsageError("odd")]

    def failing() -> int:
        if fails:
            raise fails.pop()
        return deliver()

    monkeypatch.setattr(site, "tick", lambda: None)
    monkeypatch.setattr(site.mail, "deliver", failing)
    site.mail.put(["ann@example.org"], "s", "b")
    attending = threading.Thread(target=site.attend, args=(stop,))
    attending.start()
    until = time.monotonic() + 20
    while not sink.mails and time.monotonic() < until:
        time.sleep(0.02)
    stop.set()
    site.mail.waiting.set()
    attending.join()
    assert len(sink.mails) == 1
    assert caplog.text.count("scheduled work failed") == 2


@pytest.mark.parametrize(
    "url",
    ["", "mail.example.org", "http://mail.example.org", "smtp://", "smtp://h:x", "smtp://h:99999", "smtp://h/box"],
)
def test_what_is_no_mail_server(clock: Clock, url: str) -> None:
    with pytest.raises(UsageError) as wrong:
        make_site(clock, mail_url=url)
    assert wrong.value.code == "CB353"


def test_settings_do_not_show_the_password_of_the_server() -> None:
    settings = SiteSettings.model_validate({"mail_url": "smtp://robot:hunter2@mail.example.org"})
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    with pytest.raises(ValidationError) as wrong:
        SiteSettings.model_validate({"mail_url": "smtp://robot:hunter2@h", "titel": "x"})
    assert "hunter2" not in str(wrong.value)


def test_sizes_of_settings_are_words_too() -> None:
    settings = SiteSettings.model_validate({"quota": "50 GiB", "upload": 1, "url": "https://x.org/"})
    assert (settings.quota, settings.upload, settings.url) == (50 * 1024**3, 1, "https://x.org")
    for wrong in ({"quota": "much"}, {"quota": -1}, {"url": "x.org"}, {"token_days": 0}, {"no_such": 1}):
        with pytest.raises(ValidationError):
            SiteSettings.model_validate(wrong)
