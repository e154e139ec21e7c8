"""For those who run the site: accounts, and what is lifted on the front page."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from codabench.core.errors import Invalid
from codabench.core.people import Account
from codabench.core.text import parse_size
from codabench.site.actors import ANONYMOUS
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.identity import Somebody, site_of
from codabench.web.pages.common import TOLD, Filled, Sent, again, onward, question
from codabench.web.pages.lists import Words, organizers, tiles
from codabench.web.rendering import render
from codabench.web.routing import decides

router = APIRouter(prefix="/admin", include_in_schema=False)

FLAGS = ("is_staff", "is_superuser", "is_bot")
_MOST = 200
"""Accounts on one page; who looks for somebody searches."""

_ADMINISTERS = decides(Action.SITE_ADMINISTER)
_ACCOUNT = decides(Action.ACCOUNT_ADMINISTER)


def _administers(request: Request, actor: Somebody) -> None:
    site_of(request).policy.require(actor, Action.SITE_ADMINISTER)


@router.get("/", openapi_extra=_ADMINISTERS)
def overview(request: Request, actor: Somebody) -> HTMLResponse:
    """What there is to look after."""
    _administers(request, actor)
    announced = site_of(request).status.announcement(actor)
    values = {"form": Filled({"text": "", "announcement": announced}), **_looked_after(request, actor)}
    return render(request, "admin/overview.html", values)


@router.post("/announcement/", openapi_extra=_ADMINISTERS)
def announce(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Say something on the front page before anything else (platform.md A12)."""
    try:
        site_of(request).status.announce(actor, sent.text("announcement"))
    except Invalid as error:
        fields = {"text": "", **sent.texts("announcement")}
        return again(request, "admin/overview.html", fields, error, **_looked_after(request, actor))
    return onward(request, "/admin/", "The front page is changed.")


def _looked_after(request: Request, actor: Somebody) -> dict[str, Any]:
    site = site_of(request)
    return {"counters": site.competitions.counters(actor), "closed": site.status.maintenance(ANONYMOUS)}


# ---------------------------------------------------------------------- accounts
@router.get("/accounts/", openapi_extra=_ADMINISTERS)
def accounts(
    request: Request,
    actor: Somebody,
    search: Words = "",
    flag: Literal["", "is_staff", "is_superuser", "is_bot"] = "",
    deleted: bool = False,
) -> HTMLResponse:
    """Who there is (platform.md A02, A58)."""
    found = site_of(request).accounts.all(actor, text=search, flag=flag or None, deleted=deleted, limit=_MOST)
    form = Filled({"search": search, "flag": flag, "deleted": deleted})
    return render(request, "admin/accounts.html", {"accounts": found, "form": form, "most": _MOST})


@router.get("/accounts/add/", openapi_extra=_ADMINISTERS)
def add_form(request: Request, actor: Somebody) -> HTMLResponse:
    """The form of an account that may enter at once."""
    _administers(request, actor)
    return render(request, "admin/add.html", {"form": Filled(dict.fromkeys(("username", "email", *FLAGS), ""))})


