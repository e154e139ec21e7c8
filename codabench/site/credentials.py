"""What people show to be let in: passwords, sessions, tokens, links that work once.

The database has the SHA-256 of each, so that a copy of it lets nobody in. Who guesses waits
(`codabench.site.throttle`); whether there is an account is told neither by an answer nor by how long it takes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from codabench.core.errors import Banned, Invalid, NotFound, NotSignedIn, Refused
from codabench.core.people import Account, Credential, CredentialKind, Scope
from codabench.core.text import storable
from codabench.site.actors import Actor
from codabench.site.facts import AccountFacts
from codabench.site.part import Part
from codabench.site.passwords import Passwords
from codabench.site.policy import Action
from codabench.site.throttle import Limit, Throttle, machine

if TYPE_CHECKING:
    from codabench.site.site import Site

WRONG = "Unable to log in with provided credentials."
UNKNOWN = "Invalid token."
ENTERED = (CredentialKind.SESSION, CredentialKind.TOKEN)

_TOUCH = timedelta(hours=1)
"""That a session was shown is noted so often, and not at each request."""
_TOKENS = 50
"""Of those made with a password an account has so many; an older one goes with the next."""
_BY_PASSWORD = "made with the password"  # noqa: S105 - a name


class Credentials(Part):
    """Lets people in, and makes what they show."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.passwords, self.throttle = Passwords(site.settings.password_memory), Throttle()

    # ------------------------------------------------------------------ entering
    def check(self, word: str, password: str, *, address: str) -> Account:
        """The account whose name or address, and whose password, that is.

        Parameters
        ----------
        address
            Of the machine that asks.

        Raises
        ------
        Invalid
            ``CB808``: there is no such account, or that is not its password; which of both is not said.
        TooMany
            ``CB804``: it was tried too often.
        NotSignedIn
            ``CB807``: the password is right, and the address was never confirmed.
        Banned
            ``CB803``: the password is right, and the account is banned.
        """
        word, address = _plain(word), machine(address)
        pair = Limit(("pair", word, address), free=5, longest=900)
        others = (Limit(("address", address), free=30, longest=60), Limit(("name", word), free=100, longest=5))
        self.throttle.enter(self.site.now(), pair, *others)
        account, kept = self.db.password_of(word)
        right = self.passwords.matches(kept, password)
        if account is None or kept is None or not right:
            raise Invalid({"": WRONG}, code="CB808")
        self.throttle.clear(pair)
        self.throttle.forgive(*others)
        _admit(account)
        if self.passwords.is_old(kept):
            self.db.set_password(account.id, self.passwords.hash(password), revoke=False)
        return account

    def sign_in(self, word: str, password: str, *, address: str, replaces: str | None = None) -> str:
        """Begin a session; returns its secret, which is new whatever the browser had.

        Parameters
        ----------
        replaces
            The secret of the session until now: it counts no more.

        Raises
        ------
        Refused
            ``CB806``: nobody signs in with a password here. And what `check` raises.
        """
        if not self.site.settings.sign_in:
            raise Refused("nobody signs in with a password here", code="CB806")
        account = self.check(word, password, address=address)
        if replaces is not None:
            self.sign_out(replaces)
        return self._make(CredentialKind.SESSION, account.id, days=self.site.settings.session_days)

    def exchange(self, word: str, password: str, *, address: str) -> str:
        """A token for a name and a password, as robots ask for it; see `check` for what is raised."""
        account = self.check(word, password, address=address)
        days = self.site.settings.token_days
        made = [c for c in self.db.credentials_of(account.id, CredentialKind.TOKEN) if c.name == _BY_PASSWORD]
        for old in made[: max(0, len(made) + 1 - _TOKENS)]:
            self.db.drop_credentials(digest=old.digest)
        return self._make(CredentialKind.TOKEN, account.id, days=days, name=_BY_PASSWORD)

    def actor(self, secret: str, kinds: Collection[CredentialKind] = ENTERED) -> Actor:
        """Who shows a session or a token, as the account is at this moment.

        Raises
        ------
        NotSignedIn
            ``CB801``: unknown, expired, revoked. ``CB807``: the account is not active, or was deleted.
        Banned
            ``CB803``.
        """
        now = self.site.now()
        found = self.db.holder(digest_of(secret), kinds, now)
        shown, account = found or (None, None)
        if shown is None or account is None:
            raise NotSignedIn(UNKNOWN)
        _admit(account)
        if now - (shown.used_at or shown.created_at) > _TOUCH:
            kept_on = now + timedelta(days=self.site.settings.session_days)
            until = kept_on if shown.kind is CredentialKind.SESSION else shown.expires_at
            self.db.touch_credential(shown.digest, used_at=now, expires_at=until)
        return actor_of(account, shown.scope)

    def sign_out(self, secret: str) -> None:
        """End a session; nobody enters with it again."""
        self.db.drop_credentials(digest=digest_of(secret), kinds=[CredentialKind.SESSION])

    # ------------------------------------------------------------------ what somebody has
    def make_token(
        self, actor: Actor, account: int, *, name: str, scope: Scope = "write", days: float | None = None
    ) -> str:
        """A token of 40 hexadecimal digits; it is told once and never again.

        Parameters
        ----------
        name
            What it is for.
        scope
            ``read``: nothing can be changed with it.
        days
            How long it is good for; None: as the site says.

        Raises
        ------
        Invalid
            ``CB802``: no such name, or so many days.
        """
        self.site.policy.require(actor, Action.ACCOUNT_CREDENTIALS, AccountFacts(account))
        _admit(self.db.account(account))
        days = self.site.settings.token_days if days is None else days
        if not (name := " ".join(name.split())) or len(name) > 100 or not name.isprintable():
            raise Invalid({"name": "Give it a name of up to 100 characters."})
        if not 0 < days <= 3660:
            raise Invalid({"days": "A token is good for up to ten years."})
        return self._make(CredentialKind.TOKEN, account, days=days, name=name, scope=scope)

    def held(self, actor: Actor, account: int) -> list[Credential]:
        """The sessions and tokens of an account that still count, oldest first."""
        self.site.policy.require(actor, Action.ACCOUNT_CREDENTIALS, AccountFacts(account))
        now = self.site.now()
        found = [each for kind in ENTERED for each in self.db.credentials_of(account, kind)]
        return [each for each in found if each.expires_at is None or each.expires_at > now]

    def revoke(self, actor: Actor, account: int, id: str | None = None) -> int:
        """Have sessions and tokens count no more: the one of that id, or all; returns how many there were.

        Raises
        ------
        NotFound
            None has that id.
        """
        found = self.held(actor, account)
        wanted = [each for each in found if id in (None, each.id)]
        if id is not None and not wanted:
            raise NotFound(f"account {account} has no session or token {id!r}")
        return sum(self.db.drop_credentials(digest=each.digest) for each in wanted)

    # ------------------------------------------------------------------ links; for the other parts
    def make_link(self, kind: CredentialKind, account: int | None) -> str:
        """The URL of a page where one thing can be done once."""
        settings = self.site.settings
        days = settings.activation_days if kind is CredentialKind.ACTIVATION else settings.link_hours / 24
        return link_to(settings.url, kind, self._make(kind, account, days=days))

    def look_at_link(self, secret: str, kind: CredentialKind) -> Account | None:
        """Whose link that is, which is not used by looking; None: that of the first administrator.

        Raises
        ------
        Refused
            ``CB805``: it was used, its time is over, or there is none.
        """
        found = self.db.holder(digest_of(secret), [kind], self.site.now())
        if found is None or (found[1] is not None and found[1].deleted_at is not None):
            _spent()
        return found[1]

    def use_link(self, secret: str, kind: CredentialKind) -> Account | None:
        """Use a link, as the only one of all who try; else as `look_at_link`."""
        account = self.look_at_link(secret, kind)
        if not self.db.use_link(digest_of(secret), kind, self.site.now()):
            _spent()
        return account

    def purge(self) -> int:
        """Remove what is worth nothing any more; scheduled."""
        return self.db.purge_credentials(self.site.now())

    def _make(
        self, kind: CredentialKind, account: int | None, *, days: float, name: str = "", scope: Scope = "write"
    ) -> str:
        now, secret = self.site.now(), secrets.token_hex(20)
        made = Credential(
            digest=digest_of(secret),
            kind=kind,
            account=account,
            name=name,
            scope=scope,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        self.db.add_credential(made)
        return secret


def actor_of(account: Account, scope: Scope = "write") -> Actor:
    """An account as one who asks."""
    return Actor(account.id, account.username, account.is_staff, account.is_superuser, account.is_bot, scope)


def link_to(base: str, kind: CredentialKind, secret: str) -> str:
    """Where a link leads: a page that asks before it does anything, because programs open links of mails."""
    return f"{base}/accounts/{kind.value}/{secret}/"


def digest_of(secret: str) -> str:
    """What is kept of a secret. It is random, so a fast hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _admit(account: Account) -> None:
    if account.banned_at is not None:
        raise Banned("You are banned from using this site.")
    if not account.may_enter:
        hint = "open the link in the mail that came when the account was made, or have it sent again"
        raise NotSignedIn("User inactive or deleted.", code="CB807", hint=hint)


def _spent() -> NoReturn:
    hint = "links are good once, and not for ever: ask for another one"
    raise Refused("This link does not work any more.", code="CB805", hint=hint)


def _plain(word: str) -> str:
    """A name or an address as it is kept: nothing in it that a database would choke on."""
    return storable(word.strip().lower()[:254])
