"""A site that is really served, people with Chromium in front of it, and a record of every button they press."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from hosting_lab import FILES, hosted, zipped
from mail_sink import Sink, mail_sink, text_of
from playwright.sync_api import Browser, Locator, Page
from site_lab import QUICK, person

import codabench as cb
from codabench.core.people import CredentialKind
from codabench.site.actors import Actor
from codabench.site.numbers import Kind
from codabench.site.settings import SiteSettings
from codabench.site.site import Site
from codabench.web.app import create_app
from codabench.web.identity import cookie_name

# ---------------------------------------------------------------------- a competition
SCORE = b"""\
import json, os, sys, time
given, out = sys.argv[1], sys.argv[2]
answer = open(os.path.join(given, "res", "answer.csv")).read().split()
print("The scoring begins.", flush=True)
for x in range(300 if len(answer) > 1 else 0):
    if os.path.exists(answer[1]):
        break
    time.sleep(0.1)
    print("Still counting.", flush=True)
    print(json.dumps({"type": "plot", "value": [x, x * x]}), flush=True)
json.dump({"score": float(answer[0]), "time": 2}, open(os.path.join(out, "scores.json"), "w"))
open(os.path.join(out, "detailed_results.html"), "w").write(
    "<h1>In detail</h1><script>"
    "let said = 'nothing';"
    "try { if (parent !== self) { parent.document.title = 'taken'; said = 'the page'; } } catch (error) {}"
    "try { said = document.cookie || said; } catch (error) {}"
    "document.body.dataset.reached = said;</script>"
)
"""
TEXT = """\
version: 2
title: Wheat seeds
description: Tell seeds apart.
image: logo.png
terms: terms.md
docker_image: example/python:1
enable_detailed_results: true
{more}pages:
  - {{title: Overview, file: overview.md}}
tasks:
  - {{index: 0, name: First, scoring_program: scoring, reference_data: truth}}
  - {{index: 1, name: Second, scoring_program: scoring, reference_data: truth}}
phases:
  - {{name: Open, index: 0, start: 2026-01-01, end: 2036-06-01, tasks: [{tasks}], starting_kit: kit}}
  - {{name: Final, index: 1, start: 2036-06-02, tasks: [1]}}
leaderboards:
  - title: Board
    key: board
    submission_rule: {rule}
    columns:
      - {{title: Score, key: score, index: 0}}
      - {{title: Time, key: time, index: 1, sorting: asc}}
"""
FACTS = """\
fact_sheet:
  method: {key: method, type: text, title: Method, selection: "", is_required: "true", is_on_leaderboard: "true"}
"""


def bundle(more: str = "", *, rule: str = "Add_And_Delete", tasks: str = "0") -> bytes:
    """A competition whose scoring program reads the score from what is submitted, and until when it counts."""
    program = {"scoring/metadata": b"command: python3 $program/score.py $input $output\n", "scoring/score.py": SCORE}
    files = {name: data for name, data in FILES.items() if not name.startswith(("solution", "scoring"))}
    text = TEXT.format(more=more, rule=rule, tasks=tasks)
    return zipped({**files, **program, "competition.yaml": text.encode()})


def answer(score: float = 1.5, until: Path | None = None) -> bytes:
    """A submission that scores that; it is being scored until this file is there."""
    return zipped({"answer.csv": f"{score} {until or ''}\n".encode()})


# ---------------------------------------------------------------------- the server
@dataclass
class Served:
    """A site and where it is."""

    site: Site
    url: str
    sink: Sink
    app: Any
    count: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def name(self, stem: str) -> str:
        """One that nobody has."""
        return f"{stem}-{next(self.count)}"

    def somebody(self, stem: str, **flags: bool) -> Actor:
        return person(self.site, self.name(stem), password="correct horse battery", **flags)

    def api(self, actor: Actor | None = None) -> httpx.Client:
        """The REST API, by the token of somebody."""
        headers = {}
        if actor is not None:
            assert actor.account is not None
            token = self.site.credentials.make_token(actor, actor.account, name="a test")
            headers["authorization"] = f"Token {token}"
        return httpx.Client(base_url=f"{self.url}/api", headers=headers, follow_redirects=True, timeout=30)

    def competition(self, owner: Actor, more: str = "", *, published: bool = True, **choices: str) -> int:
        """The number of a new one."""
        id = hosted(self.site, owner, bundle(more, **choices), published=published)
        return self.site.competitions.number(id)

    def id(self, number: int) -> str:
        return self.site.numbers.key(Kind.COMPETITION, number)

    def take_part(self, actor: Actor, number: int) -> None:
        assert actor.account is not None
        self.site.db.approve_participation(self.id(number), actor.account, at=self.site.now())

    def uploaded(self, actor: Actor, role: str, data: bytes, name: str = "answer.zip", **more: Any) -> str:
        """The key of a new data set."""
        made = self.site.datasets.create(actor, role, name, len(data), **more)
        ticket = self.site.datasets.upload_url(actor, made.key).rpartition("/")[2]
        self.site.datasets.receive(ticket, [data], len(data))
        return made.key

    def submit(self, actor: Actor, number: int, data: bytes | None = None, *, wait: bool = True, **more: Any) -> int:
        """The number of a new submission, which is over."""
        key = self.uploaded(actor, "submission", data or answer(), competition=self.id(number))
        shown = self.site.submissions.create(actor, self.id(number), 0, key, **more)
        if wait:
            until(lambda: self.site.submissions.get(actor, shown.number).status.is_final)
        return shown.number

    def link_in_mail(self, address: str) -> str:
        """The link of the last mail to that address."""
        until(lambda: self.sink.to(address))
        found = re.findall(r"https?://\S+", text_of(self.sink.to(address)[-1]))
        return str(found[0])


def until(happened: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for something; what it is, in the end."""
    limit = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)
    return found


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """A site with its own storage and database, which carries submissions out, on a port of this machine."""
    with mail_sink() as sink, cb.Workspace(folder, backend="process", jobs=2) as workspace:
        own = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{own.getsockname()[1]}"
        settings = {**QUICK, "url": url, "mail_url": sink.url, "title": "Test site", "contact": "us@example.org"}
        with Site(workspace, SiteSettings.model_validate(settings)) as site:
            app, stop = create_app(site), threading.Event()
            config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
            server = uvicorn.Server(config)
            threads = [
                threading.Thread(target=server.run, args=([own],)),
                threading.Thread(target=site.attend, args=(stop,)),
            ]
            for thread in threads:
                thread.start()
            try:
                until(lambda: server.started)
                yield Served(site, url, sink, app)
            finally:
                server.should_exit = True
                stop.set()
                site.mail.waiting.set()
                for thread in threads:
                    thread.join(20)


