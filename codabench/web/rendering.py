"""Pages from templates: what every one of them knows, and how values look in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.datastructures import QueryParams
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from codabench._version import __version__
from codabench.core.errors import Banned, NotSignedIn
from codabench.core.text import human_size
from codabench.site.actors import ANONYMOUS, Actor
from codabench.web.identity import csrf_of, shown_by, site_of
from codabench.web.messages import forget, heard

HERE = Path(__file__).parent
STATIC = HERE / "static"
THEMES = ("auto", "light", "dark")


def render(
    request: Request, template: str, values: Mapping[str, Any] | None = None, *, status: int = 200
) -> HTMLResponse:
    """A page. It knows who is signed in (`me`), the site, what its forms send back (`csrf`), and what is `told`."""
    site, told = site_of(request), heard(request)
    known = {
        "site": site.settings,
        "csrf": csrf_of(request),
        "path": request.url.path,
        "query": request.query_params,
        "now": site.now(),
        "theme": theme_of(request),
        "told": told,
        "version": __version__,
        **(values or {}),
    }
    if "me" not in known:
        known["me"] = _me(request)
    text = environment().get_template(template).render(known)
    answer = HTMLResponse(text, status)
    answer.headers["cache-control"] = "private, no-cache"
    if told:
        forget(answer)
    return answer


def theme_of(request: Request) -> str:
    """Which colours somebody has chosen; ``"auto"``: those of the system."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else THEMES[0]


def _me(request: Request) -> Actor:
    try:
        return shown_by(request)
    except (NotSignedIn, Banned):
        return ANONYMOUS


@lru_cache
def environment() -> Environment:
    """The templates of this package; values are escaped, and one that is not given is a mistake."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"moment": moment, "size": human_size, "markdown": markdown, "changed": changed}
    made.globals |= {"asset": asset}
    return made


def changed(query: QueryParams, name: str, value: object) -> str:
    """The query of this page with one value other than it is: for links to the next page, or in another order."""
    return f"?{urlencode([(n, v) for n, v in query.multi_items() if n != name] + [(name, str(value))])}"


@lru_cache
def asset(name: str) -> str:
    """The URL of a file of ours that browsers may keep for ever: another content has another URL."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


class Assets(StaticFiles):
    """Files of ours. One whose address names its content never changes there, and is not asked for again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        query = bytes(scope["query_string"]).decode("latin-1")
        if answer.status_code == 200 and query and asset(path).endswith(f"?{query}"):
            answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


def moment(at: datetime | None) -> Markup:
    """A point in time, in UTC; a script may show it in local time."""
    if at is None:
        return Markup("–")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{utc:%Y-%m-%d %H:%M} UTC"
    )


_HEADING = re.compile(r"(</?h)([1-5])(?=[ >])")


@lru_cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def markdown(text: str | None) -> Markup:
    """What organizers wrote, as HTML of which only what cannot do harm is left (security.md H05).

    Its headings are one order lower: the first one is that of the page.
    """
    import nh3

    made = nh3.clean(
        cast("str", _markdown().render(text or "")),
        link_rel="noopener noreferrer nofollow",
        url_schemes={"http", "https", "mailto"},
        attributes={
            **nh3.ALLOWED_ATTRIBUTES,
            "a": {"href", "title"},
            "img": {"src", "alt", "title", "width", "height"},
        },
    )
    lower = _HEADING.sub(lambda tag: f"{tag[1]}{int(tag[2]) + 1}", made)
    return Markup(lower)  # noqa: S704 - it was cleaned
