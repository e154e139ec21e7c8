"""Who there is on a site: accounts, what they show to be let in, what they take part in."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from codabench.core.base import Record
from codabench.core.trees import BlobRef

Scope = Literal["read", "write"]


def _web_address(text: str) -> str:
    if text and not text.startswith(("https://", "http://")):
        raise ValueError("write an address that begins with https:// or http://")
    return text


Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Link = Annotated[Line, AfterValidator(_web_address)]


class Profile(Record):
    """What people say of themselves; all of it may be empty.

    Attributes
    ----------
    photo
        A square PNG in the storage of the workspace.
    """

    first_name: Line = ""
    last_name: Line = ""
    job_title: Line = ""
    location: Line = ""
    biography: Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")] = ""
    personal_url: Link = ""
    linkedin_url: Link = ""
    twitter_url: Link = ""
    github_url: Link = ""
    photo: BlobRef | None = None


class Notifications(Record):
    """Which mails somebody wants; what an account itself needs is sent always."""

    from_organizers: bool = True
    forum: bool = True
    organization_invites: bool = True


class Account(Record):
    """Somebody. The hash of the password is not part of it.

    Attributes
    ----------
    email
        Lower case; None: not given, or deleted.
    display_name
        Shown instead of the name, where it is not empty.
    is_active
        The address was confirmed.
    quota
        Bytes; None: what the site gives everybody.
    banned_at, deleted_at
        Since when.
    """

    id: int
    username: str
    email: str | None = None
    display_name: str = ""
    profile: Profile = Profile()
    notifications: Notifications = Notifications()
    is_active: bool = False
    is_staff: bool = False
    is_superuser: bool = False
    is_bot: bool = False
    quota: int | None = None
    created_at: datetime
    banned_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def shown_name(self) -> str:
        """What others see."""
        return self.display_name or self.username

    @property
    def participant(self) -> str:
        """What the workspace calls it: never changes, says nothing of the person."""
        return f"u{self.id}"

    @property
    def may_enter(self) -> bool:
        """It may sign in, and what it has shown before still counts."""
        return self.is_active and self.banned_at is None and self.deleted_at is None


class CredentialKind(StrEnum):
    """What somebody shows to be taken for an account, or to do one thing once."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105 - the word, not a secret
    ACTIVATION = "activation"
    RESET = "reset"
    DELETION = "deletion"
    FIRST = "first"

    @property
    def is_link(self) -> bool:
        """Used once."""
        return self not in (CredentialKind.SESSION, CredentialKind.TOKEN)


class Credential(Record):
    """A session, a token or a link, as the database knows it: never the secret itself.

    Attributes
    ----------
    digest
        SHA-256 of the secret.
    account
        Whose it is; None: the link for the first administrator.
    expires_at
        When it is worth nothing any more; None: never.
    used_at
        When a link was used; when a session or a token was shown last, to an hour.
    """

    digest: str
    kind: CredentialKind
    account: int | None = None
    name: str = ""
    scope: Scope = "write"
    created_at: datetime
    expires_at: datetime | None = None
    used_at: datetime | None = None

    @property
    def id(self) -> str:
        """By which it is listed and revoked; of no use for anything else."""
        return self.digest[:16]


class ParticipationStatus(StrEnum):
    """Where an application to take part stands; the words are Codabench's."""

    UNKNOWN = "unknown"
    DENIED = "denied"
    APPROVED = "approved"
    PENDING = "pending"


class Participation(Record):
    """An application to take part in a competition: one for ever.

    Attributes
    ----------
    decided_at
        When it became what it is; None: nobody has decided.
    """

    id: int
    competition: str
    account: int
    status: ParticipationStatus
    created_at: datetime
    decided_at: datetime | None = None


class MailKind(StrEnum):
    """What a mail is.

    All but a plain one get their words, and their link, when they are sent: whether there is an account, and what opens
    it, is not in the database before.
    """

    PLAIN = "plain"
    ACTIVATION = "activation"
    RESET = "reset"
    DELETION = "deletion"


class Mail(Record):
    """A mail to one address.

    Attributes
    ----------
    id
        0: not kept yet.
    not_before
        When it is tried next.
    attempts
        How often it was tried.
    error
        Why it was not sent the last time.
    """

    id: int = 0
    kind: MailKind = MailKind.PLAIN
    recipient: str
    subject: str = ""
    body: str = ""
    created_at: datetime
    not_before: datetime | None = None
    sent_at: datetime | None = None
    attempts: int = 0
    error: str | None = None