# ---------------------------------------------------------------------- people
Button = tuple[str, str, str]
"""The verb and the address of its form, and the text: numbers, names and secrets of addresses are left out."""

_LEFT_OUT = (
    (re.compile(r"/\d+(?=/|\.|$)"), "/N"),
    (re.compile(r"/[0-9a-f]{16,}(?=/|$)"), "/S"),
    (re.compile(r"(/profiles/user)/[^/]+"), r"\1/NAME"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}"), "KEY"),
)

BUTTONS_OF = """elements => elements.map(button => {
    const form = button.form, copy = button.cloneNode(true);
    copy.querySelectorAll('.unseen').forEach(each => each.remove());
    const action = form ? new URL(form.getAttribute('action') || location.href, location.href).pathname : '';
    return [form ? form.method.toUpperCase() : 'SCRIPT', action, copy.textContent.trim().replace(/\\s+/g, ' ')];
})"""


def known_as(found: list[str]) -> Button:
    """A button by what it does."""
    verb, path, text = found
    for pattern, word in _LEFT_OUT:
        path = pattern.sub(word, path)
    return verb, path, text


def buttons(page: Page) -> set[Button]:
    """Every button of a page, those in what is folded, too."""
    return {known_as(each) for each in page.locator("button:not([hidden])").evaluate_all(BUTTONS_OF)}


class Person:
    """Somebody in front of a browser.

    Attributes
    ----------
    pressed
        Every button that was pressed.
    """

    def __init__(
        self, served: Served, browser: Browser, actor: Actor | None, pressed: set[Button], **more: Any
    ) -> None:
        self.served, self.actor, self._pressed = served, actor, pressed
        self.scripts: bool = more.get("java_script_enabled", True)
        self.context = browser.new_context(base_url=served.url, **more)
        self.context.set_default_timeout(30_000)
        if actor is not None:
            self._sign_in(actor)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None)

    def _sign_in(self, actor: Actor) -> None:
        assert actor.account is not None
        site = self.served.site
        secret = site.credentials._make(CredentialKind.SESSION, actor.account, days=1)
        self.context.add_cookies([{"name": cookie_name(site), "value": secret, "url": self.served.url}])

    def open(self, path: str) -> Person:
        self.page.goto(path)
        return self

    @property
    def words(self) -> str:
        return " ".join(self.page.locator("main").inner_text().split())

    @property
    def path(self) -> str:
        return httpx.URL(self.page.url).path

    def press(self, text: str, /, *, of: str = "", at: str = "main", **fields: Any) -> Person:
        """Fill in fields by their labels' names, and press a button; the next page is there when this returns.

        Parameters
        ----------
        of
            What follows the text for those who listen: which row a button is of.
        at
            Where it is.
        """
        button = self.button(text, of=of, at=at)
        self._pressed.add(known_as(button.evaluate(f"button => ({BUTTONS_OF})([button])[0]")))
        for name, value in fields.items():
            self.fill(name, value)
        button.click()
        self.page.wait_for_load_state()
        return self

    def button(self, text: str, *, of: str = "", at: str = "main") -> Locator:
        """A button by its text."""
        return self.page.locator(at).get_by_role("button", name=f"{text} {of}".strip(), exact=True).first

    def fill(self, name: str, value: Any) -> None:
        field = self.page.locator(f'main [name="{name}"]').first
        if isinstance(value, bytes):
            field.set_input_files({"name": "answer.zip", "mimeType": "application/zip", "buffer": value})
        elif isinstance(value, bool):
            field.set_checked(value)
        elif field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(str(value))

    def follow(self, text: str, *, of: str = "") -> Person:
        """Press a link."""
        self.page.get_by_role("link", name=f"{text} {of}".strip(), exact=True).first.click()
        self.page.wait_for_load_state()
        return self

    def api(self) -> httpx.Client:
        return self.served.api(self.actor)

    def close(self) -> None:
        self.context.close()
        assert not self.errors, f"scripts failed: {self.errors}"
