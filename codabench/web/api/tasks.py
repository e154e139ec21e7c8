"""Tasks by the calls of Codabench: listed, made, changed, shared, uploaded (platform.md 3.6, 3.10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from codabench.core.errors import BundleError, Invalid, NotFound, NotSignedIn, Refused
from codabench.core.hosting import SharedTask
from codabench.db.shared_tasks import WantedTasks
from codabench.site.actors import Actor
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.site.site import Site
from codabench.web.api.common import Body, Id, Listed, Number, Tens, Text, body, listed, takes, wire
from codabench.web.api.dataset_shapes import Use
from codabench.web.api.datasets import Done, Ids
from codabench.web.identity import HEADER, Somebody, session_of, site_of
from codabench.web.routing import decides

router = APIRouter(tags=["tasks"])

_ANY = 2**62
_BESIDE = 64 * 1024
"""Bytes of a form that are not its file."""
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            }
        },
    }
}


class Solution(BaseModel):
    """A sample submission of a competition that gives it to the one who looks."""

    name: str
    key: str


class TaskItem(BaseModel):
    """A task in a list; ``value`` is its key once more."""

    id: int
    created_when: str
    created_by: str
    owner_display_name: str
    key: str
    name: str
    description: str
    solutions: list[Solution]
    ingestion_only_during_scoring: bool
    value: str
    is_public: bool
    is_used_in_competitions: bool


class Part(BaseModel):
    """What a task is made of."""

    id: int
    key: str
    name: str
    file_name: str
    file_size: int


class TaskDetail(TaskItem):
    """A task; its parts are named to those who may have them."""

    scoring_program: Part | None
    ingestion_program: Part | None
    input_data: Part | None
    reference_data: Part | None
    shared_with: list[int]
    competitions: list[Use]
    validated: bool


class Task(Body):
    """A task, or what is to change of one: its parts are keys of data sets, ``shared_with`` numbers of accounts."""

    name: Text | None = None
    description: Text | None = None
    scoring_program: Text | None = None
    ingestion_program: Text | None = None
    input_data: Text | None = None
    reference_data: Text | None = None
    ingestion_only_during_scoring: bool | None = None
    is_public: bool | None = None
    shared_with: list[Id] | None = None

    def in_words(self) -> dict[str, Any]:
        """What is said; a part that is empty is taken away, everything else that is empty is not said."""
        said = self.model_dump(exclude_unset=True)
        parts = ("ingestion_program", "input_data", "reference_data", "scoring_program")
        return {
            name: value or None if name in parts else value
            for name, value in said.items()
            if value is not None or name in parts
        }


class Uploaded(BaseModel):
    """What came of an archive."""

    message: str
    id: int
    key: str


# ---------------------------------------------------------------------- looking
@router.get("/api/tasks/", openapi_extra=decides(Action.TASK_LIST), response_model=Listed[TaskItem])
def tasks(request: Request, actor: Somebody, paging: Tens, search: Text = "", public: bool = False) -> object:
    """One's own tasks, and those that were shared with one; with ``public`` also public ones."""
    site = site_of(request)
    wanted = WantedTasks(or_public=public, text=search or None)
    page = site.tasks.list(actor, wanted, page=paging.page, size=paging.size)
    return listed(request, _items(site, actor, page.items), page.total, paging)


@router.get("/api/tasks/{id}/", openapi_extra=decides(Action.TASK_READ))
def task(request: Request, actor: Somebody, id: Number) -> TaskDetail:
    """A task."""
    site = site_of(request)
    return _detail(site, actor, site.tasks.get(actor, id))


def _items(site: Site, actor: Actor, found: Sequence[SharedTask]) -> list[TaskItem]:
    people = site.accounts.called({each.owner for each in found})
    uses = site.tasks.used_by(actor, [each.key for each in found])
    return [
        TaskItem(
            id=each.id,
            created_when=wire(each.created_at),
            created_by=people[each.owner].username,
            owner_display_name=people[each.owner].shown,
            key=each.key,
            name=each.name,
            description=each.description,
            solutions=[Solution(name=s.name, key=s.key) for s in site.tasks.solutions(actor, each.key)],
            ingestion_only_during_scoring=each.ingestion_only_during_scoring,
            value=each.key,
            is_public=each.is_public,
            is_used_in_competitions=bool(uses.get(each.key)),
        )
        for each in found
    ]


