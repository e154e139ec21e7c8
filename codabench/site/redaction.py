"""`Redacting`: keeps what lets people in out of logs."""

from __future__ import annotations

import logging
import re

HIDDEN = "(hidden)"
_SECRET = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{40}(?![0-9A-Fa-f])")
_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]*(?=@)")
_TICKET = re.compile(r"(/(?:uploads|files)/)[\w.-]+")
_QUERY = re.compile(r"(?i)\b(secret_key|signature|password|token)=[^\s&\"']+")


class Redacting(logging.Filter):
    """Hides tokens, sessions and links (40 hexadecimal digits), signed links, passwords in URLs, secrets in queries.

    A filter of a handler sees what every logger writes, one of a logger only what is written to it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always written."""
        said = record.getMessage()
        kept = redacted(said)
        if kept != said:
            record.msg, record.args = kept, None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redacted(record.exc_text)
        return True


def redacted(text: str) -> str:
    """A text without what lets people in."""
    text = _TICKET.sub(rf"\1{HIDDEN}", _PASSWORD.sub(rf"\1:{HIDDEN}", _SECRET.sub(HIDDEN, text)))
    return _QUERY.sub(rf"\1={HIDDEN}", text)
