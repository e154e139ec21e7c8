"""What a server writes down: one line for each request and each trouble, without what lets people in."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from codabench.site.redaction import Redacting

LOGGERS = ("codabench", "uvicorn")
_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """A record as one line of JSON; whatever is in it, it begins no line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            said["trace"] = record.exc_text
        return json.dumps(said, ensure_ascii=True)


class Lines(logging.Formatter):
    """A record as text; line breaks that somebody sent are shown as such."""

    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its name
        record.message = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in record.message)
        return super().formatMessage(record)


@contextmanager
def written_down(level: str, *, as_json: bool = False) -> Iterator[None]:
    """Write what our packages and the server log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else Lines(_TEXT, "%Y-%m-%dT%H:%M:%SZ"))
    handler.addFilter(Redacting())
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(each, each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.addHandler(handler)
        each.setLevel(level.upper())
        each.propagate = False
    # Of the libraries beneath, what is worth a warning.
    logging.getLogger("uvicorn.error").setLevel("INFO" if level == "debug" else "WARNING")
    try:
        yield
    finally:
        for each, was, propagates in before:
            each.removeHandler(handler)
            each.setLevel(was)
            each.propagate = propagates
