"""What holds for every page, whatever is on it: `Browser` looks at each one that it is shown."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "details",
        "div",
        "dl",
        "fieldset",
        "form",
        "h1",
        "h2",
        "h3",
        "hr",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "ul",
    ]
)
"""Before each of these a browser ends the paragraph in which it stands."""
_OPTIONAL = frozenset(["li", "dd", "dt", "option", "p", "tr", "td", "th", "thead", "tbody"])


class Looked(HTMLParser):
    """Reads a page and notes what is wrong with it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._ids, self._labels = Counter[str](), set[str]()
        self._fields: list[tuple[str, str]] = []
        self._headings, self._open = 0, list[str]()
        self._form: tuple[str, str] | None = None
        self._marked = False
        self.feed(page)
        self.close()
        self._judge()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag in _BLOCKS and self._open and self._open[-1] == "p":
            self.wrong.append(f"a paragraph that <{tag} {found}> ends before its </p>")
        if tag not in _VOID:
            self._open.append(tag)
        if "id" in found:
            self._ids[found["id"]] += 1
        self._headings += tag == "h1"
        self._safe(tag, found)
        if tag == "form":
            self._form, self._marked = (found.get("method", "get"), found.get("action", "")), False
        elif tag == "label":
            self._labels.add(found.get("for", ""))
        elif tag in ("input", "select", "textarea"):
            self._field(tag, found)
        elif tag == "img" and "alt" not in found:
            self.wrong.append(f"an image without words: {found}")

    def _safe(self, tag: str, found: dict[str, str]) -> None:
        bad = [name for name in found if name == "style" or name.startswith("on")]
        if bad:
            self.wrong.append(f"<{tag}> has {bad}, which our policy forbids")
        if tag == "script" and not found.get("src", "").startswith("/static/"):
            self.wrong.append(f"a script that is not ours: {found}")
        if tag == "link" and not found.get("href", "").startswith("/static/"):
            self.wrong.append(f"a file that is not ours: {found}")

    def _field(self, tag: str, found: dict[str, str]) -> None:
        if found.get("type") == "hidden":
            self._marked |= found.get("name") == "csrf"
        elif "aria-label" not in found:
            self._fields.append((tag, found.get("id", "")))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open[-1] != tag and self._open[-1] in _OPTIONAL:
            self._open.pop()
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing, or something else")
        if tag == "form" and self._form is not None:
            if self._form[0] == "post" and not self._marked:
                self.wrong.append(f"the form for {self._form[1]} does not show where it comes from")
            self._form = None

    def _judge(self) -> None:
        self.wrong += [f"{count} elements are called {id}" for id, count in self._ids.items() if count > 1]
        self.wrong += [f"<{tag} id={id!r}> has no label" for tag, id in self._fields if id not in self._labels]
        if self._headings != 1:
            self.wrong.append(f"{self._headings} headings of the first order")


def wrong_with(page: str) -> list[str]:
    """What is wrong with the HTML of a page."""
    return Looked(page).wrong
