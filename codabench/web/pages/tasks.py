"""Tasks: one's own, shared and public ones; made of files, changed, shared, uploaded as an archive."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from codabench.core.competition import TASK_ROLES
from codabench.core.errors import Invalid, NotFound, Refused
from codabench.core.hosting import Dataset, SharedTask
from codabench.core.text import plural
from codabench.db.resources import WantedDatasets
from codabench.db.shared_tasks import WantedTasks
from codabench.site.lists import MOST
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.identity import Somebody, site_of
from codabench.web.pages.common import ANY_SIZE, TOLD, Entered, Filled, Sent, again, onward, question
from codabench.web.pages.files import name_of
from codabench.web.pages.lists import PageNumber, Words
from codabench.web.rendering import render
from codabench.web.routing import decides
from codabench.web.security import inside

router = APIRouter(prefix="/tasks", include_in_schema=False)

_PAGE = 20
_PARTS = tuple(role.value for role in TASK_ROLES)
_LABELS = {
    "scoring_program": "Scoring program",
    "ingestion_program": "Ingestion program",
    "input_data": "Input data",
    "reference_data": "Reference data",
}
_TEXTS = ("name", "description", *_PARTS)


# ---------------------------------------------------------------------- the list
@router.get("/", openapi_extra=decides(Action.TASK_LIST))
def tasks(
    request: Request, actor: Somebody, search: Words = "", public: bool = False, page: PageNumber = 1
) -> HTMLResponse:
    """One's own tasks, and those that are shared (platform.md O73, O74)."""
    site = site_of(request)
    wanted = WantedTasks(text=search or None, or_public=public)
    shown = site.tasks.list(actor, wanted, page=page, size=_PAGE)
    values = {
        "page": shown,
        "names": site.accounts.shown_names({each.owner for each in shown.items}),
        "used": site.tasks.used_by(actor, [each.key for each in shown.items]),
        "quota": site.quota.usage(actor),
        "form": Filled({"search": search, "public": public}),
    }
    return render(request, "resources/tasks.html", values)


# ---------------------------------------------------------------------- new ones
@router.get("/create/", openapi_extra=decides(Action.TASK_CREATE))
def create_form(request: Request, actor: Somebody) -> HTMLResponse:
    """The form of a new task (platform.md O70)."""
    form = Filled(dict.fromkeys((*_TEXTS, "ingestion_only_during_scoring"), ""))
    return render(request, "resources/task_form.html", {"form": form, "task": None, "parts": _choices(request, actor)})


