"""Accounts: looked at, changed, banned, deleted; how they begin is in `codabench.site.signing_up`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from codabench.core.errors import Invalid, NotFound, Refused
from codabench.core.people import Account, CredentialKind, MailKind, Notifications, Profile
from codabench.core.text import storable
from codabench.site import letters
from codabench.site.actors import Actor
from codabench.site.credentials import digest_of
from codabench.site.facts import AccountFacts
from codabench.site.pictures import square
from codabench.site.policy import Action
from codabench.site.signing_up import SigningUp, known_flags

PHOTO = 256
"""Pixels of a side."""
_HITS = 5
_LARGEST = 10**18
"""Bytes of a quota."""


class Called(NamedTuple):
    """What somebody is called: the name in addresses, and what is shown."""

    username: str
    shown: str


class Accounts(SigningUp):
    """Who there is. What an account is let in with is the business of `codabench.site.credentials`."""

    # ------------------------------------------------------------------ looking
    def get(self, actor: Actor, account: int) -> Account:
        """An account, with its address only for who may see it; `NotFound` if there is none."""
        self.site.policy.require(actor, Action.ACCOUNT_READ, AccountFacts(account))
        return self._seen(actor, self.db.account(account))

    def named(self, actor: Actor, username: str) -> Account:
        """The account of that name; see `get`."""
        found = self.db.account_named(storable(username))
        facts = AccountFacts(found.id if found else 0)
        self.site.policy.require(actor, Action.ACCOUNT_READ, facts)
        if found is None or found.deleted_at is not None:
            raise NotFound(f"there is no account {username!r}")
        return self._seen(actor, found)

    def find(self, actor: Actor, words: str) -> list[Account]:
        """Up to five accounts, by part of the name or by address; staff also by a part of that (platform.md 2.6)."""
        self.site.policy.require(actor, Action.ACCOUNT_SEARCH)
        words = storable(words).strip().lower()
        if not words:
            return []
        part = words if actor.is_staff or actor.is_superuser else None
        found = self.db.accounts(
            containing=words, email=words, email_containing=part, deleted=False, active=True, limit=_HITS
        )
        return [self._seen(actor, each) for each in found]

    def all(
        self,
        actor: Actor,
        *,
        flag: str | None = None,
        deleted: bool = False,
        text: str | None = None,
        limit: int | None = None,
    ) -> list[Account]:
        """Every account, oldest first.

        Parameters
        ----------
        flag
            ``is_staff``, ``is_superuser``, ``is_bot``: only those.
        deleted
            Also those that were deleted.
        text
            A part of the name or of the address.
        limit
            No more than so many.
        """
        self.site.policy.require(actor, Action.SITE_ADMINISTER)
        words = storable(text or "").strip().lower() or None
        return self.db.accounts(flag=flag, deleted=deleted, containing=words, email_containing=words, limit=limit)

    def shown_names(self, accounts: Collection[int]) -> dict[str, str]:
        """What boards show for the participants of a workspace: display names, else names (platform.md P34)."""
        return {f"u{id}": name for id, name in self.db.shown_names(accounts).items()}

    def called(self, accounts: Collection[int]) -> dict[int, Called]:
        """What people are called, also those who are gone: everybody may know who organizes, and who is on boards."""
        return {a.id: Called(a.username, a.shown_name) for a in self.db.accounts(ids=accounts)}

    def _seen(self, actor: Actor, account: Account) -> Account:
        if self.site.policy.allows(actor, Action.ACCOUNT_SEE_EMAIL, AccountFacts(account.id)):
            return account
        return account.model_copy(update={"email": None, "notifications": Notifications(), "quota": None})

    # ------------------------------------------------------------------ changing
    def edit(
        self,
        actor: Actor,
        account: int,
        *,
        display_name: str | None = None,
        profile: Mapping[str, str] | None = None,
        notifications: Mapping[str, bool] | None = None,
    ) -> Account:
        """Change what people say of themselves, and which mails they want; what is not named stays as it is.

        Name and address never change (platform.md P33).

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field.
        """
        self.site.policy.require(actor, Action.ACCOUNT_EDIT, AccountFacts(account))
        before, changes = self._there(account), dict[str, Any]()
        if display_name is not None:
            changes["display_name"] = _display_name(display_name)
        if profile is not None and "photo" in profile:  # or any stored bytes could be named, and read
            raise Invalid({"photo": "A picture is given by itself."})
        if profile is not None:
            changes["profile"] = _checked(Profile, before.profile, profile)
        if notifications is not None:
            changes["notifications"] = _checked(Notifications, before.notifications, notifications)
        return self.db.change_account(account, **changes) if changes else before

    def set_photo(self, actor: Actor, account: int, picture: bytes | None) -> Account:
        """Show a picture of somebody, made a square of 256 pixels; None: show none.

        Raises
        ------
        Invalid
            ``CB802``: it is no picture, or too large.
        """
        self.site.policy.require(actor, Action.ACCOUNT_EDIT, AccountFacts(account))
        kept = None if picture is None else self.site.workspace.storage.put(square(picture, PHOTO))
        profile = self._there(account).profile.model_copy(update={"photo": kept})
        return self.db.change_account(account, profile=profile)

    def photo(self, actor: Actor, account: int) -> bytes | None:
        """The picture of somebody, a PNG; None: there is none."""
        self.site.policy.require(actor, Action.ACCOUNT_READ, AccountFacts(account))
        kept = self._there(account).profile.photo
        return None if kept is None else self.site.workspace.storage.get(kept)

    def _there(self, account: int) -> Account:
        found = self.db.account(account)
        if found.deleted_at is not None:
            raise NotFound(f"no account {account}")
        return found

    def set_flags(self, actor: Actor, account: int, **flags: bool) -> Account:
        """Say who is staff, superuser, robot (platform.md A01, A03).

        Raises
        ------
        Refused
            ``CB800``: nobody would be superuser any more.
        """
        self.site.policy.require(actor, Action.ACCOUNT_ADMINISTER, AccountFacts(account))
        if flags.get("is_superuser") is False:
            self._keep_one(account)
        return self.db.change_account(account, **known_flags(flags))

    def set_quota(self, actor: Actor, account: int, quota: int | None) -> Account:
        """Say how many bytes an account may store; None: as many as the site gives everybody."""
        self.site.policy.require(actor, Action.ACCOUNT_ADMINISTER, AccountFacts(account))
        if quota is not None and not 0 <= quota <= _LARGEST:
            raise Invalid({"quota": "A quota is a number of bytes, from 0 to a million terabytes."})
        return self.db.change_account(account, quota=quota)

    def ban(self, actor: Actor, account: int) -> Account:
        """Keep somebody out, whatever they show; what is theirs stays."""
        self.site.policy.require(actor, Action.ACCOUNT_ADMINISTER, AccountFacts(account))
        self._keep_one(account)
        return self.db.change_account(account, banned_at=self.site.now())

    def unban(self, actor: Actor, account: int) -> Account:
        """Let somebody in again."""
        self.site.policy.require(actor, Action.ACCOUNT_ADMINISTER, AccountFacts(account))
        return self.db.change_account(account, banned_at=None)

    def _keep_one(self, but: int) -> None:
        if [each.id for each in self._superusers()] == [but]:
            raise Refused("nobody would look after this site: it is the only superuser")

    # ------------------------------------------------------------------ the end
    def ask_deletion(self, actor: Actor, *, username: str, password: str, address: str) -> None:
        """Have a link sent with which one's own account is deleted (platform.md P38).

        Raises
        ------
        Invalid
            ``CB802``, ``CB808``: that is not the name, or not the password.
        """
        self.site.policy.require(actor, Action.ACCOUNT_DELETE, AccountFacts(actor.account or 0))
        if username != actor.username:
            raise Invalid({"username": "This is not the name of your account."})
        account = self.site.credentials.check(username, password, address=address)
        if account.email is None:
            hint = "ask those who run this site to delete it"
            raise Refused("this account has no address to which a link could be sent", hint=hint)
        self.site.mail.put_link(MailKind.DELETION, account.email)

    def confirm_deletion(self, secret: str) -> None:
        """Delete an account with the link that was mailed to it.

        Raises
        ------
        Refused
            ``CB805``: the link does not work any more. ``CB800``: it is the only superuser.
        """
        found = self.site.credentials.look_at_link(secret, CredentialKind.DELETION)
        if found is not None:
            self._keep_one(found.id)
        self._empty(self._holder(secret, CredentialKind.DELETION))

    def delete(self, actor: Actor, account: int) -> None:
        """Delete an account: everything personal goes, what is theirs stays without a name (platform.md A07)."""
        self.site.policy.require(actor, Action.ACCOUNT_ADMINISTER, AccountFacts(account))
        found = self.db.account(account)
        if found.deleted_at is None:
            self._keep_one(account)
            self._empty(found)

    def restore(self, actor: Actor, account: int) -> Account:
        """Have an account that was deleted be one again; what was removed stays removed (platform.md A08)."""
        self.site.policy.require(actor, Action.ACCOUNT_ADMINISTER, AccountFacts(account))
        return self.db.change_account(account, deleted_at=None, is_active=True)

    def _empty(self, account: Account) -> None:
        settings, now = self.site.settings, self.site.now()
        owned = self.db.owned_by(account.id)
        digest = digest_of(account.email) if account.email else None
        self.db.empty_account(account.id, at=now, digest=digest, until=now + timedelta(days=settings.forget_days))
        told = letters.deleted_for_administrators(settings, account, account.username, owned)
        self.site.mail.put([each.email for each in self._superusers()], told.subject, told.body)
        farewell = letters.deleted(settings, account.username)
        self.site.mail.put([account.email], farewell.subject, farewell.body)

    def purge(self) -> int:
        """Remove accounts whose address nobody has confirmed in time, forget addresses; scheduled (platform.md A09)."""
        now = self.site.now()
        self.db.purge_forgotten(now)
        return self.db.purge_unactivated(now - timedelta(days=self.site.settings.activation_days))


def _display_name(text: str) -> str:
    name = " ".join(text.split())
    if len(name) > 50 or not name.isprintable():
        raise Invalid({"display_name": "A display name has up to 50 characters that can be shown."})
    return name


def _checked(model: type[Any], before: Any, changes: Mapping[str, Any]) -> Any:
    """A record with some fields changed; what is wrong with them by field."""
    try:
        return model.model_validate({**before.model_dump(), **changes})
    except ValidationError as error:
        wrong: dict[str, list[str]] = {}
        for each in error.errors():
            wrong.setdefault(str(each["loc"][0]), []).append(str(each["msg"]).removeprefix("Value error, "))
        raise Invalid(wrong) from None
