"""What every call of the API has in common (platform.md 3.1, 3.2): spelling, bodies, moments, pages, addresses."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from types import UnionType
from typing import Annotated, Any, Generic, NoReturn, TypeVar, Union, get_args, get_origin

from fastapi import Depends, HTTPException, Path, Query, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData
from starlette.types import ASGIApp, Receive, Scope, Send

from codabench.core.errors import Invalid, NotFound, Refused
from codabench.core.text import storable
from codabench.site.actors import Actor
from codabench.web.identity import FORMS, Who, site_of
from codabench.web.security import SAFE

ROOTS = ("/api/", "/datasets/download/", "/tasks/upload_task")
"""Where the paths of the API begin. They end with a slash; those of live events do not."""

_LIVE = "/events"
_SUFFIXES = frozenset({"json", "csv", "zip", "html"})
_FORMAT = "codabench.format"
_DEEPEST = 40
LARGEST = 2**31 - 1
"""Numbers beyond it are no database's."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

Id = Annotated[int, Field(ge=0, le=LARGEST)]
"""A number that a client names, as every database takes it."""
Number = Annotated[int, Path(ge=0, le=LARGEST)]
"""The same in a path: what is none is not found."""
Asked = Annotated[int | None, Query(ge=0, le=LARGEST)]
"""The same in a query, if it is said."""
Text = Annotated[str, AfterValidator(storable)]


# ---------------------------------------------------------------------- spelling
class Spelling:
    """Takes paths as clients spell them: without the slash at the end, or with ``.json`` in its place."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(ROOTS) and not scope["path"].endswith(_LIVE):
            path, dot, suffix = scope["path"].rpartition(".")
            if dot and suffix in _SUFFIXES:
                scope = {**scope, "path": path, _FORMAT: suffix}
            if not scope["path"].endswith("/"):
                scope = {**scope, "path": scope["path"] + "/"}
        await self._app(scope, receive, send)


def format_of(request: Request) -> str:
    """What form the answer shall have: ``.csv`` at the end of the path, or ``?format=csv``; if none is said, "json"."""
    return str(request.scope.get(_FORMAT) or request.query_params.get("format") or "json").lower()


# ---------------------------------------------------------------------- what is sent
class Body(BaseModel):
    """What a request brings, in JSON or as a form. What is not known is left alone."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


def body(model: type[M]) -> Any:
    """A parameter that is what the request brings: ``given: Annotated[Message, body(Message)]``.

    JSON, forms and parts of forms are taken alike; `takes` says so in the document of the API.
    """

    async def read(request: Request) -> M:
        return checked(model, await _brought(request, model))

    return Depends(read)


def checked(model: type[M], given: Any) -> M:
    """A model of what was given.

    Raises
    ------
    Invalid
        ``CB802``: with messages for each field.
    """
    if not isinstance(given, (dict, list)):
        raise Invalid(f"Invalid data. Expected a dictionary, but got {type(given).__name__}.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Invalid(_by_field(error)) from None


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """For ``openapi_extra`` of a route that has a `body`."""
    schema = _inlined(model.model_json_schema())
    kinds = ("application/json", *FORMS) if schema.get("type") == "object" else ("application/json",)
    required = bool(schema.get("required")) or schema.get("type") != "object"
    return {"requestBody": {"required": required, "content": {kind: {"schema": schema} for kind in kinds}}}


async def _brought(request: Request, model: type[BaseModel]) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in FORMS:
        return _of_form(await request.form(), model)
    data = await request.body()
    if not data:
        return {}
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, f'Unsupported media type "{storable(kind)[:100]}" in request.')
    return parsed(data)


def parsed(data: bytes | str) -> Any:
    """What JSON says, as every database takes it.

    Raises
    ------
    HTTPException
        400: it is none, it is nested too deeply, or it has numbers without end.
    """
    try:
        return _plain(json.loads(data, parse_constant=_endless, parse_float=_finite), 0)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"JSON parse error - {storable(str(error))[:200]}") from None


