"""How an account begins, and how it is entered again by who forgot the password.

What links open needs nobody to be signed in: who has the link reads the mails of the account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from codabench.core.errors import Invalid, NotFound, Refused, UsageError
from codabench.core.people import Account, CredentialKind, MailKind
from codabench.site.actors import OPERATOR, Actor
from codabench.site.credentials import digest_of
from codabench.site.facts import AccountFacts
from codabench.site.part import Part
from codabench.site.passwords import weakness
from codabench.site.policy import Action
from codabench.site.throttle import Limit, machine

USERNAME = re.compile(r"[a-z0-9_-]{5,15}")
_EMAIL = re.compile(r"[^\s@*,:;<>()\[\]\\\"\x00-\x20\x7f]{1,64}@[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_FLAGS = frozenset(["is_staff", "is_superuser", "is_bot"])
REQUIRED = "This field is required."
DIFFER = "The two passwords differ."
TAKEN = "This name is taken."


class SigningUp(Part):
    """Makes accounts, confirms their addresses, sets their passwords."""

    # ------------------------------------------------------------------ beginning
    def sign_up(
        self,
        actor: Actor,
        *,
        username: str,
        email: str,
        password: str,
        repeated: str,
        terms: bool,
        address: str,
    ) -> None:
        """Make an account that waits for its address to be confirmed (platform.md V15).

        Nothing that is returned or raised says whether the e-mail address has an account: whoever reads its mails
        is told.

        Parameters
        ----------
        repeated
            The password once more.
        terms
            They were accepted.
        address
            Of the machine that asks.

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field.
        Refused
            ``CB806``: nobody signs up here by themselves.
        TooMany
            ``CB804``.
        """
        self.site.policy.require(actor, Action.ACCOUNT_CREATE)
        if not self.site.settings.sign_up:
            raise Refused("nobody signs up here by themselves", code="CB806", hint="ask those who run this site")
        email = email.strip().lower()
        wrong = self._wrong(username, email, password)
        if password != repeated:
            wrong["repeated"] = DIFFER
        if not terms:
            wrong["terms"] = "An account needs the terms to be accepted."
        if wrong:
            raise Invalid(wrong)
        if self.db.account_named(username) is not None:
            raise Invalid({"username": TAKEN})
        self._slow_down(email, address)
        # An address that is taken, or was forgotten lately, makes an account that nobody can confirm. It will go.
        free = self.db.account_at(email) is None and not self.db.is_forgotten(digest_of(email), self.site.now())
        hashed = self.site.credentials.passwords.hash(password)
        if self.db.add_account(username, email=email if free else None, password=hashed, at=self.site.now()) is None:
            raise Invalid({"username": TAKEN})
        self.site.mail.put_link(MailKind.ACTIVATION, email)

    def add(
        self,
        actor: Actor,
        username: str,
        *,
        email: str | None = None,
        password: str | None = None,
        **flags: bool,
    ) -> Account:
        """Make an account that may enter at once.

        Parameters
        ----------
        password
            None: it is entered with a token or after a link by mail only.
        flags
            ``is_staff``, ``is_superuser``, ``is_bot``.

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field.
        """
        self.site.policy.require(actor, Action.SITE_ADMINISTER)
        email = email.strip().lower() if email else None
        if wrong := self._wrong_or_taken(username, email, password):
            raise Invalid(wrong)
        hashed = None if password is None else self.site.credentials.passwords.hash(password)
        made = self.db.add_account(
            username, email=email, password=hashed, at=self.site.now(), is_active=True, **known_flags(flags)
        )
        if made is None:
            raise Invalid({"username": TAKEN})
        return made

    def _wrong_or_taken(self, username: str, email: str | None, password: str | None) -> dict[str, str]:
        wrong = self._wrong(username, email, password)
        if email and "email" not in wrong and self.db.account_at(email) is not None:
            wrong["email"] = "This address has an account."
        if "username" not in wrong and self.db.account_named(username) is not None:
            wrong["username"] = TAKEN
        return wrong

    def _wrong(self, username: str, email: str | None, password: str | None) -> dict[str, str]:
        wrong: dict[str, str] = {}
        if not USERNAME.fullmatch(username):
            wrong["username"] = "A name has 5 to 15 characters of a-z, 0-9, _ and -." if username else REQUIRED
        elif username.startswith("deleted-"):
            wrong["username"] = TAKEN
        if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email) or ".." in email):
            wrong["email"] = "Write an e-mail address, without *." if email else REQUIRED
        if password is not None and (weak := weakness(password, username, email)):
            wrong["password"] = weak if password else REQUIRED
        return wrong

    def activate(self, secret: str) -> Account:
        """Confirm the address of an account, with the link that was mailed to it.

        Raises
        ------
        Refused
            ``CB805``: the link does not work any more.
        """
        account = self._holder(secret, CredentialKind.ACTIVATION)
        return self.db.change_account(account.id, is_active=True)

    def send_activation(self, email: str, *, address: str) -> None:
        """Have the link that confirms an address sent again; says nothing of whether there is an account."""
        self._send_link(MailKind.ACTIVATION, email, address)

    # ------------------------------------------------------------------ passwords
    def send_reset(self, email: str, *, address: str) -> None:
        """Have a link sent with which a new password is set; says nothing of whether there is an account."""
        self._send_link(MailKind.RESET, email, address)

    def reset_password(self, secret: str, password: str, repeated: str) -> Account:
        """Set a new password with a link. Sessions, tokens and other links of the account count no more.

        Raises
        ------
        Invalid
            ``CB802``: it is no good password; the link still works.
        Refused
            ``CB805``: the link does not work any more.
        """
        account = self.site.credentials.look_at_link(secret, CredentialKind.RESET)
        wrong = self._wrong_password(account, password, repeated)
        if wrong:
            raise Invalid(wrong)
        account = self._holder(secret, CredentialKind.RESET)
        self.db.set_password(account.id, self.site.credentials.passwords.hash(password))
        return account

    def set_password(self, actor: Actor, account: int, password: str) -> None:
        """Set a password; for those who run the host. All sessions, tokens and links count no more."""
        self.site.policy.require(actor, Action.ACCOUNT_ADMINISTER, AccountFacts(account))
        wrong = self._wrong_password(self.db.account(account), password, password)
        if wrong:
            raise Invalid(wrong)
        self.db.set_password(account, self.site.credentials.passwords.hash(password))

    def _wrong_password(self, account: Account | None, password: str, repeated: str) -> dict[str, str]:
        weak = weakness(password, *((account.username, account.email) if account else ()))
        wrong = {"password": weak} if weak else {}
        return wrong if password == repeated else {**wrong, "repeated": DIFFER}

    # ------------------------------------------------------------------ the first administrator
    def first_link(self) -> str | None:
        """The page where the first superuser is made; None: there is one. A link of before works no more."""
        if self._superusers():
            return None
        self.db.drop_credentials(kinds=[CredentialKind.FIRST])
        return self.site.credentials.make_link(CredentialKind.FIRST, None)

    def claim(self, secret: str, *, username: str, email: str, password: str, repeated: str) -> Account:
        """Make the first superuser with the link that was printed when the site was started.

        Raises
        ------
        Refused
            ``CB805``: the link does not work any more, or there is a superuser.
        Invalid
            ``CB802``: with messages for each field; the link still works.
        """
        if self._superusers():
            raise Refused("this site has somebody who looks after it", code="CB805", hint="ask them")
        self.site.credentials.look_at_link(secret, CredentialKind.FIRST)
        wrong = self._wrong_or_taken(username, email.strip().lower(), password)
        if password != repeated:
            wrong["repeated"] = DIFFER
        if wrong:
            raise Invalid(wrong)
        self.site.credentials.use_link(secret, CredentialKind.FIRST)
        return self.add(OPERATOR, username, email=email, password=password, is_superuser=True, is_staff=True)

    def _superusers(self) -> list[Account]:
        return [each for each in self.db.accounts(flag="is_superuser") if each.may_enter]

    # ------------------------------------------------------------------ shared
    def _holder(self, secret: str, kind: CredentialKind) -> Account:
        account = self.site.credentials.use_link(secret, kind)
        if account is None:
            raise NotFound("this link belongs to no account")
        return account

    def _send_link(self, kind: MailKind, email: str, address: str) -> None:
        email = email.strip().lower()
        if wrong := self._wrong("nobody", email, None):
            raise Invalid(wrong)
        self._slow_down(email, address)
        self.site.mail.put_link(kind, email)

    def _slow_down(self, email: str, address: str) -> None:
        """Nobody has their mailbox filled, or fills many."""
        mailbox, sender = Limit(("mailbox", email), 3, 900), Limit(("mails", machine(address)), 20, 60)
        self.site.credentials.throttle.enter(self.site.now(), mailbox, sender)


def known_flags(flags: Mapping[str, bool]) -> dict[str, bool]:
    unknown = sorted(set(flags) - _FLAGS)
    if unknown:
        raise UsageError(f"no flag {', '.join(unknown)}; there are {', '.join(sorted(_FLAGS))}")
    return {name: bool(value) for name, value in flags.items()}
