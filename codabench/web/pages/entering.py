"""Signing up, in and out, and the pages that links in mails open.

A page behind a link only looks; what the link is for happens when its button is pressed, because programs open links.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from codabench.core.errors import NotSignedIn
from codabench.core.people import CredentialKind
from codabench.site.policy import Action
from codabench.web.identity import Somebody, Who, address_of, drop_session, session_of, set_session, site_of
from codabench.web.pages.common import TOLD, Filled, Sent, again, onward, question
from codabench.web.rendering import render
from codabench.web.routing import decides, open_to_all
from codabench.web.security import inside

router = APIRouter(prefix="/accounts", include_in_schema=False)

Secret = Annotated[str, Path(pattern="^[0-9a-f]{40}$")]

_BY_LINK = open_to_all("who has the link reads the mails of the account")
_NOBODY = open_to_all("nobody is signed in yet")

_NEW = ("username", "email")


# ---------------------------------------------------------------------- signing up
@router.get("/signup/", openapi_extra=decides(Action.ACCOUNT_CREATE))
def sign_up_form(request: Request, actor: Who) -> Response:
    """The form of a new account."""
    if actor.account is not None:
        return onward(request, "/")
    return render(request, "accounts/sign_up.html", {"form": Filled(dict.fromkeys((*_NEW, "terms"), ""))})


@router.post("/signup/", openapi_extra=decides(Action.ACCOUNT_CREATE))
def sign_up(request: Request, actor: Who, sent: Sent) -> Response:
    """Make an account that waits for its address to be confirmed (platform.md V15)."""
    try:
        site_of(request).accounts.sign_up(
            actor,
            username=sent.text("username"),
            email=sent.text("email"),
            password=sent.text("password"),
            repeated=sent.text("repeated"),
            terms=sent.ticked("terms"),
            address=address_of(request),
        )
    except TOLD as error:
        fields = {**sent.texts(*_NEW), "terms": sent.ticked("terms"), "password": "", "repeated": ""}
        return again(request, "accounts/sign_up.html", fields, error)
    return onward(
        request,
        "/accounts/login/",
        "A mail was sent to the address you gave. Open its link to confirm it, then log in.",
    )


@router.get("/resend_activation/", openapi_extra=_NOBODY)
def activation_form(request: Request, actor: Who) -> HTMLResponse:
    """Ask for the mail that confirms an address once more."""
    return render(request, "accounts/resend.html", {"form": Filled({"email": ""})})


@router.post("/resend_activation/", openapi_extra=_NOBODY)
def resend_activation(request: Request, actor: Who, sent: Sent) -> Response:
    """Send it; whether there is such an account is not said."""
    try:
        site_of(request).accounts.send_activation(sent.text("email"), address=address_of(request))
    except TOLD as error:
        return again(request, "accounts/resend.html", sent.texts("email"), error)
    return onward(
        request, "/accounts/login/", "If an account waits for this address to be confirmed, a mail was sent to it."
    )


@router.get("/activation/{secret}/", openapi_extra=_BY_LINK)
def activation(request: Request, actor: Who, secret: Secret) -> HTMLResponse:
    """Whose address would be confirmed."""
    account = site_of(request).credentials.look_at_link(secret, CredentialKind.ACTIVATION)
    return question(
        request,
        "Confirm your address",
        f"This is the address of the account {account.username if account else ''}.",
        button="Confirm it",
        look="",
        back="/",
    )


@router.post("/activation/{secret}/", openapi_extra=_BY_LINK)
def activate(request: Request, actor: Who, secret: Secret) -> Response:
    """Confirm it (platform.md V16)."""
    account = site_of(request).accounts.activate(secret)
    return onward(request, "/accounts/login/", f"The address is confirmed. Log in as {account.username}.")


# ---------------------------------------------------------------------- signing in and out
@router.get("/login/", openapi_extra=_NOBODY)
def sign_in_form(request: Request, actor: Who, next: str = "") -> Response:  # noqa: A002 - the word that clients use
    """Name or address, and password."""
    if actor.account is not None:
        return onward(request, inside(next))
    return render(request, "accounts/sign_in.html", {"form": Filled({"username": "", "next": next})})


@router.post("/login/", openapi_extra=_NOBODY)
def sign_in(request: Request, actor: Who, sent: Sent) -> Response:
    """Begin a session (platform.md V17)."""
    return _entered(request, sent.text("username"), sent.text("password"), sent.text("next"))


def _entered(request: Request, word: str, password: str, then: str) -> Response:
    try:
        secret = site_of(request).credentials.sign_in(
            word, password, address=address_of(request), replaces=session_of(request)
        )
    except (*TOLD, NotSignedIn) as error:
        return again(request, "accounts/sign_in.html", {"username": word, "next": then, "password": ""}, error)
    answer = onward(request, inside(then))
    set_session(request, answer, secret)
    return answer


@router.post("/logout/", openapi_extra=open_to_all("everybody may end their own session"))
def sign_out(request: Request, actor: Who) -> Response:
    """End the session (platform.md P47)."""
    if (secret := session_of(request)) is not None:
        site_of(request).credentials.sign_out(secret)
    answer = onward(request, "/", "You are logged out.")
    drop_session(request, answer)
    return answer


# ---------------------------------------------------------------------- a forgotten password
@router.get("/password_reset/", openapi_extra=_NOBODY)
def reset_form(request: Request, actor: Who) -> HTMLResponse:
    """Ask for a link with which a new password is set."""
    return render(request, "accounts/reset.html", {"form": Filled({"email": ""})})


@router.post("/password_reset/", openapi_extra=_NOBODY)
def send_reset(request: Request, actor: Who, sent: Sent) -> Response:
    """Send it; whether there is such an account is not said (platform.md V18)."""
    try:
        site_of(request).accounts.send_reset(sent.text("email"), address=address_of(request))
    except TOLD as error:
        return again(request, "accounts/reset.html", sent.texts("email"), error)
    return onward(request, "/accounts/password_reset/done/")


@router.get("/password_reset/done/", openapi_extra=_NOBODY)
def reset_sent(request: Request, actor: Who) -> HTMLResponse:
    """What to do now."""
    return render(request, "accounts/reset_sent.html")


@router.get("/reset/{secret}/", openapi_extra=_BY_LINK)
def new_password_form(request: Request, actor: Who, secret: Secret) -> HTMLResponse:
    """The form of a new password."""
    account = site_of(request).credentials.look_at_link(secret, CredentialKind.RESET)
    return render(request, "accounts/new_password.html", {"account": account, "form": Filled()})


@router.post("/reset/{secret}/", openapi_extra=_BY_LINK)
def new_password(request: Request, actor: Who, secret: Secret, sent: Sent) -> Response:
    """Set it. All sessions and tokens of the account count no more."""
    site = site_of(request)
    account = site.credentials.look_at_link(secret, CredentialKind.RESET)
    try:
        site.accounts.reset_password(secret, sent.text("password"), sent.text("repeated"))
    except TOLD as error:
        fields = {"password": "", "repeated": ""}
        return again(request, "accounts/new_password.html", fields, error, account=account)
    answer = onward(request, "/accounts/login/", "The password is set. Log in with it.")
    drop_session(request, answer)
    return answer


# ---------------------------------------------------------------------- the end of an account, and the first one
@router.get("/delete/", openapi_extra=decides(Action.ACCOUNT_DELETE))
def deletion_form(request: Request, actor: Somebody) -> HTMLResponse:
    """What is lost with an account."""
    return render(request, "accounts/delete.html", {"form": Filled({"username": ""})})


@router.post("/delete/", openapi_extra=decides(Action.ACCOUNT_DELETE))
def ask_deletion(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Have the link sent (platform.md P38)."""
    try:
        site_of(request).accounts.ask_deletion(
            actor, username=sent.text("username"), password=sent.text("password"), address=address_of(request)
        )
    except TOLD as error:
        return again(request, "accounts/delete.html", {**sent.texts("username"), "password": ""}, error)
    return onward(request, "/accounts/settings/", "A mail was sent to you. Its link deletes the account.", "busy")