def _endless(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _endless(text)


def _plain(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {storable(key): _plain(item, depth + 1) for key, item in value.items()}
    return value


def _of_form(form: FormData, model: type[BaseModel]) -> dict[str, Any]:
    """Fields of a form as JSON has them: items of a list are fields of one name; no text, and empty, is null."""
    found: dict[str, Any] = {}
    for name in form:
        field = model.model_fields.get(name)
        kinds = set(_kinds(field.annotation)) if field else {str}
        values = [storable(each) if isinstance(each, str) else each for each in form.getlist(name)]
        last = values[-1]
        if isinstance(last, str) and str not in kinds and last.lstrip()[:1] in ("{", "["):
            found[name] = parsed(last)
        elif list in kinds:
            found[name] = values
        elif last == "" and str not in kinds:
            found[name] = None
        else:
            found[name] = last
    return found


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types of which a value may be."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for each in get_args(annotation):
            yield from _kinds(each)
    elif origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    else:
        yield origin or annotation


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in error.errors(include_url=False, include_input=False):
        name, *inside = [str(part) for part in each["loc"]] or [""]
        text = "This field is required." if each["type"] == "missing" else each["msg"].removeprefix("Value error, ")
        found.setdefault(name, []).append(f"{'.'.join(inside)}: {text}" if inside else text)
    return found


def _inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that stands by itself."""
    known: Mapping[str, Any] = schema.get("$defs", {})

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            if "$ref" in value:
                return plain(known[value["$ref"].rpartition("/")[2]])
            return {key: plain(item) for key, item in value.items() if key != "$defs"}
        return [plain(item) for item in value] if isinstance(value, list) else value

    made: dict[str, Any] = plain(schema)
    return made


def picture(field: str, text: str) -> bytes | None:
    """The bytes in a text ``{"file_name": ..., "data": base64}``, as clients send pictures; None: it is another text.

    Raises
    ------
    Invalid
        ``CB802``: there are none in it.
    """
    if not text.lstrip().startswith("{"):
        return None
    said = parsed(text)
    data = said.get("data") if isinstance(said, dict) else None
    if not isinstance(data, str):
        raise Invalid({field: 'Give a picture as {"file_name": ..., "data": base64}.'})
    try:
        return base64.b64decode(data.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise Invalid({field: "The data of the picture are not base64."}) from None


# ---------------------------------------------------------------------- moments
def wire(at: datetime) -> str:
    """A moment as clients read it: UTC, with microseconds and ``Z``."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def moment(text: object) -> object:
    """A moment as clients write it: ISO 8601, or "March 1, 2025"; UTC, if it does not say otherwise.

    Raises
    ------
    ValueError
        It is neither.
    """
    if not isinstance(text, str):
        return text
    for read in (datetime.fromisoformat, _in_words):
        try:
            at = read(text.strip())
        except ValueError:
            continue
        try:
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except OverflowError:
            break
    raise ValueError("Write a date as 2025-03-01, 2025-03-01T12:00:00Z or March 1, 2025.")


def _in_words(text: str) -> datetime:
    return datetime.combine(datetime.strptime(text, "%B %d, %Y").date(), time())


Moment = Annotated[datetime, BeforeValidator(moment)]
Day = Annotated[date, BeforeValidator(lambda text: at.date() if isinstance(at := moment(text), datetime) else at)]


# ---------------------------------------------------------------------- pages of lists
class Listed(BaseModel, Generic[T]):
    """A page of a list."""

    count: int
    next: str | None
    previous: str | None
    results: list[T]


class Sized(Listed[T], Generic[T]):
    """A page of a public list."""

    page_size: int


@dataclass(frozen=True)
class Paging:
    """Which page somebody wants, counted from 1."""

    page: int
    size: int


def paging(usual: int) -> Any:
    """A parameter that says which page is wanted; `usual`: so many items it has, where nobody says how many."""

    def read(
        page: Annotated[int, Query(ge=1, le=LARGEST)] = 1, page_size: Annotated[int, Query(ge=1, le=LARGEST)] = usual
    ) -> Paging:
        return Paging(page, min(page_size, 1000))

    return Depends(read)


Tens = Annotated[Paging, paging(10)]
Twenties = Annotated[Paging, paging(20)]


def listed(request: Request, items: Sequence[T], total: int, paging: Paging) -> dict[str, Any]:
    """A page of a list, with the addresses of those beside it: a `Listed`, or a `Sized`.

    Raises
    ------
    NotFound
        There are not so many pages.
    """
    last = max(1, -(-total // paging.size))
    if paging.page > last:
        raise NotFound("Invalid page.")

    def address(page: int) -> str | None:
        return absolute(request, str(request.url.include_query_params(page=page))) if 1 <= page <= last else None

    return {
        "count": total,
        "next": address(paging.page + 1),
        "previous": address(paging.page - 1),
        "page_size": paging.size,
        "results": list(items),
    }


# ---------------------------------------------------------------------- addresses, and who may ask by a GET
def absolute(request: Request, path: str) -> str:
    """The whole address of something on this site.

    Parameters
    ----------
    path
        From the root of the host; of a whole address, what follows the host.
    """
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    return site_of(request).settings.url + path


def by_token(request: Request, actor: Who) -> Actor:
    """Who has something done by a GET, as clients of Codabench do: by a token, because any page can have a browser send
    a GET with the cookie (security.md W04). A POST is held to what every POST is held to.

    Raises
    ------
    Refused
        ``CB810``: the request shows a cookie alone.
    """
    shown = request.headers.get("authorization", "").partition(" ")[0].lower()
    if request.method in SAFE and not actor.is_anonymous and shown not in ("token", "bearer"):
        raise Refused("this changes something", code="CB810", hint="send it as a POST, or with a token")
    return actor


ByToken = Annotated[Actor, Depends(by_token)]
