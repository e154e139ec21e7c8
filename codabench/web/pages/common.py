"""What all pages share: forms as they were filled in, files that come with them, questions, and where to go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from codabench.core.errors import (
    BundleError,
    CodabenchError,
    Invalid,
    NotSignedIn,
    Refused,
    StateError,
    SubmissionRejected,
    TooMany,
    UsageError,
)
from codabench.core.people import CredentialKind
from codabench.core.text import storable
from codabench.site.jobs import said
from codabench.web.failures import described
from codabench.web.identity import session_of, site_of
from codabench.web.messages import Kind, tell
from codabench.web.rendering import render

TOLD = (Invalid, Refused, TooMany, UsageError, StateError, SubmissionRejected, BundleError)
"""What a form shows beside its fields, as it was filled in; anything else becomes a page of its own."""

ANY_SIZE = 2**62
"""``max_body_size`` of routes that take files: `uploading` counts, by the settings of the site."""
_REST = 2**20
"""Bytes of a form beside its file."""


# ---------------------------------------------------------------------- forms
class Filled:
    """A form as a template shows it: what stands in its fields, and what is wrong with them.

    Parameters
    ----------
    values
        By field; each field that the form has.
    errors
        Messages by field; ``""``: about the form as a whole.
    """

    def __init__(
        self, values: Mapping[str, object] | None = None, errors: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        self.values = dict(values or {})
        self.errors = {name: list(texts) for name, texts in (errors or {}).items()}

    def value(self, name: str) -> str:
        """What stands in a field; of a box, ``"on"`` if it is ticked."""
        value = self.values.get(name)
        if isinstance(value, bool):
            return "on" if value else ""
        return "" if value is None else str(value)

    def wrong(self, name: str) -> list[str]:
        """What is wrong with a field."""
        return self.errors.get(name, [])

    def others(self) -> list[tuple[str, str]]:
        """What is wrong with what is no field of this form."""
        return [(n, text) for n, texts in self.errors.items() if n and n not in self.values for text in texts]


class Given:
    """What a form sent."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, name: str) -> str:
        """A field as every database takes it; empty, where there is none."""
        value = self._data.get(name, "")
        return storable(value).replace("\r\n", "\n") if isinstance(value, str) else ""

    def texts(self, *names: str) -> dict[str, str]:
        """Several."""
        return {name: self.text(name) for name in names}

    def names(self) -> list[str]:
        """Of all fields that are no files."""
        return list(dict.fromkeys(name for name, value in self._data.multi_items() if isinstance(value, str)))

    def ticked(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.text(name))

    def all(self, name: str) -> list[str]:
        """Every value of a field that may have several."""
        return [storable(value) for value in self._data.getlist(name) if isinstance(value, str)]

    def numbers(self, name: str) -> list[int]:
        """The same, where they are numbers."""
        return [int(value) for value in self.all(name) if value.isascii() and value.isdigit() and len(value) < 19]

    def file(self, name: str) -> UploadFile | None:
        """A file; None, where none was chosen."""
        value = self._data.get(name)
        return value if isinstance(value, UploadFile) and value.filename else None


async def _given(request: Request) -> Given:
    return Given(await request.form())


Sent = Annotated[Given, Depends(_given)]
"""For routes that change something: the form that was sent."""


def entered(request: Request) -> None:
    """Before a large body is read: whoever sends it is signed in, and says how large it is.

    Raises
    ------
    NotSignedIn, Banned
        Nobody is signed in.
    HTTPException
        411, 413: it does not say, or that is too much.
    """
    session = session_of(request)
    if session is None:
        raise NotSignedIn("Log in to upload files.")
    site_of(request).credentials.actor(session, [CredentialKind.SESSION])
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise HTTPException(411, "Say how long it is.")
    if int(length) > site_of(request).settings.upload + _REST:
        raise HTTPException(413, "This file is larger than this site takes.")


Entered = Annotated[None, Depends(entered)]
"""The first parameter of routes that take files, before `Somebody` and `Sent`, which read the form."""


# ---------------------------------------------------------------------- answers
def again(
    request: Request, template: str, fields: Mapping[str, object], error: CodabenchError, **values: Any
) -> HTMLResponse:
    """The form once more, as it was filled in, with what is wrong.

    Parameters
    ----------
    fields
        What stands in each field.
    values
        What the template shows beside `form`.
    """
    if isinstance(error, Invalid):
        errors: Mapping[str, Iterable[str]] = error.fields
    else:
        errors = {"": said(error).splitlines()}
    status, _, headers = described(error, request.method)
    answer = render(request, template, {**values, "form": Filled(fields, errors)}, status=status)
    answer.headers.update(headers)
    return answer


def onward(request: Request, url: str, text: str = "", kind: Kind = "good") -> Response:
    """On to another page, which says what was done."""
    answer: Response
    if "x-progress" in request.headers:  # a script sent it, and goes on itself
        answer = Response(status_code=204, headers={"x-go": url})
    else:
        answer = RedirectResponse(url, 303)
    if text:
        tell(request, answer, text, kind)
    return answer


def question(
    request: Request,
    title: str,
    text: str,
    *,
    button: str,
    back: str,
    action: str | None = None,
    look: str = "danger",
    fields: Iterable[tuple[str, object]] = (),
) -> HTMLResponse:
    """A page that asks again before something is lost; its button posts to `action`, by default this address.

    Parameters
    ----------
    back
        Where to go instead.
    fields
        Sent with the answer.
    """
    shown = {"title": title, "text": text, "button": button, "back": back, "look": look, "fields": list(fields)}
    return render(request, "confirm.html", {**shown, "action": action or request.url.path})
