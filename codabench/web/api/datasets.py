"""Data sets by the calls of Codabench: announced, uploaded, listed, shared, downloaded (platform.md 3.4, 3.7, 3.10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, RootModel
from starlette.responses import JSONResponse, RedirectResponse, Response

from codabench.core.competition import DataRole
from codabench.core.errors import Invalid
from codabench.core.hosting import Dataset
from codabench.db.resources import WantedDatasets
from codabench.site.actors import Actor
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.api.common import Body, Id, Listed, Number, Sized, Tens, Text, Twenties, body, listed, takes
from codabench.web.api.dataset_shapes import DatasetItem, Titled, Use, dataset_item
from codabench.web.api.numbered import related
from codabench.web.identity import Somebody, Who, site_of
from codabench.web.routing import decides

router = APIRouter(tags=["datasets"])

_REQUIRED = "This field is required."
_BUNDLES, _SUBMISSIONS = (DataRole.COMPETITION_BUNDLE,), (DataRole.SUBMISSION,)
_GROUPS = {
    "bundle": _BUNDLES,
    "submission": _SUBMISSIONS,
    "dataset": tuple(role for role in DataRole if role not in (*_BUNDLES, *_SUBMISSIONS)),
}


class New(Body):
    """An upload that is announced."""

    type: Text | None = None
    request_sassy_file_name: Text | None = None
    file_name: Text | None = None
    file_size: int | float | str | None = Field(None, description="bytes")
    name: Text | None = None
    description: Text = ""
    is_public: bool = False
    license: Text | None = None
    competition: Id | None = None


class Announced(BaseModel):
    """Where the bytes are sent to, with PUT, without anything that says who one is."""

    key: str
    sassy_url: str


class Completed(BaseModel):
    """An upload that is over; of a bundle, the number under which to ask how far it is."""

    key: str
    status_id: int | None = None


class Change(Body):
    """What is to change of a data set."""

    name: Text | None = None
    description: Text | None = None
    license: Text | None = None
    is_public: bool | None = None
    is_verified: bool | None = Field(None, description="for superusers")


class Ids(RootModel[list[Id]]):
    """Numbers."""


class Done(BaseModel):
    """It was done."""

    detail: str
    count: int


# ---------------------------------------------------------------------- uploads
@router.post(
    "/api/datasets/",
    status_code=201,
    openapi_extra=decides(Action.DATASET_CREATE, **takes(New)),
    response_model=Announced,
)
def create(request: Request, actor: Somebody, given: Annotated[New, body(New)]) -> object:
    """Announce an upload."""
    if given.file_size in (None, ""):
        return JSONResponse({"file_size": _REQUIRED}, 400)  # a text: clients read it so
    datasets = site_of(request).datasets
    competition = None
    if given.competition is not None:
        competition = related(site_of(request), Kind.COMPETITION, "competition", given.competition)
    try:
        made = datasets.create(
            actor,
            given.type,
            given.file_name or given.request_sassy_file_name,
            given.file_size,
            name=given.name or None,
            description=given.description,
            is_public=given.is_public,
            license=given.license or None,
            competition=competition,
        )
    except Invalid as error:
        # The name of the field that clients send.
        named = {"request_sassy_file_name" if n == "file_name" else n: texts for n, texts in error.fields.items()}
        raise Invalid(named, code=error.code, hint=error.hint) from None
    return Announced(key=made.key, sassy_url=datasets.upload_url(actor, made.key))


@router.put(
    "/api/datasets/completed/{key}/", openapi_extra=decides(Action.DATASET_EDIT), response_model_exclude_unset=True
)
def completed(request: Request, actor: Somebody, key: UUID) -> Completed:
    """Say that an upload is over; a bundle begins to become a competition."""
    found = site_of(request).datasets.completed(actor, str(key))
    return Completed(key=str(key)) if found.job is None else Completed(key=str(key), status_id=found.job.id)


# ---------------------------------------------------------------------- lists
@router.get("/api/datasets/", openapi_extra=decides(Action.DATASET_LIST), response_model=Listed[DatasetItem])
def datasets(
    request: Request,
    actor: Somebody,
    paging: Tens,
    role: Annotated[DataRole | None, Query(alias="type")] = None,
    group: Annotated[Literal["submission", "dataset", "bundle", ""], Query(alias="_type")] = "",
    name: Text = "",
    key: Text = "",
    search: Text = "",
    was_created_by_competition: bool | None = None,
    is_public: bool | None = None,
    or_public: Annotated[bool, Query(alias="_public")] = False,
) -> object:
    """One's own data sets, newest first; with ``_public`` also what others share."""
    roles = (role,) if role is not None else _GROUPS.get(group)
    wanted = WantedDatasets(
        or_public=or_public,
        types=roles,
        name=name or None,
        key=key or None,
        text=search or None,
        is_public=is_public,
        came_with_bundle=was_created_by_competition,
    )
    page = site_of(request).datasets.list(actor, wanted, page=paging.page, size=paging.size)
    return listed(request, _items(request, actor, page.items), page.total, paging)


