"""``codabench user``: the accounts of a site, for whoever runs its host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.deciding import ask
from codabench.cli.output import handled, print_json, say, tell
from codabench.cli.sites import site_at
from codabench.cli.workspaces import DB, JSON, WORKSPACE

if TYPE_CHECKING:
    from codabench.core.people import Account
    from codabench.site.site import Site

NAME = typer.Argument(metavar="NAME", help="The name of the account, or its number.")
OFF = typer.Option(False, "--off", help="The other way round.")
URL = typer.Option(None, "--url", metavar="URL", help="Where people reach the site; default: http://127.0.0.1:8000.")

user = typer.Typer(name="user", help="The accounts of a site.")


@user.command()
@handled
def add(
    username: str = typer.Argument(metavar="NAME", help="5 to 15 characters of a-z, 0-9, _ and -."),
    email: str = typer.Option(None, "--email", help="Where links are sent to."),
    superuser: bool = typer.Option(False, "--superuser", help="May do everything."),
    staff: bool = typer.Option(False, "--staff", help="Sees more than others."),
    bot: bool = typer.Option(False, "--bot", help="A robot."),
    password: bool = typer.Option(False, "--password-stdin", help="Read a password from standard input."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Make an account that may enter at once. Without a password: `codabench user link NAME` lets its owner set one."""
    from codabench.site.actors import OPERATOR

    given = sys.stdin.readline().rstrip("\r\n") if password else None
    with site_at(workspace, db, new=True) as site:
        flags = {"is_superuser": superuser, "is_staff": staff or superuser, "is_bot": bot}
        _tell(site.accounts.add(OPERATOR, username, email=email, password=given, **flags), as_json, "made")


