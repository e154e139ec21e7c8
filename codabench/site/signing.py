"""`Signer`: links that work by themselves for one thing, one verb and a while, and what else has to be signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codabench.core.errors import Refused, UsageError

_BYTES = 32
_DIGITS = re.compile(rb"[0-9a-f]{64}")
_SHORTEST = 48


def secret_of(file: Path) -> bytes:
    """The key in a file that only its owner can read; made at the first time.

    Raises
    ------
    UsageError
        ``CB822``: others can read it, it is not 64 random hexadecimal digits, or it can neither be read nor made.
    """
    try:
        if file.exists():
            return _read(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as made:
            made.write(secrets.token_hex(_BYTES) + "\n")
        try:
            os.link(half, file)  # of two processes that begin at the same time one wins, and both read its key
        except FileExistsError:
            pass
        finally:
            half.unlink()
        return _read(file)
    except OSError as error:
        raise UsageError(f"the key of the site cannot be kept in {file}: {error}", code="CB822") from error


def _read(file: Path) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as kept:
        mode = os.fstat(kept.fileno()).st_mode
        key = kept.read(4096).strip()
    if mode & 0o077:
        raise UsageError(f"others can read the key of the site in {file}", code="CB822", hint=f"chmod 600 {file}")
    # What is random cannot be told more shortly.
    if not _DIGITS.fullmatch(key) or len(zlib.compress(key, 9)) < _SHORTEST:
        hint = "remove the file: a new one is made, and links that were given out work no more"
        raise UsageError(f"the key of the site in {file} can be guessed", code="CB822", hint=hint)
    return key


class Signer:
    """Signs with one key, differently for each purpose."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mark(self, purpose: str, *parts: str) -> str:
        """A code that only this key makes of these parts, for this purpose: 43 characters."""
        text = json.dumps([purpose, *parts], ensure_ascii=True).encode()
        return _text(hmac.new(self._key, text, hashlib.sha256).digest())

    def holds(self, code: str, purpose: str, *parts: str) -> bool:
        """Whether that is the code."""
        return hmac.compare_digest(code.encode("utf-8", "replace"), self.mark(purpose, *parts).encode())

    def ticket(self, verb: str, what: dict[str, Any], *, until: datetime) -> str:
        """Text for a URL that stands for one thing, one verb and a while; whoever has it needs nothing else."""
        said = {"verb": verb, "until": int(until.timestamp()), "what": what}
        body = _text(json.dumps(said, separators=(",", ":"), sort_keys=True).encode())
        return f"{body}.{self.mark('ticket', body)}"

    def read(self, ticket: str, verb: str, *, now: datetime) -> dict[str, Any]:
        """What a ticket stands for.

        Raises
        ------
        Refused
            ``CB809``: it was not made here, is for something else, or its time is over.
        """
        body, _, code = ticket.partition(".")
        if not self.holds(code, "ticket", body):
            raise Refused("this link was not made here, or is not whole", code="CB809")
        said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if said["verb"] != verb:
            raise Refused(f"this link is not for {verb}", code="CB809")
        if now > datetime.fromtimestamp(said["until"], UTC):
            raise Refused("the time of this link is over", code="CB809", hint="ask for a new one")
        what: dict[str, Any] = said["what"]
        return what


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
