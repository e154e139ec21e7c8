"""A person with a browser that has no scripts: looks at pages, fills in their forms, presses their buttons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx
from page_rules import wrong_with
from starlette.testclient import TestClient
from web_lab import browser

from codabench.site.actors import Actor
from codabench.site.site import Site
from codabench.web.identity import HEADER

FileGiven = tuple[str, bytes]


@dataclass
class Form:
    """A form of a page: where it goes, what its fields hold, the texts of its buttons with what each sends.

    Attributes
    ----------
    choices
        Boxes beside it that may be ticked for it.
    """

    action: str
    method: str
    enctype: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    choices: list[tuple[str, str]] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    buttons: list[tuple[str, tuple[str, str] | None]] = field(default_factory=list)


class Forms(HTMLParser):
    """Reads the forms of a page, as a browser does."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._button: list[str] | None = None
        self._sends: tuple[str, str] | None = None
        self._area: tuple[str, list[str]] | None = None
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._apart: list[tuple[str, str, str]] = []
        self._ids: dict[str, Form] = {}
        self.feed(page)
        for id, name, value in self._apart:  # fields that stand outside of their form
            self._ids[id].names.add(name)
            self._ids[id].choices.append((name, value))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            kind = found.get("enctype", "application/x-www-form-urlencoded")
            self._form = Form(found.get("action", ""), found.get("method", "get").lower(), kind)
            self.forms.append(self._form)
            self._ids[found.get("id", "")] = self._form
        if "form" in found:
            self._apart.append((found["form"], found.get("name", ""), found.get("value", "")))
            return
        if self._form is None:
            return
        name = found.get("name", "")
        if tag == "input" and name:
            self._input(name, found)
        elif tag == "button" and found.get("type", "submit") == "submit":
            self._button, self._sends = [], (name, found.get("value", "")) if name else None
        elif tag == "textarea":
            self._area = name, []
        elif tag == "select":
            self._select = name, []
        elif tag == "option" and self._select is not None:
            self._select[1].append((found.get("value", ""), "selected" in found))

    def _input(self, name: str, found: Mapping[str, str]) -> None:
        assert self._form is not None
        self._form.names.add(name)
        kind = found.get("type", "text")
        if kind == "file":
            self._form.files.add(name)
        elif kind not in ("checkbox", "radio") or "checked" in found:
            self._form.fields.append((name, found.get("value", "on" if kind == "checkbox" else "")))

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._button.append(data)
        if self._area is not None:
            self._area[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "form":
            self._form = None
        elif tag == "button" and self._button is not None:
            self._form.buttons.append((" ".join("".join(self._button).split()), self._sends))
            self._button = None
        elif tag == "textarea" and self._area is not None:
            self._form.names.add(self._area[0])
            self._form.fields.append((self._area[0], "".join(self._area[1]).removeprefix("\n")))
            self._area = None
        elif tag == "select" and self._select is not None:
            name, options = self._select
            self._form.names.add(name)
            chosen = [value for value, is_chosen in options if is_chosen] or [value for value, _ in options[:1]]
            self._form.fields += [(name, value) for value in chosen]
            self._select = None


class Browser:
    """One browser of somebody.

    Attributes
    ----------
    answer
        The page that is shown; each is looked at for what has to hold for all (`page_rules`).
    """

    _answer: httpx.Response

    def __init__(self, site: Site, actor: Actor | None = None) -> None:
        self.client: TestClient = browser(site, actor)
        self.client.headers.pop(HEADER, None)  # only what stands in a form shows where it came from

    @property
    def answer(self) -> httpx.Response:
        return self._answer

    @answer.setter
    def answer(self, answer: httpx.Response) -> None:
        self._answer = answer
        if answer.headers.get("content-type", "").startswith("text/html"):
            wrong = wrong_with(answer.text)
            assert not wrong, f"{answer.url}: {wrong}"

    @property
    def text(self) -> str:
        """The page, without what is no text."""
        return self.answer.text

    @property
    def words(self) -> str:
        """What somebody reads on it."""
        found = re.search(r"<main.*?</main>", self.answer.text, re.DOTALL)
        return " ".join(re.sub(r"<[^>]*>", " ", found[0] if found else "").split())

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def path(self) -> str:
        return self.answer.url.path

    def open(self, url: str) -> Browser:
        """Look at a page."""
        self.answer = self.client.get(url)
        return self

    def follow(self, link: str) -> Browser:
        """Press a link by its text."""
        for href, inner in re.findall(r'<a[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', self.text, re.DOTALL):
            if " ".join(re.sub(r"<[^>]*>", "", inner).split()) == link:
                return self.open(urljoin(str(self.answer.url), href.replace("&amp;", "&")))
        raise AssertionError(f"no link {link!r} on {self.path}: {self.words}")

    def forms(self) -> list[Form]:
        """The forms of the page."""
        return Forms(self.text).forms

    def form(self, button: str) -> tuple[Form, tuple[str, str] | None]:
        """The first form that has this button."""
        for form in self.forms():
            for text, sends in form.buttons:
                if text == button:
                    return form, sends
        raise AssertionError(f"no button {button!r} on {self.path}: {self.words}")

    def press(self, button: str, files: Mapping[str, FileGiven] | None = None, **fields: Any) -> Browser:
        """Fill in fields of the form that has this button, and press it; what is not named stays as it is.

        Parameters
        ----------
        files
            Field -> (name of the file, its bytes).
        fields
            A text; a list of them, where a field may have several; False: not ticked.
        """
        form, sends = self.form(button)
        unknown = {*fields, *(files or ())} - form.names
        assert not unknown, f"the form of {button!r} has no {unknown}; it has {sorted(form.names)}"
        values: dict[str, list[str]] = {}
        for name, value in form.fields:
            if name not in fields:
                values.setdefault(name, []).append(value)
        for name, value in fields.items():
            if value is not False:
                values[name] = [str(each) for each in value] if isinstance(value, list) else [str(value)]
        if sends is not None:
            values.setdefault(sends[0], []).append(sends[1])
        target = urljoin(str(self.answer.url), form.action or self.path)
        if form.method == "get":
            self.answer = self.client.get(target, params=values)
        elif form.enctype == "multipart/form-data":
            given = files or {}
            sent = [(name, given.get(name, ("", b""))) for name in sorted(form.files)]
            self.answer = self.client.post(target, data=values, files=sent)
        else:
            self.answer = self.client.post(target, data=values)
        return self