def _detail(site: Site, actor: Actor, found: SharedTask) -> TaskDetail:
    (item,) = _items(site, actor, [found])
    uses = site.tasks.used_by(actor, [found.key]).get(found.key, ())
    roles = ("scoring_program", "ingestion_program", "input_data", "reference_data")
    parts = {role: _part(site, actor, getattr(found, role)) for role in roles}
    competitions = [Use(pk=site.numbers.of(Kind.COMPETITION, use.id), title=use.title) for use in uses]
    return TaskDetail(
        **item.model_dump(),
        **parts,
        shared_with=sorted(found.shared_with) if actor.account == found.owner or actor.is_superuser else [],
        competitions=competitions,
        validated=False,
    )


def _part(site: Site, actor: Actor, key: str | None) -> Part | None:
    if key is None:
        return None
    try:
        found = site.datasets.get(actor, key)
    except (NotFound, NotSignedIn, Refused):
        return None
    return Part(id=found.id, key=key, name=found.name, file_name=found.file_name, file_size=found.size)


# ---------------------------------------------------------------------- making and changing
@router.post("/api/tasks/", status_code=201, openapi_extra=decides(Action.TASK_CREATE, **takes(Task)))
def create(request: Request, actor: Somebody, given: Annotated[Task, body(Task)]) -> TaskDetail:
    """Make a task of data sets."""
    site = site_of(request)
    return _detail(site, actor, site.tasks.create(actor, given.in_words()))


@router.put("/api/tasks/{id}/", openapi_extra=decides(Action.TASK_EDIT, **takes(Task)))
@router.patch("/api/tasks/{id}/", openapi_extra=decides(Action.TASK_EDIT, **takes(Task)))
def edit(request: Request, actor: Somebody, id: Number, given: Annotated[Task, body(Task)]) -> TaskDetail:
    """Change a task; what is not named stays."""
    site = site_of(request)
    return _detail(site, actor, site.tasks.edit(actor, id, given.in_words()))


@router.delete("/api/tasks/{id}/", status_code=204, openapi_extra=decides(Action.TASK_DELETE), response_class=Response)
def delete(request: Request, actor: Somebody, id: Number) -> Response:
    """Delete a task that no competition has."""
    site_of(request).tasks.delete(actor, id)
    return Response(status_code=204)


@router.post("/api/tasks/delete_many/", openapi_extra=decides(Action.TASK_DELETE, **takes(Ids)))
def delete_many(request: Request, actor: Somebody, given: Annotated[Ids, body(Ids)]) -> Done:
    """Delete several: all of them, or none."""
    return Done(detail="Deleted.", count=site_of(request).tasks.delete_many(actor, given.root))


# ---------------------------------------------------------------------- archives
def _fits(request: Request) -> None:
    """Nothing of a large form is read before it is known that there is room, and that a page of ours sent it."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or len(length) > 18:
        raise HTTPException(411, "Say how long it is.")
    if int(length) > site_of(request).settings.upload + _BESIDE:
        raise HTTPException(413, "The file is too large.")
    if session_of(request) is not None and HEADER not in request.headers:
        raise Refused("this request did not come from a page of this site", code="CB810", hint="load the page again")


_UPLOADS = decides(Action.TASK_CREATE, **_FORM)


@router.post("/api/tasks/upload_task/", status_code=201, max_body_size=_ANY, openapi_extra=_UPLOADS)
@router.post("/tasks/upload_task/", status_code=201, max_body_size=_ANY, openapi_extra=_UPLOADS)
async def upload_task(request: Request, fits: Annotated[None, Depends(_fits)], actor: Somebody) -> Response:
    """Make a task of an archive with a ``task.yaml``, all of it or nothing."""
    if not await run_in_threadpool(_has_room, request, actor):
        return JSONResponse({"error": "Insufficient space. Remove what you do not need."}, 507)
    file = (await request.form(max_files=1, max_fields=10)).get("file")
    if not isinstance(file, UploadFile):
        return JSONResponse({"error": 'Send the archive as the part "file" of a form.'}, 400)
    tasks = site_of(request).tasks
    try:
        made = await run_in_threadpool(tasks.upload, actor, file.file, file.filename or "task.zip")
    except BundleError as error:
        return JSONResponse({"error": _told(error)}, 400)
    except Invalid as error:
        return JSONResponse({"error": error.message}, 507 if "data_file" in error.fields else 400)
    answer = Uploaded(message=f"Task '{made.name}' was made.", id=made.id, key=made.key)
    return JSONResponse(answer.model_dump(), 201)


def _has_room(request: Request, actor: Actor) -> bool:
    used = site_of(request).quota.usage(actor)
    return int(request.headers["content-length"]) <= max(0, used.quota - used.used) + _BESIDE


def _told(error: BundleError) -> str:
    problems = error.report.errors if error.report is not None else ()
    return "\n".join(f"{problem.message} [{problem.code}]" for problem in problems) or error.message
