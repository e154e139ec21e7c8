"""`Actor`: who asks for something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Actor:
    """Who asks, as known at this request; never kept for another one.

    Attributes
    ----------
    account
        Number of the account; None: nobody, or the process itself.
    is_staff, is_superuser, is_bot
        Flags of the account.
    scope
        What the credential allows that was shown: a token for reading changes nothing.
    """

    account: int | None = None
    username: str = ""
    is_staff: bool = False
    is_superuser: bool = False
    is_bot: bool = False
    scope: Literal["read", "write"] = "write"

    @property
    def is_anonymous(self) -> bool:
        return self.account is None and not self.is_superuser

    @property
    def participant(self) -> str:
        """What the workspace calls it: never changes, says nothing of the person.

        Raises
        ------
        ValueError
            It has no account.
        """
        if self.account is None:
            raise ValueError(f"{self.username or 'nobody'} has no account")
        return f"u{self.account}"


def account_of(participant: str) -> int | None:
    """The account that a participant of the workspace is; None: somebody who submitted on the machine itself."""
    number = participant.removeprefix("u")
    return int(number) if number != participant and number.isascii() and number.isdigit() else None


ANONYMOUS = Actor()
OPERATOR = Actor(username="the operator", is_superuser=True)
"""The command line of this host, and scheduled work."""
