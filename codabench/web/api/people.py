"""People by the calls of Codabench: tokens, profiles, a search, the end of an account (platform.md 3.3, 3.10)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from codabench.core.errors import Invalid, NotSignedIn
from codabench.core.people import Account
from codabench.site.policy import Action
from codabench.web.api.common import Body, Number, Text, absolute, body, picture, takes, wire
from codabench.web.identity import Somebody, address_of, site_of
from codabench.web.routing import decides, open_to_all

router = APIRouter(prefix="/api", tags=["people"])

_PROFILE = (
    "first_name",
    "last_name",
    "location",
    "biography",
    "personal_url",
    "linkedin_url",
    "twitter_url",
    "github_url",
)
_MAILS = {
    "organizer_direct_message_notifications": "from_organizers",
    "allow_forum_notifications": "forum",
    "allow_organization_invite_emails": "organization_invites",
}


class SignIn(Body):
    """A name, or an address, and a password."""

    username: Text
    password: str


class Token(BaseModel):
    """To be sent as ``Authorization: Token …``."""

    token: str


class Found(BaseModel):
    """Somebody who was found."""

    id: int
    name: str
    username: str


class FoundPeople(BaseModel):
    """Up to five people."""

    results: list[Found]


class MyProfile(BaseModel):
    """Who one is."""

    id: int
    username: str
    name: str
    email: str | None
    github_info: None
    is_bot: bool
    is_staff: bool
    is_superuser: bool


class UserDetail(BaseModel):
    """What somebody says of themselves."""

    id: int
    username: str
    display_name: str
    first_name: str
    last_name: str
    job_title: str
    location: str
    biography: str
    personal_url: str
    linkedin_url: str
    twitter_url: str
    github_url: str
    photo: str | None
    email: str | None
    date_joined: str
    is_bot: bool


class ProfileChange(Body):
    """What is to change of a profile; ``title`` is the job, ``photo`` a text ``{"file_name": ..., "data": base64}``."""

    display_name: Text | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    title: Text | None = None
    job_title: Text | None = None
    location: Text | None = None
    biography: Text | None = None
    personal_url: Text | None = None
    linkedin_url: Text | None = None
    twitter_url: Text | None = None
    github_url: Text | None = None
    photo: Text | None = None
    organizer_direct_message_notifications: bool | None = None
    allow_forum_notifications: bool | None = None
    allow_organization_invite_emails: bool | None = None


class Leave(Body):
    """Whose account is to be deleted, as its holder writes it."""

    username: Text = ""
    password: str = ""


class Left(BaseModel):
    """Whether the mail was sent with which an account is deleted."""

    success: bool
    message: str


@router.post(
    "/api-token-auth/",
    openapi_extra=open_to_all("whoever has the password is let in", **takes(SignIn)),
)
def token(request: Request, given: Annotated[SignIn, body(SignIn)]) -> Token:
    """A token for a name and a password."""
    credentials = site_of(request).credentials
    return Token(token=credentials.exchange(given.username, given.password, address=address_of(request)))


@router.get("/user_lookup/", openapi_extra=decides(Action.ACCOUNT_SEARCH))
def user_lookup(request: Request, actor: Somebody, q: Annotated[Text, Query(max_length=200)] = "") -> FoundPeople:
    """People by a part of the name, or by the whole address; staff find them by a part of it, and read it."""
    found = site_of(request).accounts.find(actor, q)
    return FoundPeople(results=[Found(id=a.id, name=_name(a), username=a.username) for a in found])


def _name(account: Account) -> str:
    return f"{account.shown_name} ({account.email})" if account.email else account.shown_name


@router.get("/my_profile/", openapi_extra=decides(Action.ACCOUNT_READ))
def my_profile(request: Request, actor: Somebody) -> MyProfile:
    """Who one is."""
    me = site_of(request).accounts.get(actor, actor.account or 0)
    return MyProfile(
        id=me.id,
        username=me.username,
        name=me.shown_name,
        email=me.email,
        github_info=None,
        is_bot=me.is_bot,
        is_staff=me.is_staff,
        is_superuser=me.is_superuser,
    )


@router.get("/users/{id}/", openapi_extra=decides(Action.ACCOUNT_READ))
def user(request: Request, actor: Somebody, id: Number) -> UserDetail:
    """What somebody says of themselves; the address is for them, and for staff."""
    found = site_of(request).accounts.get(actor, id)
    said = found.profile
    return UserDetail(
        id=found.id,
        username=found.username,
        display_name=found.display_name,
        job_title=said.job_title,
        photo=absolute(request, f"/api/users/{id}/photo/") if said.photo else None,
        email=found.email,
        date_joined=wire(found.created_at),
        is_bot=found.is_bot,
        **{name: getattr(said, name) for name in _PROFILE},
    )


@router.get("/users/{id}/photo/", openapi_extra=decides(Action.ACCOUNT_READ), response_class=Response)
def photo(request: Request, actor: Somebody, id: Number) -> Response:
    """The picture of somebody, a PNG."""
    found = site_of(request).accounts.photo(actor, id)
    if found is None:
        return JSONResponse({"detail": "There is no picture."}, 404)
    return Response(found, media_type="image/png", headers={"cache-control": "private, max-age=300"})


@router.put("/users/{id}/", openapi_extra=decides(Action.ACCOUNT_EDIT, **takes(ProfileChange)))
@router.patch("/users/{id}/", openapi_extra=decides(Action.ACCOUNT_EDIT, **takes(ProfileChange)))
def edit_user(
    request: Request, actor: Somebody, id: Number, given: Annotated[ProfileChange, body(ProfileChange)]
) -> str:
    """Change a profile; what is not named stays. The answer is where it is shown."""
    accounts = site_of(request).accounts
    said: dict[str, Any] = given.model_dump(exclude_none=True)
    profile = {name: said[name] for name in _PROFILE if name in said}
    job = said.get("job_title", said.get("title"))
    if job is not None:
        profile["job_title"] = job
    mails = {ours: said[name] for name, ours in _MAILS.items() if name in said}
    found = accounts.edit(
        actor, id, display_name=given.display_name, profile=profile or None, notifications=mails or None
    )
    if given.photo is not None:
        accounts.set_photo(actor, id, picture("photo", given.photo))
    return f"/profiles/user/{found.username}/"


@router.delete("/delete_account/", openapi_extra=decides(Action.ACCOUNT_DELETE, **takes(Leave)), response_model=Left)
def delete_account(request: Request, actor: Somebody, given: Annotated[Leave, body(Leave)]) -> object:
    """Have a mail sent with which one's own account is deleted."""
    accounts, address = site_of(request).accounts, address_of(request)
    try:
        accounts.ask_deletion(actor, username=given.username, password=given.password, address=address)
    except (Invalid, NotSignedIn) as error:
        return JSONResponse({"success": False, "error": error.message}, 400)
    return Left(success=True, message="A mail was sent. Open the link in it to delete the account.")
