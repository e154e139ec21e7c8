"""Every field of a competition as a form for each part of it, and all of them as one text (platform.md O06-O34)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse, Response

from codabench.bundle.document import to_text
from codabench.core.errors import CodabenchError, Invalid, NotFound
from codabench.site.lists import MOST
from codabench.site.pictures import MOST_BYTES
from codabench.site.policy import Action
from codabench.web.identity import Somebody
from codabench.web.pages import fields
from codabench.web.pages.common import ANY_SIZE, TOLD, Entered, Filled, Sent, onward
from codabench.web.pages.view import Opened, View
from codabench.web.routing import decides

router = APIRouter(include_in_schema=False)

_AT = "/competitions/edit/{number:int}"
_MAY = decides(Action.COMPETITION_EDIT)


def edited(view: Opened, _: Somebody) -> View:
    """The competition, for those who edit it."""
    view.site.policy.require(view.actor, Action.COMPETITION_EDIT, view.found.facts)
    return view


Edited = Annotated[View, Depends(edited)]


@router.get(f"{_AT}/", openapi_extra=_MAY)
def edit(view: Edited, part: str = "details") -> HTMLResponse:
    """A part of it as a form."""
    document = _document(view)
    if part == "document":
        return view.page("document.html", "edit", part=part, form=Filled({"document": to_text(document)}), **_PARTS)
    known = _part(part)
    return view.page("edit.html", "edit", form=Filled(fields.filled(known, document)), **_values(view, known, document))


_PARTS: dict[str, Any] = {"parts": [(part.name, part.title) for part in fields.PARTS] + [("document", "As text")]}


def _part(name: str) -> fields.Part:
    if name not in fields.BY_NAME:
        raise NotFound("there is no such part")
    return fields.BY_NAME[name]


def _document(view: View) -> dict[str, Any]:
    """Everything that can be edited; people by their names."""
    document = view.site.competitions.document(view.actor, view.id)
    people = [view.site.accounts.get(view.actor, id).username for id in document["collaborators"]]
    return {**document, "collaborators": people}


def _values(view: View, part: fields.Part, document: Mapping[str, Any]) -> dict[str, Any]:
    counts = [len(item.get(part.inner, ())) for item in fields.things(part, document)] if part.is_list else []
    tasks = {task.key: task.name for task in view.spec.tasks if task.key}
    if part.name == "phases":
        tasks |= {task.key: task.name for task in view.site.tasks.list(view.actor, size=MOST).items}
    return {
        "part": part.name,
        "shown": part,
        "counts": counts,
        "tasks": tasks,
        "has_logo": bool(document["image"]),
        **_PARTS,
    }


@router.post(f"{_AT}/{{part}}/", openapi_extra=_MAY)
def save(view: Edited, part: str, sent: Sent) -> Response:
    """Keep what was changed in a part."""
    if part == "document":
        return _save_text(view, sent.text("document"))
    known = _part(part)
    try:
        changes = fields.given(known, sent)
        if part == "collaborators":
            changes = {part: _people(view, changes[part])}
        view.site.competitions.edit(view.actor, view.id, changes)
    except TOLD as error:
        return _again(view, known, sent, error)
    return _kept(view, part)


def _kept(view: View, part: str) -> Response:
    return onward(view.request, f"/competitions/edit/{view.number}/?part={part}", "The changes were kept.")


def _again(view: View, part: fields.Part, sent: Sent, error: CodabenchError) -> Response:
    """The form as it was filled in, with as many things in it as it had."""
    document = _document(view)
    stood: dict[str, Any] = fields.filled(part, document)
    stood |= {name: "\n".join(sent.all(name)) for name in sent.names()}
    return view.again("edit.html", "edit", stood, error, **_values(view, part, document))


def _save_text(view: View, text: str) -> Response:
    try:
        changes = fields.parsed(text, "document")
        if "collaborators" in changes:
            changes["collaborators"] = _people(view, changes["collaborators"] or [])
        view.site.competitions.edit(view.actor, view.id, changes)
    except TOLD as error:
        return view.again("document.html", "edit", {"document": text}, error, part="document", **_PARTS)
    return _kept(view, "document")


def _people(view: View, names: Any) -> list[int]:
    found, wrong = [], []
    for name in names if isinstance(names, list) else [names]:
        try:
            found.append(view.site.accounts.named(view.actor, str(name)).id)
        except NotFound:
            wrong.append(f"There is no account {str(name)[:60]}.")
    if wrong:
        raise Invalid({"collaborators": wrong})
    return found


@router.post(f"{_AT}/logo/upload/", openapi_extra=_MAY, max_body_size=ANY_SIZE)
def logo(_: Entered, view: Edited, sent: Sent) -> Response:
    """Another logo."""
    chosen = sent.file("logo")
    try:
        if chosen is None:
            raise Invalid({"logo": "Choose a picture."})
        view.site.competitions.edit(view.actor, view.id, {"image": chosen.file.read(MOST_BYTES + 1)})
    except TOLD as error:
        part = fields.BY_NAME["details"]
        stood = {**fields.filled(part, document := _document(view)), "logo": ""}
        return view.again("edit.html", "edit", stood, error, **_values(view, part, document))
    return _kept(view, "details")
