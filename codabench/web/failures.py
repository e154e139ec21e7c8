"""What a request is answered that could not be done: JSON for clients (platform.md section 3.2), a page for people."""

from __future__ import annotations

import logging
import math
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response

from codabench.core.errors import (
    Banned,
    BundleError,
    CodabenchError,
    Invalid,
    NotFound,
    NotSignedIn,
    Refused,
    StateError,
    StorageError,
    SubmissionRejected,
    TooMany,
    UsageError,
)
from codabench.db.connection import passing
from codabench.site.actors import ANONYMOUS
from codabench.web.security import dress

log = logging.getLogger("codabench.web")

_STATUS: tuple[tuple[type[CodabenchError], int], ...] = (
    (NotFound, 404),
    (NotSignedIn, 403),
    (Refused, 403),
    (TooMany, 429),
    (Invalid, 400),
    (SubmissionRejected, 403),
    (BundleError, 400),
    (StateError, 409),
    (UsageError, 400),
)
"""The first that fits; what is not here is our fault."""

GONE = 499
"""For the log: whoever asked is gone, as where an upload is stopped."""

WORDS = {
    400: "That cannot be done",
    403: "Not allowed",
    404: "Not found",
    405: "That is not how this is asked",
    409: "Not now",
    413: "Too large",
    429: "Too often",
    500: "Something went wrong here",
    503: "Not at the moment",
}
"""The title of the page that tells of a failure."""


def install(app: FastAPI) -> None:
    """Have an application answer failures this way."""
    for kind in (CodabenchError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answered)
    app.add_exception_handler(ClientDisconnect, lambda _request, _error: Response(status_code=GONE))  # nobody hears it


def answered(request: Request, error: Exception) -> Response:
    """The answer to a request that failed."""
    status, body, headers = described(error, request.method)
    if status >= 500:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    answer: Response
    if not for_people(request):
        answer = JSONResponse(body, status, headers=headers)
    elif isinstance(error, NotSignedIn) and request.method == "GET":
        answer = RedirectResponse(f"/accounts/login/?next={quote(_asked(request))}", 303)
    else:
        answer = page(request, status, body, headers)
    # What nobody expected is answered outside of the guard, which would have done this.
    dress(answer.headers, https=request.app.state.site.settings.url.startswith("https:"))
    return answer


def _asked(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def for_people(request: Request) -> bool:
    """Whether a browser shows the answer."""
    if request.url.path.startswith(("/api/", "/uploads/")):
        return False
    return "text/html" in request.headers.get("accept", "")


def page(request: Request, status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """A page that says what went wrong."""
    from codabench.web.rendering import render

    title = WORDS.get(status, WORDS[400] if status < 500 else WORDS[500])
    said = list(_texts(body))
    values = {"title": title, "said": said, "status": status}
    if status >= 500:  # the database may be what failed: it is not asked who looks
        values["me"] = ANONYMOUS
    answer = render(request, "failed.html", values, status=status)
    answer.headers.update(headers or {})
    return answer


def described(error: Exception, verb: str = "GET") -> tuple[int, Any, dict[str, str]]:
    """(status, body, headers) that tell of an error."""
    if isinstance(error, RequestValidationError):
        if any(each["loc"][0] == "path" for each in error.errors()):
            return 404, {"detail": "Not found."}, {}
        return 400, _fields(error), {}
    if isinstance(error, HTTPException):
        return error.status_code, {"detail": _detail(error, verb)}, dict(error.headers or {})
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status, _body(error), _retry(error)
    if isinstance(error, StorageError) and passing(error):
        return 503, {"detail": "The database does not answer. Try again in a while."}, {"Retry-After": "10"}
    return 500, {"detail": "Something went wrong here. It is not your fault, and it was written down."}, {}


def _body(error: CodabenchError) -> Any:
    if isinstance(error, Invalid):
        return {name or "non_field_errors": texts for name, texts in error.fields.items()}
    if isinstance(error, NotSignedIn):
        return {"detail": error.message or "Authentication credentials were not provided."}
    if isinstance(error, Banned):
        return {"error": "You are banned from using Codabench", "detail": error.message}
    return {"detail": error.message, "code": error.code} | ({"hint": error.hint} if error.hint else {})


def _retry(error: CodabenchError) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(error.seconds))} if isinstance(error, TooMany) else {}


def _detail(error: HTTPException, verb: str) -> str:
    if error.status_code == 405:
        return f'Method "{verb}" not allowed.'
    return "Not found." if error.status_code == 404 else str(error.detail)


def _fields(error: RequestValidationError) -> dict[str, Any]:
    """Field -> messages."""
    found: dict[str, list[str]] = {}
    for each in error.errors():
        name = str(each["loc"][-1]) if len(each["loc"]) > 1 else "non_field_errors"
        text = "This field is required." if each["type"] == "missing" else each["msg"]
        found.setdefault(name, []).append(text)
    return found


def _texts(body: Any) -> list[str]:
    if isinstance(body, dict):
        return [text for name, value in body.items() if name != "code" for text in _texts(value)]
    if isinstance(body, list):
        return [text for value in body for text in _texts(value)]
    return [str(body)]
