"""Browsers and robots of a site, without a server between."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
from starlette.testclient import TestClient

from codabench.core.people import CredentialKind
from codabench.site.actors import Actor
from codabench.site.site import Site
from codabench.web.app import create_app
from codabench.web.identity import HEADER, cookie_name


def browser(site: Site, actor: Actor | None = None, **more: Any) -> TestClient:
    """A browser, signed in as somebody. What goes wrong on the server is answered, and not raised here."""
    headers = {"accept": "text/html"}
    client = TestClient(
        create_app(site),
        site.settings.url,
        headers=headers,
        raise_server_exceptions=False,
        follow_redirects=True,
        **more,
    )
    if actor is not None:
        sign_in(client, actor)
    return client


def robot(site: Site, actor: Actor | None = None, **more: Any) -> TestClient:
    """A program that talks to the REST API, with a token of somebody."""
    client = browser(site, **more)
    client.headers["accept"] = "application/json"
    if actor is not None:
        client.headers["authorization"] = f"Token {token(site, actor)}"
    return client


def sign_in(client: TestClient, actor: Actor) -> TestClient:
    """Give a browser a session of somebody, and what shows that its requests come from our pages."""
    site: Site = client.app.state.site  # type: ignore[attr-defined]
    assert actor.account is not None
    secret = site.credentials._make(CredentialKind.SESSION, actor.account, days=site.settings.session_days)
    client.cookies.set(cookie_name(site), secret)
    client.headers[HEADER] = client.app.state.signer.mark("csrf", secret)  # type: ignore[attr-defined]
    return client


def token(site: Site, actor: Actor, **more: Any) -> str:
    """A token of somebody."""
    assert actor.account is not None
    return site.credentials.make_token(actor, actor.account, name="a test", **more)


def csrf_in(answer: httpx.Response) -> str:
    """What the first form of a page sends back."""
    found = re.search(r'name="csrf" value="([^"]*)"', answer.text)
    assert found is not None, answer.text
    return found[1]


async def streamed(
    app: Any, path: str, *, until: Callable[[str], bool], headers: dict[str, str] | None = None, query: str = ""
) -> tuple[int, str]:
    """What a browser that reads live events is sent until it has enough: status and text."""
    sent, status, gone = "", 0, asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal sent, status
        status = message.get("status", status)
        sent += message.get("body", b"").decode()
        if until(sent):
            gone.set()

    all_headers = {"host": "127.0.0.1:8000", **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in all_headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    async with asyncio.timeout(20):
        await app(scope, receive, send)
    return status, sent
