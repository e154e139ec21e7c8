"""Profiles, and what somebody has to do with their own account: tokens, sessions, mails."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from codabench.core.errors import Invalid, NotFound
from codabench.core.people import Account, Credential, CredentialKind, Notifications, Profile
from codabench.site.credentials import digest_of
from codabench.site.policy import Action
from codabench.web.identity import Somebody, address_of, session_of, site_of
from codabench.web.pages.common import ANY_SIZE, TOLD, Entered, Filled, Sent, again, onward
from codabench.web.pages.lists import organizers, tiles
from codabench.web.rendering import render
from codabench.web.routing import decides

router = APIRouter(include_in_schema=False)

_SAID = tuple(name for name in Profile.model_fields if name != "photo")
_WISHES = tuple(Notifications.model_fields)
_PICTURE = 10 * 1024**2


def _me(actor: Somebody) -> int:
    assert actor.account is not None  # noqa: S101 - it is Somebody
    return actor.account


# ---------------------------------------------------------------------- profiles
@router.get("/profiles/user/{name}/", openapi_extra=decides(Action.ACCOUNT_READ))
def profile(request: Request, actor: Somebody, name: str) -> HTMLResponse:
    """What somebody says of themselves, and what they organize (platform.md P35)."""
    site = site_of(request)
    account = site.accounts.named(actor, name)
    found = site.competitions.organized_by(actor, account.id)
    return render(
        request,
        "profiles/profile.html",
        {"account": account, "tiles": tiles(request, found, organizers(request, found))},
    )


@router.get("/profiles/user/{name}/photo/", openapi_extra=decides(Action.ACCOUNT_READ))
def photo(request: Request, actor: Somebody, name: str) -> Response:
    """Their picture."""
    accounts = site_of(request).accounts
    found = accounts.photo(actor, accounts.named(actor, name).id)
    if found is None:
        raise NotFound("there is no picture")
    return Response(found, media_type="image/png", headers={"cache-control": "private, no-cache"})


@router.get("/profiles/user/{name}/edit/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def profile_form(request: Request, actor: Somebody, name: str) -> HTMLResponse:
    """The form of a profile."""
    account = _editable(request, actor, name)
    fields = {"display_name": account.display_name, **account.profile.model_dump(include=set(_SAID))}
    return render(request, "profiles/edit.html", {"account": account, "form": Filled(fields), "picture": Filled()})


@router.post("/profiles/user/{name}/edit/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def edit_profile(request: Request, actor: Somebody, name: str, sent: Sent) -> Response:
    """Change it (platform.md P33, P34)."""
    account = _editable(request, actor, name)
    said = sent.texts(*_SAID)
    try:
        site_of(request).accounts.edit(actor, account.id, display_name=sent.text("display_name"), profile=said)
    except TOLD as error:
        fields = sent.texts("display_name", *_SAID)
        return again(request, "profiles/edit.html", fields, error, account=account, picture=Filled())
    return onward(request, f"/profiles/user/{name}/", "The profile is changed.")


@router.post(
    "/profiles/user/{name}/edit/photo/upload/",
    openapi_extra=decides(Action.ACCOUNT_EDIT),
    max_body_size=ANY_SIZE,
)
def upload_photo(request: Request, _: Entered, actor: Somebody, name: str, sent: Sent) -> Response:
    """Show a picture."""
    account, file = _editable(request, actor, name), sent.file("photo")
    try:
        if file is None:
            raise Invalid({"photo": "Choose a picture."})
        site_of(request).accounts.set_photo(actor, account.id, file.file.read(_PICTURE + 1))
    except Invalid as error:
        fields = {"display_name": account.display_name, **account.profile.model_dump(include=set(_SAID))}
        wrong = Filled({"photo": ""}, error.fields)
        return render(
            request, "profiles/edit.html", {"account": account, "form": Filled(fields), "picture": wrong}, status=400
        )
    return onward(request, f"/profiles/user/{name}/", "The picture is changed.")


@router.post("/profiles/user/{name}/edit/photo/remove/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def remove_photo(request: Request, actor: Somebody, name: str) -> Response:
    """Show none."""
    site_of(request).accounts.set_photo(actor, _editable(request, actor, name).id, None)
    return onward(request, f"/profiles/user/{name}/edit/", "The picture is removed.")


@router.get("/profiles/user/{name}/notifications/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def wishes_form(request: Request, actor: Somebody, name: str) -> HTMLResponse:
    """Which mails somebody wants."""
    account = _editable(request, actor, name)
    form = Filled(account.notifications.model_dump())
    return render(request, "profiles/notifications.html", {"account": account, "form": form})


@router.post("/profiles/user/{name}/notifications/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def edit_wishes(request: Request, actor: Somebody, name: str, sent: Sent) -> Response:
    """Change that (platform.md P36)."""
    account = _editable(request, actor, name)
    site_of(request).accounts.edit(actor, account.id, notifications={each: sent.ticked(each) for each in _WISHES})
    return onward(request, f"/profiles/user/{name}/notifications/", "It is kept which mails you want.")


def _editable(request: Request, actor: Somebody, name: str) -> Account:
    """An account with all that is known of it, for who may change it."""
    accounts = site_of(request).accounts
    return accounts.edit(actor, accounts.named(actor, name).id)


# ---------------------------------------------------------------------- one's own account
@router.get("/accounts/settings/", openapi_extra=decides(Action.ACCOUNT_READ))
def settings(request: Request, actor: Somebody) -> HTMLResponse:
    """Name, address, password, and the end of it."""
    return render(request, "accounts/settings.html", {"account": site_of(request).accounts.get(actor, _me(actor))})


@router.post("/accounts/password/", openapi_extra=decides(Action.ACCOUNT_READ))
def change_password(request: Request, actor: Somebody) -> Response:
    """Have the link for a new password sent (platform.md P37)."""
    accounts = site_of(request).accounts
    email = accounts.get(actor, _me(actor)).email
    if email is None:
        return onward(
            request, "/accounts/settings/", "Your account has no address to which a link could be sent.", "bad"
        )
    accounts.send_reset(email, address=address_of(request))
    return onward(request, "/accounts/settings/", "A mail was sent to you. Its link sets a new password.", "busy")


@router.get("/accounts/tokens/", openapi_extra=decides(Action.ACCOUNT_CREDENTIALS))
def tokens(request: Request, actor: Somebody) -> HTMLResponse:
    """The tokens with which programs act for somebody."""
    return render(request, "accounts/tokens.html", _tokens(request, actor))


@router.post("/accounts/tokens/", openapi_extra=decides(Action.ACCOUNT_CREDENTIALS))
def make_token(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Make one; it is shown now and never again (platform.md P46)."""
    scope: Literal["read", "write"] = "write" if sent.text("scope") == "write" else "read"
    days = sent.text("days")
    try:
        if not (days.isascii() and days.isdigit() and len(days) < 6):
            raise Invalid({"days": "Write a number of days."})
        made = site_of(request).credentials.make_token(
            actor, _me(actor), name=sent.text("name"), scope=scope, days=int(days)
        )
    except TOLD as error:
        return again(
            request, "accounts/tokens.html", sent.texts("name", "scope", "days"), error, **_tokens(request, actor)
        )
    return render(request, "accounts/tokens.html", _tokens(request, actor) | {"made": made})