@router.post("/accounts/add/", openapi_extra=_ADMINISTERS)
def add(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Make it, without a password: it is set by mail."""
    flags = {name: sent.ticked(name) for name in FLAGS}
    try:
        email = sent.text("email") or None
        made = site_of(request).accounts.add(actor, sent.text("username"), email=email, password=None, **flags)
    except TOLD as error:
        return again(request, "admin/add.html", {**sent.texts("username", "email"), **flags}, error)
    return onward(request, f"/admin/accounts/{made.id}/", f"The account {made.username} is made.")


@router.get("/accounts/{number}/", openapi_extra=_ADMINISTERS)
def account(request: Request, actor: Somebody, number: int) -> HTMLResponse:
    """One of them."""
    _administers(request, actor)
    found = site_of(request).accounts.get(actor, number)
    return render(request, "admin/account.html", _shown(request, actor, found))


def _shown(request: Request, actor: Somebody, found: Account) -> dict[str, Any]:
    quota = "" if found.quota is None else found.quota
    values = {"quota": quota, **{name: getattr(found, name) for name in FLAGS}}
    return {"account": found, "used": site_of(request).quota.usage(actor, found.id), "form": Filled(values)}


@router.post("/accounts/{number}/flags/", openapi_extra=_ACCOUNT)
def set_flags(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Say who is staff, superuser, robot (platform.md A01, A03)."""
    try:
        site_of(request).accounts.set_flags(actor, number, **{name: sent.ticked(name) for name in FLAGS})
    except TOLD as error:
        return onward(request, f"/admin/accounts/{number}/", error.message, "bad")
    return onward(request, f"/admin/accounts/{number}/", "It is changed.")


@router.post("/accounts/{number}/quota/", openapi_extra=_ACCOUNT)
def set_quota(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Say how much somebody may store (platform.md A04)."""
    accounts, said = site_of(request).accounts, sent.text("quota").strip()
    try:
        accounts.set_quota(actor, number, _size(said) if said else None)
    except TOLD as error:
        shown = _shown(request, actor, accounts.get(actor, number))
        fields = {**shown.pop("form").values, "quota": said}
        return again(request, "admin/account.html", fields, error, **shown)
    return onward(request, f"/admin/accounts/{number}/", "The quota is changed.")


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError:
        raise Invalid({"quota": "Write a size, such as 20 GiB."}) from None


@router.post("/accounts/{number}/ban/", openapi_extra=_ACCOUNT)
def ban(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Keep somebody out, or let them in again (platform.md A06)."""
    accounts = site_of(request).accounts
    try:
        changed = (accounts.ban if sent.ticked("banned") else accounts.unban)(actor, number)
    except TOLD as error:
        return onward(request, f"/admin/accounts/{number}/", error.message, "bad")
    said = "is banned" if changed.banned_at else "may enter again"
    return onward(request, f"/admin/accounts/{number}/", f"{changed.username} {said}.")


@router.get("/accounts/{number}/delete/", openapi_extra=_ACCOUNT)
def delete_form(request: Request, actor: Somebody, number: int) -> HTMLResponse:
    """Whether it shall go."""
    _administers(request, actor)
    found = site_of(request).accounts.get(actor, number)
    return question(
        request,
        f"Delete the account {found.username}?",
        "Everything personal is removed and cannot be brought back. Submissions and competitions stay, without a name.",
        button="Delete it for ever",
        back=f"/admin/accounts/{number}/",
    )


@router.post("/accounts/{number}/delete/", openapi_extra=_ACCOUNT)
def delete(request: Request, actor: Somebody, number: int) -> Response:
    """Delete it (platform.md A07)."""
    try:
        site_of(request).accounts.delete(actor, number)
    except TOLD as error:
        return onward(request, f"/admin/accounts/{number}/", error.message, "bad")
    return onward(request, "/admin/accounts/", "The account is deleted.")


@router.post("/accounts/{number}/restore/", openapi_extra=_ACCOUNT)
def restore(request: Request, actor: Somebody, number: int) -> Response:
    """Have it be an account again (platform.md A08)."""
    site_of(request).accounts.restore(actor, number)
    return onward(request, f"/admin/accounts/{number}/", "It is an account again, without what was removed.")


# ---------------------------------------------------------------------- competitions
@router.get("/competitions/", openapi_extra=_ADMINISTERS)
def competitions(request: Request, actor: Somebody, search: Words = "") -> HTMLResponse:
    """All of them (platform.md A57)."""
    _administers(request, actor)
    found = site_of(request).competitions.all(actor, text=search)[::-1][:_MOST]
    values = {"tiles": tiles(request, found, organizers(request, found)), "form": Filled({"search": search})}
    return render(request, "admin/competitions.html", values)


@router.post("/competitions/{number}/feature/", openapi_extra=decides(Action.COMPETITION_FEATURE))
def feature(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Lift one on the front page, or no more (platform.md A11)."""
    site = site_of(request)
    site.competitions.feature(actor, site.numbers.key(Kind.COMPETITION, number), sent.ticked("featured"))
    return onward(request, "/admin/competitions/", "The front page is changed.")
