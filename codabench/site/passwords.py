"""Passwords: hashed with Argon2id, compared in the same time whether there is one or not."""

from __future__ import annotations

import threading
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING

from codabench.core.errors import MissingExtra

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 8, 1024

_AT_ONCE = 4
"""Checks at the same time: each takes memory, and a flood of guesses must not take all of it."""

_KNOWN = frozenset(
    """
    password passw0rd p@ssword p@ssw0rd password1 password12 password123 password1234 passwords 12345678
    123456789 1234567890 87654321 0987654321 qwertyui qwertyuiop qwerty123 1q2w3e4r 1q2w3e4r5t 1qaz2wsx
    asdfghjk asdfghjkl zxcvbnm1 abcd1234 abc12345 iloveyou sunshine princess football baseball superman
    batman123 trustno1 letmein1 welcome1 welcome123 admin123 admin1234 administrator changeme changeme1
    codabench codalab1 benchmark competition leaderboard starwars dragon123 monkey123 whatever computer
    internet michelle jennifer q1w2e3r4 a1b2c3d4
    """.split()  # noqa: SIM905 - a list of them is a page long
)
"""The first that are guessed."""


class Passwords:
    """Hashes and compares.

    Parameters
    ----------
    memory
        Bytes that one check takes, at least 8 KiB for each of its four lanes.

    Raises
    ------
    MissingExtra
        ``CB370``: the extra ``web`` is not installed.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        try:
            from argon2 import PasswordHasher
        except ImportError as error:
            hint = "pip install codabench[web]"
            raise MissingExtra("argon2-cffi, which hashes passwords, is not installed", hint=hint) from error
        return PasswordHasher(memory_cost=max(self._memory // 1024, 32))

    @cached_property
    def _nobodys(self) -> str:
        """What is compared where there is no password: it takes as long, and is the password of nobody."""
        return self._hasher.hash(b"\x00")

    def hash(self, password: str) -> str:
        """What is kept of a password."""
        with self._room:
            return self._hasher.hash(_bytes(password))

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether that is the password; None: there is none, and it takes as long to say so."""
        hasher, nobodys = self._hasher, self._nobodys
        from argon2.exceptions import Argon2Error, InvalidHashError

        with self._room:
            try:
                hasher.verify(kept or nobodys, _bytes(password))
            except (Argon2Error, InvalidHashError):
                return False
        return kept is not None

    def is_old(self, kept: str) -> bool:
        """Whether it was hashed otherwise than it would be now."""
        return self._hasher.check_needs_rehash(kept)


def weakness(password: str, *others: str | None) -> str | None:
    """Why that is no good password; None: it may be used.

    Parameters
    ----------
    others
        What everybody knows of its owner: name, address.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        return f"A password has {SHORTEST} to {LONGEST} characters."
    plain = unicodedata.normalize("NFKC", password).casefold()
    if plain in _KNOWN or len(set(plain)) < 3:
        return "This is one of the first passwords that are guessed."
    words = [word.casefold() for other in others if other for word in (other, other.partition("@")[0])]
    if any(plain in (word, word + "1", word + "123") for word in words):
        return "The password is too much like the name or the address."
    return None


def _bytes(password: str) -> bytes:
    """The same for every way to type the same characters."""
    # What is longer than any password that was accepted is none, and is not worth hashing.
    return unicodedata.normalize("NFKC", password[: LONGEST + 1]).encode("utf-8", "surrogatepass")
