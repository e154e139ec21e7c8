"""A mail server that keeps what it gets, and can be made to refuse."""

from __future__ import annotations

import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from ssl import SSLContext
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class Sink:
    """What came.

    Attributes
    ----------
    replies
        What is answered instead of taking a mail, by sender or recipient.
    connections
        How many there were.
    patience
        Mails that are taken over one connection; 0: any number.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.replies: dict[str, str] = {}
        self.signed_in: list[tuple[str, str]] = []
        self.url, self.connections, self.patience = "", 0, 0

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += session.host_name is None
        session.host_name, session.taken = hostname, 0
        return responses

    async def handle_NOOP(self, server: Any, session: Any, envelope: Any, arg: str) -> str:  # noqa: N802
        return "421 enough" if self.patience and session.taken >= self.patience else "250 OK"

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.replies:
            return self.replies[address]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.replies:
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "*" in self.replies:
            return self.replies["*"]
        mail = message_from_bytes(envelope.content, policy=policy.default)
        mail["X-Envelope-To"] = ",".join(envelope.rcpt_tos)
        self.mails.append(mail)
        session.taken += 1
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.signed_in.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"p@ss:word", handled=False)

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["X-Envelope-To"] == address]


class _Listening(Controller):
    """A server on a socket that listens already, so that nobody else takes the port."""

    def __init__(self, own: socket.socket, handler: object, **more: Any) -> None:
        super().__init__(handler, port=own.getsockname()[1], **more)
        self._own = own

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._own, ssl=self.ssl_context)


@contextmanager
def mail_sink(
    *, port: int = 0, with_password: bool = False, smtps: SSLContext | None = None, starttls: SSLContext | None = None
) -> Iterator[Sink]:
    """A server on a port of this machine, by default one that is free; `url` of what is yielded leads there.

    Parameters
    ----------
    smtps, starttls
        TLS from the start, or when it is asked for; then nothing else is taken.
    """
    sink = Sink()
    more: dict[str, Any] = {"authenticator": sink.authenticate, "auth_required": True} if with_password else {}
    warnings.filterwarnings("ignore", "Requiring AUTH", UserWarning)
    if smtps is not None:
        more["ssl_context"] = smtps
    if starttls is not None:
        more |= {"tls_context": starttls, "require_starttls": True}
    own = socket.create_server(("127.0.0.1", port))
    server = _Listening(own, sink, hostname="127.0.0.1", auth_require_tls=False, **more)
    server.start()
    try:
        sink.url = f"smtp{'s' * bool(smtps)}://{'robot:p%40ss%3Aword@' if with_password else ''}127.0.0.1:{server.port}"
        yield sink
    finally:
        server.stop(no_assert=True)


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def secret_in(mail: EmailMessage) -> str:
    """What the link in a mail holds."""
    found = re.search(r"/accounts/\w+/([0-9a-f]{40})/", text_of(mail))
    assert found, text_of(mail)
    return found[1]