@user.command("list")
@handled
def list_(
    flag: str = typer.Option(None, "--flag", metavar="WORD", help="Only: staff, superuser, bot."),
    deleted: bool = typer.Option(False, "--deleted", help="Also those that were deleted."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """List accounts, oldest first."""
    from codabench.cli.tables import table
    from codabench.core.errors import UsageError
    from codabench.site.actors import OPERATOR

    if flag not in (None, "staff", "superuser", "bot"):
        raise UsageError(f"no flag {flag!r}", code="CB353", hint="staff, superuser or bot")
    with site_at(workspace, db) as site:
        found = site.accounts.all(OPERATOR, flag=flag and f"is_{flag}", deleted=deleted)
    if as_json:
        print_json({"ok": True, "accounts": [_document(each) for each in found]})
    elif found:
        heads = ("number", "name", "address", "shown as", "is", "since")
        rows = [(a.id, a.username, a.email, a.display_name, _is(a), f"{a.created_at:%Y-%m-%d}") for a in found]
        say(table(heads, rows, right="number", elastic="address,shown as"))
    else:
        tell("no accounts")


@user.command()
@handled
def show(username: str = NAME, workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON) -> None:
    """Show an account: what it is, what it owns, what it is entered with."""
    from codabench.core.text import human_size, plural, printable
    from codabench.site.actors import OPERATOR

    with site_at(workspace, db) as site:
        found = _account(site, username)
        owned, held = site.db.owned_by(found.id), site.credentials.held(OPERATOR, found.id)
        quota = site.settings.quota if found.quota is None else found.quota
    if as_json:
        entered = [{"id": c.id, **c.model_dump(mode="json", exclude={"digest", "account"})} for c in held]
        print_json({"ok": True, **_document(found), "owns": owned, "credentials": entered})
        return
    say(f"{found.username}  (number {found.id}, {_is(found)})")
    say(f"  address   {found.email or '-'}")
    say(f"  shown as  {printable(found.shown_name)}")
    say(f"  quota     {human_size(quota)}{'' if found.quota is None else ' (its own)'}")
    for what, names in owned.items():
        say(f"  {what:<9} {', '.join(map(printable, names)) or '-'}")
    for each in held:
        until = f"until {each.expires_at:%Y-%m-%d}" if each.expires_at else "for ever"
        say(f"  {each.kind.value:<9} {each.id}  {each.scope}  {until}  {printable(each.name)}")
    tell(plural(len(held), "session or token"))


@user.command()
@handled
def staff(
    username: str = NAME, off: bool = OFF, workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON
) -> None:
    """Have somebody be staff, who sees more than others."""
    _flag(workspace, db, username, as_json, is_staff=not off)


@user.command()
@handled
def superuser(
    username: str = NAME, off: bool = OFF, workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON
) -> None:
    """Have somebody be superuser, who may do everything."""
    _flag(workspace, db, username, as_json, is_superuser=not off)


@user.command()
@handled
def bot(
    username: str = NAME, off: bool = OFF, workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON
) -> None:
    """Have an account be a robot, for which competitions that allow robots have no limits."""
    _flag(workspace, db, username, as_json, is_bot=not off)


@user.command()
@handled
def quota(
    username: str = NAME,
    size: str = typer.Argument(metavar="SIZE", help="50 GiB; none: what the site gives everybody."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Say how much an account may store."""
    from codabench.core.errors import UsageError
    from codabench.core.text import parse_size
    from codabench.site.actors import OPERATOR

    try:
        many = None if size == "none" else parse_size(size)
    except ValueError as error:
        raise UsageError(str(error), code="CB353") from None
    with site_at(workspace, db) as site:
        account = site.accounts.set_quota(OPERATOR, _account(site, username).id, many)
        _tell(account, as_json, f"may store {size if many is not None else 'what everybody may'}")


@user.command()
@handled
def ban(
    username: str = NAME, off: bool = OFF, workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON
) -> None:
    """Keep somebody out, whatever they show. What is theirs stays."""
    from codabench.site.actors import OPERATOR

    with site_at(workspace, db) as site:
        change = site.accounts.unban if off else site.accounts.ban
        _tell(change(OPERATOR, _account(site, username).id), as_json, "may enter again" if off else "is banned")


@user.command()
@handled
def delete(
    username: str = NAME,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Delete an account: everything personal is removed, what it owns stays without a name."""
    from codabench.site.actors import OPERATOR

    with site_at(workspace, db) as site:
        account = _account(site, username)
        for what, names in site.db.owned_by(account.id).items():
            tell(f"{account.username} owns {len(names)} {what}")
        ask(yes=yes, as_json=as_json)
        site.accounts.delete(OPERATOR, account.id)
        _tell(site.db.account(account.id), as_json, "was deleted")


@user.command()
@handled
def restore(username: str = NAME, workspace: str | None = WORKSPACE, db: str | None = DB, as_json: bool = JSON) -> None:
    """Have an account that was deleted be one again. What was removed stays removed."""
    from codabench.site.actors import OPERATOR

    with site_at(workspace, db) as site:
        _tell(site.accounts.restore(OPERATOR, _account(site, username).id), as_json, "is an account again")


@user.command()
@handled
def token(
    username: str = NAME,
    name: str = typer.Option("made with codabench user token", "--name", help="What it is for."),
    read: bool = typer.Option(False, "--read", help="Nothing can be changed with it."),
    days: float = typer.Option(None, "--days", help="How long it is good for; default: 90."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Print a token of an account. It is shown once: whoever has it is taken for the account."""
    from codabench.site.actors import OPERATOR

    with site_at(workspace, db) as site:
        scope: Any = "read" if read else "write"
        id = _account(site, username).id
        made = site.credentials.make_token(OPERATOR, id, name=name, scope=scope, days=days)
    if as_json:
        print_json({"ok": True, "token": made, "scope": scope})
    else:
        say(made)


@user.command()
@handled
def link(
    username: str = typer.Argument(None, metavar="NAME", help="Nobody: for the first superuser of a site."),
    url: str = URL,
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Print a link that works once: to confirm the address of an account, or to set a new password."""
    from codabench.core.errors import UsageError
    from codabench.core.people import CredentialKind

    with site_at(workspace, db, site__url=url, new=username is None) as site:
        if username is None:
            made = site.accounts.first_link()
            if made is None:
                raise UsageError("this site has a superuser", hint="name an account")
        else:
            account = _account(site, username)
            kind = CredentialKind.RESET if account.is_active else CredentialKind.ACTIVATION
            made = site.credentials.make_link(kind, account.id)
    if as_json:
        print_json({"ok": True, "link": made})
    else:
        say(made)


# ---------------------------------------------------------------------- shared
def _account(site: Site, word: str) -> Account:
    from codabench.core.errors import NotFound

    found = site.db.account_named(word)
    if found is None and word.isdecimal():
        found = site.db.account(int(word))
    if found is None:
        raise NotFound(f"there is no account {word!r}", hint="codabench user list")
    return found


def _flag(workspace: str | None, db: str | None, username: str, as_json: bool, **flags: bool) -> None:
    from codabench.site.actors import OPERATOR

    with site_at(workspace, db) as site:
        account = site.accounts.set_flags(OPERATOR, _account(site, username).id, **flags)
        _tell(account, as_json, f"is now: {_is(account)}")


def _is(account: Account) -> str:
    flags = [word for word in ("superuser", "staff", "bot") if getattr(account, f"is_{word}")]
    states = {"banned": account.banned_at, "deleted": account.deleted_at, "not confirmed": not account.is_active}
    if account.deleted_at is not None:
        return "deleted"
    return ", ".join([*flags, *(word for word, holds in states.items() if holds)]) or "active"


def _document(account: Account) -> dict[str, Any]:
    return account.model_dump(mode="json")


def _tell(account: Account, as_json: bool, what: str) -> None:
    if as_json:
        print_json({"ok": True, **_document(account)})
    else:
        say(f"{account.username}: {what}")