@router.get("/deletion/{secret}/", openapi_extra=_BY_LINK)
def deletion(request: Request, actor: Who, secret: Secret) -> HTMLResponse:
    """Whose account would be deleted."""
    account = site_of(request).credentials.look_at_link(secret, CredentialKind.DELETION)
    return question(
        request,
        f"Delete the account {account.username if account else ''}?",
        "Everything personal is removed and cannot be brought back. Submissions and competitions stay, without a name.",
        button="Delete it for ever",
        back="/",
    )


@router.post("/deletion/{secret}/", openapi_extra=_BY_LINK)
def delete(request: Request, actor: Who, secret: Secret) -> Response:
    """Delete it."""
    site_of(request).accounts.confirm_deletion(secret)
    answer = onward(request, "/", "The account is deleted.")
    drop_session(request, answer)
    return answer


@router.get("/first/{secret}/", openapi_extra=open_to_all("the link was printed on the host"))
def first_form(request: Request, actor: Who, secret: Secret) -> HTMLResponse:
    """The form of the first administrator."""
    site_of(request).credentials.look_at_link(secret, CredentialKind.FIRST)
    return render(request, "accounts/first.html", {"form": Filled(dict.fromkeys(_NEW, ""))})


@router.post("/first/{secret}/", openapi_extra=open_to_all("the link was printed on the host"))
def first(request: Request, actor: Who, secret: Secret, sent: Sent) -> Response:
    """Make the first administrator, who is signed in."""
    try:
        site_of(request).accounts.claim(
            secret,
            username=sent.text("username"),
            email=sent.text("email"),
            password=sent.text("password"),
            repeated=sent.text("repeated"),
        )
    except TOLD as error:
        fields = {**sent.texts(*_NEW), "password": "", "repeated": ""}
        return again(request, "accounts/first.html", fields, error)
    return _entered(request, sent.text("username"), sent.text("password"), "/admin/")