@router.post("/create/", openapi_extra=decides(Action.TASK_CREATE))
def create(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Make it."""
    fields = _fields(sent)
    try:
        made = site_of(request).tasks.create(actor, fields)
    except TOLD as error:
        return again(request, "resources/task_form.html", fields, error, task=None, parts=_choices(request, actor))
    return onward(request, f"/tasks/{made.id}/", "The task is made.")


@router.get("/upload/", openapi_extra=decides(Action.TASK_CREATE))
def upload_form(request: Request, actor: Somebody) -> HTMLResponse:
    """The form of a task that comes as an archive."""
    return render(request, "resources/task_upload.html", {"form": Filled({"data": ""})})


@router.post("/upload/", openapi_extra=decides(Action.TASK_CREATE), max_body_size=ANY_SIZE)
def upload(request: Request, _: Entered, actor: Somebody, sent: Sent) -> Response:
    """Make a task of it, all or nothing (platform.md O72)."""
    file = sent.file("data")
    try:
        if file is None:
            raise Invalid({"data": "Choose a file."})
        made = site_of(request).tasks.upload(actor, file.file, name_of(file))
    except TOLD as error:
        return again(request, "resources/task_upload.html", {"data": ""}, error)
    return onward(request, f"/tasks/{made.id}/", "The task is made.")


def _fields(sent: Sent) -> dict[str, Any]:
    parts = {name: sent.text(name) or None for name in _PARTS}
    switch = {"ingestion_only_during_scoring": sent.ticked("ingestion_only_during_scoring")}
    return {**sent.texts("name", "description"), **parts, **switch}


def _choices(request: Request, actor: Somebody, task: SharedTask | None = None) -> list[tuple[str, str, Any]]:
    """(field, label, choices) of each part: the actor's own files, and what the task has."""
    site, found = site_of(request), []
    for role in TASK_ROLES:
        wanted = WantedDatasets(types=(role,), uploaded=True)
        mine = site.datasets.list(actor, wanted, size=MOST).items
        choices = [(each.key, each.name) for each in mine]
        before = task.parts.get(role.value) if task else None
        if before is not None and before not in {key for key, _ in choices}:
            choices.append((before, "as it is"))
        found.append((role.value, _LABELS[role.value], [("", "none"), *choices]))
    return found


# ---------------------------------------------------------------------- deleting
Numbers = Annotated[list[int], Query(max_length=500)]


@router.get("/delete/", openapi_extra=decides(Action.TASK_DELETE))
def delete_form(request: Request, actor: Somebody, id: Numbers) -> HTMLResponse:
    """Whether these shall go."""
    found = [site_of(request).tasks.get(actor, each) for each in id]
    return question(
        request,
        f"Delete {plural(len(found), 'task')}?",
        f"{', '.join(each.name for each in found)}. What a competition has is not deleted, and then none of them is.",
        button="Delete for ever",
        back="/tasks/",
        action="/tasks/delete/",
        fields=[("id", each.id) for each in found],
    )


@router.post("/delete/", openapi_extra=decides(Action.TASK_DELETE))
def delete(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Delete them, all or none (platform.md O76)."""
    try:
        count = site_of(request).tasks.delete_many(actor, sent.numbers("id"))
    except Refused as error:
        return onward(request, "/tasks/", f"Nothing was deleted. {error.message}", "bad")
    return onward(request, "/tasks/", f"{plural(count, 'task')} deleted.")


# ---------------------------------------------------------------------- one of them
@router.get("/{number}/", openapi_extra=decides(Action.TASK_READ))
def one(request: Request, actor: Somebody, number: int) -> HTMLResponse:
    """Its files, who has it, where it is used (platform.md O73)."""
    site = site_of(request)
    task = site.tasks.get(actor, number)
    used = site.tasks.used_by(actor, [task.key]).get(task.key, ())
    numbers = site.numbers.many(Kind.COMPETITION, [each.id for each in used])
    names = site.accounts.shown_names({task.owner, *task.shared_with})
    values = {
        "task": task,
        "parts": [(_LABELS[name], _seen(request, actor, key)) for name, key in task.parts.items()],
        "owner": names.get(f"u{task.owner}", "somebody"),
        "shared": sorted(names.get(f"u{each}", "somebody") for each in task.shared_with),
        "used": [(numbers[each.id], each.title) for each in used],
        "solutions": site.tasks.solutions(actor, task.key),
        "form": Filled({"shared_with": _usernames(request, actor, task)}),
    }
    return render(request, "resources/task.html", values)


def _seen(request: Request, actor: Somebody, key: str) -> Dataset | None:
    """A file of a task, if the actor may see it."""
    try:
        return site_of(request).datasets.get(actor, key)
    except (NotFound, Refused):
        return None


def _usernames(request: Request, actor: Somebody, task: SharedTask) -> str:
    if actor.account != task.owner:
        return ""
    accounts = site_of(request).accounts
    return " ".join(sorted(accounts.get(actor, each).username for each in task.shared_with))


@router.get("/{number}/edit/", openapi_extra=decides(Action.TASK_EDIT))
def edit_form(request: Request, actor: Somebody, number: int) -> HTMLResponse:
    """The form of a task."""
    task = site_of(request).tasks.edit(actor, number, {})
    form = Filled({name: getattr(task, name) for name in (*_TEXTS, "ingestion_only_during_scoring")})
    values = {"form": form, "task": task, "parts": _choices(request, actor, task)}
    return render(request, "resources/task_form.html", values)


@router.post("/{number}/edit/", openapi_extra=decides(Action.TASK_EDIT))
def edit(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Change it (platform.md O71)."""
    site, fields = site_of(request), _fields(sent)
    try:
        site.tasks.edit(actor, number, fields)
    except TOLD as error:
        task = site.tasks.edit(actor, number, {})
        parts = _choices(request, actor, task)
        return again(request, "resources/task_form.html", fields, error, task=task, parts=parts)
    return onward(request, f"/tasks/{number}/", "The task is changed. New submissions run on it as it is now.")


@router.post("/{number}/publish/", openapi_extra=decides(Action.TASK_EDIT))
def publish(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Let everybody use it, or nobody else (platform.md O74)."""
    made = site_of(request).tasks.set_public(actor, number, sent.ticked("public"))
    said = f"{made.name} is {'public' if made.is_public else 'private'}."
    return onward(request, inside(sent.text("next"), f"/tasks/{number}/"), said)


@router.post("/{number}/share/", openapi_extra=decides(Action.TASK_EDIT))
def share(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Say who else sees and uses it (platform.md O75)."""
    site = site_of(request)
    try:
        people = [site.accounts.named(actor, name).id for name in sent.text("shared_with").replace(",", " ").split()]
    except NotFound as error:
        return onward(request, f"/tasks/{number}/", error.message, "bad")
    made = site.tasks.share(actor, number, people)
    return onward(request, f"/tasks/{number}/", f"It is shared with {len(made.shared_with)}.")