@router.get("/api/datasets/public/", openapi_extra=decides(Action.DATASET_LIST), response_model=Sized[DatasetItem])
def public(
    request: Request,
    actor: Who,
    paging: Twenties,
    search: Text = "",
    ordering: Text = "",
    has_license: bool = False,
    is_verified: bool = False,
) -> object:
    """What anybody may have; in the order of ``recently_added``, or ``most_downloaded``."""
    page = site_of(request).datasets.public(
        actor,
        text=search,
        licensed=has_license,
        verified=is_verified,
        order="downloads" if "download" in ordering else "newest",
        page=paging.page,
        size=paging.size,
    )
    return listed(request, _items(request, actor, page.items), page.total, paging)


def _items(request: Request, actor: Actor, found: Sequence[Dataset]) -> list[DatasetItem]:
    site = site_of(request)
    people = site.accounts.called({each.owner for each in found})
    uses = site.datasets.used_by(actor, [each.key for each in found])
    known = {use.id: use.title for several in uses.values() for use in several}
    known |= site.competitions.titles(actor, {each.competition for each in found if each.competition} - set(known))
    numbers = site.numbers.many(Kind.COMPETITION, known)
    titled = {id: Titled(id=numbers[id], title=title) for id, title in known.items()}
    return [
        dataset_item(
            each,
            people[each.owner],
            competition=titled.get(each.competition or ""),
            in_use=[Use(pk=numbers[use.id], title=use.title) for use in uses.get(each.key, ())],
        )
        for each in found
    ]


# ---------------------------------------------------------------------- one
@router.get("/api/datasets/{id}/", openapi_extra=decides(Action.DATASET_READ))
def dataset(request: Request, actor: Who, id: Number) -> DatasetItem:
    """A data set."""
    return _items(request, actor, [site_of(request).datasets.get(actor, id)])[0]


@router.put("/api/datasets/{id}/", openapi_extra=decides(Action.DATASET_EDIT, Action.DATASET_VERIFY, **takes(Change)))
@router.patch("/api/datasets/{id}/", openapi_extra=decides(Action.DATASET_EDIT, Action.DATASET_VERIFY, **takes(Change)))
def edit(request: Request, actor: Somebody, id: Number, given: Annotated[Change, body(Change)]) -> DatasetItem:
    """Change what is said of a data set; what is not named stays."""
    part = site_of(request).datasets
    said: dict[str, Any] = given.model_dump(exclude_unset=True)
    verified = said.pop("is_verified", None)
    if verified is not None:
        changed = part.verify(actor, id, verified)
    if said or verified is None:
        said = {name: value for name, value in said.items() if value is not None or name == "license"}
        changed = part.edit(actor, id, said)
    return _items(request, actor, [changed])[0]


@router.delete(
    "/api/datasets/{id}/", status_code=204, openapi_extra=decides(Action.DATASET_DELETE), response_class=Response
)
def delete(request: Request, actor: Somebody, id: Number) -> Response:
    """Delete a data set that nothing needs."""
    site_of(request).datasets.delete(actor, id)
    return Response(status_code=204)


@router.post("/api/datasets/delete_many/", openapi_extra=decides(Action.DATASET_DELETE, **takes(Ids)))
def delete_many(request: Request, actor: Somebody, given: Annotated[Ids, body(Ids)]) -> Done:
    """Delete several: all of them, or none."""
    return Done(detail="Deleted.", count=site_of(request).datasets.delete_many(actor, given.root))


# ---------------------------------------------------------------------- downloads
@router.get(
    "/datasets/download/{key}/", openapi_extra=decides(Action.DATASET_DOWNLOAD), response_class=RedirectResponse
)
def download(request: Request, actor: Who, key: UUID) -> RedirectResponse:
    """The bytes of a data set, for those who may have them: a link that works by itself."""
    return RedirectResponse(site_of(request).datasets.download(actor, str(key)), 302)


@router.get(
    "/datasets/download/id/{id}/", openapi_extra=decides(Action.DATASET_DOWNLOAD), response_class=RedirectResponse
)
def download_numbered(request: Request, actor: Who, id: Number) -> RedirectResponse:
    """The same, by the number."""
    return RedirectResponse(site_of(request).datasets.download(actor, id), 302)
