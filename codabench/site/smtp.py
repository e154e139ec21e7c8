"""Mail servers: one letter to one address, over SMTP."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Self
from urllib.parse import unquote, urlsplit

from codabench.core.errors import UsageError
from codabench.site.letters import Letter

_SECONDS = 30.0
_HERE = ("127.0.0.1", "::1", "localhost")


class UnsentError(Exception):
    """A mail was not sent, and may be later. Never leaves the outbox.

    Attributes
    ----------
    is_away
        The server does not take any mail.
    """

    def __init__(self, message: str, *, is_away: bool = False) -> None:
        super().__init__(message)
        self.is_away = is_away


class PermanentError(UnsentError):
    """A server refused this mail, and will again."""


class MailServer:
    """A server that takes mail; for one thread at a time.

    Parameters
    ----------
    url
        ``smtp://user:password@host:587`` or ``smtps://host:465``. What goes to another machine is encrypted, or a
        password is not sent.

    Raises
    ------
    UsageError
        ``CB353``: that is no such URL.
    """

    def __init__(self, url: str, sender: str, title: str) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == -1 or parts.path.strip("/"):
            hint = "write smtp://user:password@host:587, or smtps://host"
            raise UsageError("that is no URL of a mail server", code="CB353", hint=hint)
        self.tls = parts.scheme == "smtps"
        self.host, self.port = parts.hostname, port or (465 if self.tls else 587)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._from, self._title = sender, title
        self._open: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        """Hang up."""
        server, self._open = self._open, None
        if server is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()

    def send(self, recipient: str, letter: Letter, *, id: str) -> None:
        """Send a letter, over the connection that is open, or a new one; the end of a ``with`` block closes it.

        Parameters
        ----------
        id
            The same for the same letter: who gets it twice, because an answer was lost, can tell.

        Raises
        ------
        UnsentError
            It was not; `PermanentError`: and will not be.
        """
        message = self._message(recipient, letter, id)
        if self._open is not None and not _answers(self._open):  # they let go of who was quiet, or sent much
            self._open = None
        server = self._open = self._open or self._connected()
        try:
            server.send_message(message, from_addr=self._from, to_addrs=[recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            kind = PermanentError if code >= 500 else UnsentError
            raise kind(f"{self.host} refused it: {code} {_text(said)}") from error
        except smtplib.SMTPSenderRefused as error:  # us, and not this mail
            raise UnsentError(f"{self.host} refuses {self._from}: {_said(error)}", is_away=True) from error
        except smtplib.SMTPResponseException as error:
            kind = PermanentError if error.smtp_code >= 500 else UnsentError
            raise kind(f"{self.host} refused it: {_said(error)}") from error
        except smtplib.SMTPNotSupportedError as error:
            raise PermanentError(f"{self.host} cannot do that: {error}") from error
        except (smtplib.SMTPException, OSError) as error:
            self._open = None
            raise UnsentError(f"{self.host}:{self.port} hung up: {error}", is_away=True) from error

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        try:
            if self.tls:
                server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=_SECONDS, context=context)
            else:
                server = smtplib.SMTP(self.host, self.port, timeout=_SECONDS)
            try:
                self._introduce(server, context)
            except BaseException:
                server.close()
                raise
        except smtplib.SMTPResponseException as error:
            raise UnsentError(f"{self.host} refuses us: {_said(error)}", is_away=True) from error
        except (smtplib.SMTPException, OSError) as error:
            raise UnsentError(f"{self.host}:{self.port} cannot be used: {error}", is_away=True) from error
        return server

    def _introduce(self, server: smtplib.SMTP, context: ssl.SSLContext) -> None:
        server.ehlo_or_helo_if_needed()
        if not self.tls and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        elif not self.tls and self._user and self.host not in _HERE:
            why = f"{self.host} offers no TLS, and a password goes to no other machine without"
            raise UnsentError(why, is_away=True)
        if self._user:
            server.login(self._user, self._password)

    def _message(self, recipient: str, letter: Letter, id: str) -> EmailMessage:
        message = EmailMessage()
        name, _, host = self._from.rpartition("@")
        try:
            message["From"] = Address(self._title, name, host)
            message["To"] = recipient
            message["Subject"] = letter.subject
        except (ValueError, IndexError) as error:  # no address, or more than one line
            raise PermanentError(f"a mail to {recipient!r} cannot be written: {error}") from error
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = f"<{id}@{host}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body)
        return message


def _answers(server: smtplib.SMTP) -> bool:
    try:
        return server.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        server.close()
        return False


def _said(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
