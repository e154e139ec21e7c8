"""The API described: an OpenAPI document for programs, and a page of it for people (platform.md V22)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse

from codabench.web.identity import Who
from codabench.web.rendering import render
from codabench.web.routing import DECIDED, OPEN, open_to_all

router = APIRouter(tags=["the API itself"])

_VERBS = ("get", "post", "put", "patch", "delete")
_FAILURE = {
    "description": "Why it was not done: `detail`, or messages by the names of fields.",
    "content": {"application/json": {"schema": {}}},
}
_SECURITY = {
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token` and 40 hexadecimal digits",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "codabench",
        "description": "what a browser got by signing in",
    },
}
_ABOUT = """\
The calls of Codabench, at the root of the host. Bodies are JSON or forms; paths may end without their slash, or in
`.json`. What changes something by a GET needs a token; with the cookie of a session it has to be a POST.
"""


class Parameter(NamedTuple):
    """What a call takes in its address."""

    name: str
    type: str
    description: str


class Call(NamedTuple):
    """A call as the page shows it.

    Attributes
    ----------
    actions
        Of the policy; none: everybody may, and `why` says for what reason.
    body
        The names of fields with their types; those with a star have to be there.
    """

    verb: str
    path: str
    about: str
    actions: tuple[str, ...]
    why: str
    parameters: tuple[Parameter, ...]
    body: tuple[tuple[str, str], ...]
    answers: tuple[str, ...]


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    made = app.openapi()
    if "x-described" in made:
        return made
    made["x-described"] = True
    made["info"]["description"] = _ABOUT
    made.setdefault("components", {})["securitySchemes"] = _SECURITY
    for name in ("HTTPValidationError", "ValidationError"):
        made["components"].get("schemas", {}).pop(name, None)
    for _, _, call in _calls(made):
        call["responses"].pop("422", None)  # what cannot be accepted is answered 400
        call["responses"]["default"] = _FAILURE
        call["security"] = [{}, {"token": []}, {"session": []}]
    return made


def _calls(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, verbs in document["paths"].items():
        for verb in _VERBS:
            if verb in verbs:
                yield path, verb, verbs[verb]


@router.get("/api/schema/", openapi_extra=open_to_all("what there is to call is no secret"))
def schema(request: Request, actor: Who) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(described(request.app))


@router.get("/api/docs/", openapi_extra=open_to_all("what there is to call is no secret"), include_in_schema=False)
def docs(request: Request, actor: Who) -> HTMLResponse:
    """The same for people."""
    document, groups = described(request.app), dict[str, list[Call]]()
    for path, verb, call in _calls(document):
        groups.setdefault(call.get("tags", ["other"])[0], []).append(_shown(document, path, verb, call))
    return render(request, "api_docs.html", {"groups": groups, "about": document["info"]["description"]})


def _shown(document: dict[str, Any], path: str, verb: str, call: dict[str, Any]) -> Call:
    parameters = [
        Parameter(each["name"], _type(each["schema"]), each.get("description", ""))
        for each in call.get("parameters", ())
        if each["in"] == "query"
    ]
    return Call(
        verb=verb.upper(),
        path=path,
        about=call.get("description", ""),
        actions=tuple(call.get(DECIDED, ())),
        why=call.get(OPEN, ""),
        parameters=tuple(parameters),
        body=tuple(_fields(call)),
        answers=tuple(status for status in call["responses"] if status != "default"),
    )


def _fields(call: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for content in call.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        if schema.get("type") == "array":
            yield "", _type(schema)
        required = schema.get("required", ())
        for name, field in schema.get("properties", {}).items():
            yield (f"{name} *" if name in required else name), _type(field)
        return


def _type(schema: dict[str, Any]) -> str:
    """A type in few words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or schema.get("$ref", "anything").rpartition("/")[2])