def _tokens(request: Request, actor: Somebody) -> dict[str, Any]:
    site = site_of(request)
    form = Filled({"name": "", "scope": "read", "days": round(site.settings.token_days)})
    return {"tokens": _held(request, actor, CredentialKind.TOKEN), "made": None, "form": form}


@router.get("/accounts/sessions/", openapi_extra=decides(Action.ACCOUNT_CREDENTIALS))
def sessions(request: Request, actor: Somebody) -> HTMLResponse:
    """The browsers that are logged in."""
    held = _held(request, actor, CredentialKind.SESSION)
    return render(request, "accounts/sessions.html", {"sessions": held, "this": _this(request)})


@router.post("/accounts/sessions/end/", openapi_extra=decides(Action.ACCOUNT_CREDENTIALS))
def end_others(request: Request, actor: Somebody) -> Response:
    """End all sessions but this one."""
    others = [each for each in _held(request, actor, CredentialKind.SESSION) if each.id != _this(request)]
    for each in others:
        site_of(request).credentials.revoke(actor, _me(actor), each.id)
    return onward(request, "/accounts/sessions/", f"{len(others)} ended.")


@router.post("/accounts/{kind}/{id}/revoke/", openapi_extra=decides(Action.ACCOUNT_CREDENTIALS))
def revoke(request: Request, actor: Somebody, kind: Literal["tokens", "sessions"], id: str) -> Response:
    """Have one count no more."""
    site_of(request).credentials.revoke(actor, _me(actor), id)
    return onward(request, f"/accounts/{kind}/", "It counts no more.")


def _held(request: Request, actor: Somebody, kind: CredentialKind) -> list[Credential]:
    held = site_of(request).credentials.held(actor, _me(actor))
    return [each for each in reversed(held) if each.kind is kind]


def _this(request: Request) -> str:
    """The id of the session that asks."""
    return digest_of(session_of(request) or "")[:16]
