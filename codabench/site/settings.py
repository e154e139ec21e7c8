"""`SiteSettings`: what one site does otherwise than another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr

from codabench.core.base import Record
from codabench.core.text import parse_size
from codabench.storage.sources import ArchiveLimits

GB = 10**9

Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
"""Bytes; also ``"2 GiB"``."""

Days = Annotated[float, Field(gt=0, le=3660)]


def _base(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("write an address that begins with https:// or http://")
    return url.rstrip("/")


class SiteSettings(Record):
    """What holds for a site as a whole. Every one has a value that suits a site on one machine.

    Attributes
    ----------
    url
        Where people reach it: what links in mails begin with.
    contact
        Where people write to.
    sign_up, sign_in
        Whether people may make accounts by themselves, and may sign in with a password.
    quota
        Bytes an account may store, unless it has a quota of its own.
    upload
        Bytes of one upload.
    rerun_limit
        Submissions of a phase that its organizers evaluate again at one time.
    longest_time_limit
        Seconds for each step that hold at most, whatever a phase says (which is 600, where it says nothing); None: any.
    mail_url
        ``smtp://user:password@host:587`` (STARTTLS) or ``smtps://`` (TLS from the start); None: mails are shown on the
        console.
    mail_from
        The sender; None: ``noreply@`` and the host of `url`.
    session_days
        After so many days without a visit one signs in again.
    token_days
        How long a token is good for, where nothing else is asked.
    activation_days
        So long an address can be confirmed; then the account is removed.
    link_hours
        So long links to set a password, or to delete an account, are good for.
    forget_days
        So long nobody signs up with the address of an account that was deleted.
    password_memory
        Bytes of memory for one check of a password (Argon2id); less for small machines.
    sweep_days
        Every so many days what nothing needs any more is removed from the storage, where it is older than a day; None:
        never, ``codabench gc`` does it.
    secret_file
        Where the key is kept that signs what has to be signed; None: beside the storage, if that is on this host.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    title: str = "codabench"
    url: Annotated[str, AfterValidator(_base)] = "http://127.0.0.1:8000"
    contact: str | None = None
    sign_up: bool = True
    sign_in: bool = True
    quota: Size = 15 * GB
    upload: Size = 2 * 1024**3
    rerun_limit: Annotated[int, Field(ge=0)] = 30
    longest_time_limit: Annotated[int, Field(gt=0)] | None = None
    mail_url: SecretStr | None = None
    mail_from: str | None = None
    session_days: Days = 14
    token_days: Days = 90
    activation_days: Days = 3
    link_hours: Annotated[float, Field(gt=0, le=168)] = 4
    forget_days: Days = 30
    password_memory: Size = 64 * 1024**2
    sweep_days: Days | None = 1
    secret_file: Path | None = None

    @property
    def archives(self) -> ArchiveLimits:
        """How large the archives may be that people upload."""
        return ArchiveLimits.UPLOAD.model_copy(update={"archive_bytes": self.upload})
