"""Mails: kept as rows first, then sent, and tried again while the server is away.

A mail with a link gets its words when it is sent. Who asks for one by an address is answered before anybody has looked
whether there is such an account, and what the link opens is nowhere in the database.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from codabench.core.people import CredentialKind, Mail, MailKind
from codabench.core.text import storable
from codabench.site import letters
from codabench.site.credentials import digest_of
from codabench.site.letters import Letter
from codabench.site.part import Part
from codabench.site.smtp import MailServer, PermanentError, UnsentError

if TYPE_CHECKING:
    from codabench.site.site import Site

log = logging.getLogger("codabench.site")

TRIES = 16
"""After so many a mail is given up: about two days."""
LONGEST_PAUSE = timedelta(hours=6)
LONGEST_REST = timedelta(minutes=5)
"""A server that is away is asked again so often at least, if there is mail."""
IN_HAND = timedelta(minutes=15)
"""For so long nobody else takes a mail that somebody sends."""
KEPT = timedelta(days=30)
_AT_ONCE = 100


def _to_console(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class Outbox(Part):
    """Sends what the other parts want said.

    Attributes
    ----------
    waiting
        Set when there is something to send; who sends in the background waits for it.
    console
        Where mails are shown if there is no mail server.
    """

    def __init__(self, site: Site, console: Callable[[str], None] = _to_console) -> None:
        super().__init__(site)
        self.waiting, self.console = threading.Event(), console
        self._delivering = threading.Lock()
        self._failures, self._not_before = 0, site.now()
        url = site.settings.mail_url
        sender = site.settings.mail_from or f"noreply@{letters.host_of(site.settings.url)}"
        self._server = None if url is None else MailServer(url.get_secret_value(), sender, site.settings.title)

    def put(self, recipients: Iterable[str | None], subject: str, body: str) -> int:
        """Have one mail sent to each of these addresses; returns to how many. Nobody sees who else gets it.

        Parameters
        ----------
        recipients
            None, and what was given before, is left out.
        body
            Plain text.
        """
        now, subject, body = self.site.now(), " ".join(storable(subject).split()), storable(body)
        to = dict.fromkeys(each for each in recipients if each)
        self.db.add_mails([Mail(recipient=each, subject=subject, body=body, created_at=now) for each in to])
        self.waiting.set()
        return len(to)

    def tell(self, accounts: Collection[int], subject: str, body: str, *, wants: str | None = None) -> int:
        """Have a mail sent to accounts, but for those that were deleted or banned; returns to how many.

        Parameters
        ----------
        wants
            Only to those who want such mails: ``from_organizers``, ``forum``, ``organization_invites``.
        """
        people = [each for each in self.db.accounts(ids=accounts, deleted=False) if each.may_enter]
        wanted = (each for each in people if wants is None or getattr(each.notifications, wants))
        return self.put((each.email for each in wanted), subject, body)

    def put_link(self, kind: MailKind, address: str) -> None:
        """Have a link sent to an address, if there is an account for it when it is sent."""
        self.db.add_mails([Mail(kind=kind, recipient=address, created_at=self.site.now())])
        self.waiting.set()

    def deliver(self) -> int:
        """Send what waits, until nothing does or the server is away; returns how many were sent.

        Any number of processes may do this at the same time: each mail is taken by one.
        """
        self.waiting.clear()
        if self.site.now() < self._not_before:
            return 0
        with self._delivering, self._server or nullcontext():
            return self._deliver()

    def _deliver(self) -> int:
        sent = 0
        while mails := self.db.waiting_mails(self.site.now(), tries=TRIES, limit=_AT_ONCE):
            for mail in mails:
                now = self.site.now()
                if not self.db.claim_mail(mail.id, now=now, until=now + IN_HAND):
                    continue
                try:
                    sent += self._send(mail, now)
                except UnsentError as error:
                    self._later(mail, error, now)
                    if error.is_away:  # the others would fare no better
                        self._failures += 1
                        rest = timedelta(seconds=5 * 2.0 ** min(self._failures, 16))
                        self._not_before = now + min(rest, LONGEST_REST)
                        return sent
                self._failures = 0
        return sent

    def _send(self, mail: Mail, now: datetime) -> bool:
        letter = self._written(mail)
        if letter is None:  # there is no such account, or not any more
            self.db.drop_mail(mail.id)
            return False
        if self._server is None:
            self.console(f"\nmail to {mail.recipient}: {letter.subject}\n\n{letter.body}\n")
            self.db.settle_mail(mail.id, sent_at=now, error="shown on the console: there is no mail server")
            return True
        self._server.send(mail.recipient, letter, id=f"{mail.id}.{mail.created_at.timestamp():.0f}")
        # What was said is of no more use to us.
        self.db.settle_mail(mail.id, sent_at=now, error=None, body="")
        return True

    def _later(self, mail: Mail, error: UnsentError, now: datetime) -> None:
        tries = mail.attempts + 1
        if isinstance(error, PermanentError):
            log.warning("mail %s was refused and is given up: %s", mail.id, error)
            self.db.settle_mail(mail.id, error=str(error), attempts=TRIES)
            return
        pause = min(timedelta(minutes=2.0 ** min(tries - 1, 16)), LONGEST_PAUSE)
        log.warning("mail %s could not be sent, try %s: %s", mail.id, tries, error)
        self.db.settle_mail(mail.id, error=str(error), not_before=now + pause)

    def _written(self, mail: Mail) -> Letter | None:
        """The words of a mail, with a link where it has one; None: nothing is to be said."""
        if mail.kind is MailKind.PLAIN:
            return Letter(mail.subject, mail.body)
        account, settings = self.db.account_at(mail.recipient), self.site.settings
        link = self.site.credentials.make_link
        if account is None:
            lately = self.db.is_forgotten(digest_of(mail.recipient), self.site.now())
            return letters.forgotten(settings) if lately and mail.kind is MailKind.ACTIVATION else None
        if not account.is_active:
            return letters.activation(settings, account, link(CredentialKind.ACTIVATION, account.id))
        if mail.kind is MailKind.ACTIVATION:
            return letters.known_already(settings, account)
        if mail.kind is MailKind.RESET:
            return letters.reset(settings, account, link(CredentialKind.RESET, account.id))
        return letters.deletion(settings, account, link(CredentialKind.DELETION, account.id))

    def purge(self) -> int:
        """Forget mails of a month ago; scheduled."""
        return self.db.purge_mails(self.site.now() - KEPT)
