"""What is written to people about their accounts. Plain text; every mail says why it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from codabench.core.people import Account
from codabench.core.text import plural
from codabench.site.settings import SiteSettings


class Letter(NamedTuple):
    """A mail in words."""

    subject: str
    body: str


def host_of(url: str) -> str:
    """The host in an address of the web."""
    return urlsplit(url).hostname or "localhost"


def activation(site: SiteSettings, account: Account, link: str) -> Letter:
    """Confirm the address."""
    return Letter(
        f"{site.title}: confirm your address",
        f"Somebody, we hope you, made the account {account.username} on {site.title} with this address.\n\n"
        f"Open this page to confirm it:\n\n    {link}\n\n"
        f"The link works once, within {_days(site.activation_days)}. If it was not you, do nothing: the account will "
        "be removed.\n",
    )


def known_already(site: SiteSettings, account: Account) -> Letter:
    """Somebody wanted to make a second account with an address."""
    return Letter(
        f"{site.title}: you have an account",
        f"Somebody wanted to make an account on {site.title} with this address, or to confirm it again. You have one "
        f"already; its name is {account.username}. Sign in here:\n\n    {site.url}/accounts/login/\n\n"
        f"If you do not know the password any more:\n\n    {site.url}/accounts/password_reset/\n\n"
        "If it was not you, do nothing.\n",
    )


def forgotten(site: SiteSettings) -> Letter:
    """The account of an address was deleted lately."""
    return Letter(
        f"{site.title}: no account was made",
        f"Somebody wanted to make an account on {site.title} with this address. The account that it had was deleted "
        f"less than {_days(site.forget_days)} ago; until then nobody can sign up with it again.\n\n"
        "If it was not you, do nothing.\n",
    )


def reset(site: SiteSettings, account: Account, link: str) -> Letter:
    """Set another password."""
    return Letter(
        f"{site.title}: set a new password",
        f"Somebody, we hope you, wants to set a new password for the account {account.username} on {site.title}.\n\n"
        f"Open this page to set it:\n\n    {link}\n\n"
        f"The link works once, within {_hours(site.link_hours)}. Setting a password ends all sessions and revokes all "
        "tokens. If it was not you, do nothing: the old password still works.\n",
    )


def deletion(site: SiteSettings, account: Account, link: str) -> Letter:
    """Confirm that an account is to be deleted."""
    return Letter(
        f"{site.title}: delete your account?",
        f"Somebody who knows your password asked to delete the account {account.username} on {site.title}.\n\n"
        f"Open this page to delete it:\n\n    {link}\n\n"
        f"The link works once, within {_hours(site.link_hours)}. Everything personal will be removed and cannot be "
        "brought back; submissions and competitions stay, without your name. If it was not you, set a new password.\n",
    )


def deleted(site: SiteSettings, name: str) -> Letter:
    """An account was deleted; to who had it."""
    return Letter(
        f"{site.title}: your account was deleted",
        f"The account {name} on {site.title} was deleted, and everything personal was removed. Nobody can sign up with "
        f"this address for {_days(site.forget_days)}.\n",
    )


def deleted_for_administrators(
    site: SiteSettings, account: Account, name: str, owned: Mapping[str, Sequence[str]]
) -> Letter:
    """An account was deleted; to those who look after the site, with what it owns."""
    lines = [f"The account {name} (number {account.id}) on {site.title} was deleted.", ""]
    for what, names in owned.items():
        lines.append(f"It owns {len(names)} {what}{':' if names else '.'}")
        lines += [f"    {each}" for each in names]
    return Letter(f"{site.title}: the account {name} was deleted", "\n".join(lines) + "\n")


def _days(days: float) -> str:
    return plural(round(days), "day") if days >= 1 else _hours(24 * days)


def _hours(hours: float) -> str:
    return plural(max(1, round(hours)), "hour")
