"""Every link of every page leads to a page, for whoever sees it; and what is secret is on none of them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from board_lab import scored
from hosting_lab import YAML, bundle, hosted, uploaded, zipped
from pages_lab import Browser
from site_lab import person
from submission_lab import competition

from codabench.core.competition import DataRole
from codabench.site.actors import Actor
from codabench.site.site import Site

MANY = 400
"""More pages than there are."""


def links(page: str) -> Iterator[str]:
    for href in re.findall(r"<a\b[^>]*?\bhref=\"([^\"]*)\"", page):
        yield html.unescape(href)


def kind_of(url: str) -> tuple[str, tuple[str, ...]]:
    """Links that differ only in what a query says are of one kind."""
    parts = urlsplit(url)
    return parts.path, tuple(sorted(name for name, _ in parse_qsl(parts.query, keep_blank_values=True)))


def crawl(me: Browser, *begin: str) -> dict[str, str]:
    """Address -> page, of all that links lead to."""
    found: dict[str, str] = {}
    waiting, seen = [(start, "the beginning") for start in begin], {kind_of(start) for start in begin}
    while waiting and len(found) < MANY:
        url, of = waiting.pop()
        me.open(url)
        assert me.status == 200, f"{of} has a link to {url}, which answers {me.status}: {me.words}"
        if not me.answer.headers["content-type"].startswith("text/html"):
            continue
        found[url] = me.text
        for href in links(me.text):
            target = urljoin(str(me.answer.url), href).partition("#")[0]
            if not target.startswith("http://127.0.0.1:8000/"):
                continue
            path = target.removeprefix("http://127.0.0.1:8000")
            if kind_of(path) not in seen and not path.startswith(("/files/", "/uploads/")):
                seen.add(kind_of(path))
                waiting.append((path, url))
    return found


@pytest.fixture
def people(site: Site) -> dict[str, Actor | None]:
    """A site on which something goes on: an open competition with a board, one that is not published, files."""
    alice, bob = person(site, "alice"), person(site, "bobby")
    root = person(site, "admin1", is_superuser=True)
    id = competition(site, alice, bob)
    scored(site, id, bob, {"score": 0.5, "time": 2.0}, None)
    text = YAML.format(more="").replace("Wheat seeds", "CANARY-TITLE").replace("First", "CANARY-TASK")
    hosted(site, root, bundle(text=text))
    uploaded(site, root, zipped({"x": b"1"}), role=DataRole.INPUT_DATA)
    shared = uploaded(site, alice, zipped({"x": b"1"}), role=DataRole.PUBLIC_DATA)
    site.datasets.edit(alice, shared.id, {"is_public": True})
    site.credentials.make_token(alice, alice.account or 0, name="CANARY-TOKEN")
    return {"nobody": None, "participant": bob, "organizer": alice, "administrator": root}


@pytest.mark.row("W03")
@pytest.mark.parametrize("who", ["nobody", "participant", "organizer", "administrator"])
def test_every_link_leads_somewhere(site: Site, people: dict[str, Actor | None], who: str) -> None:
    found = crawl(Browser(site, people[who]), "/", "/server_status/", "/competitions/", "/tasks/")
    assert 10 < len(found) < MANY
    everything = "\n".join(found.values())
    assert "SECRET-LABELS" not in everything
    assert ("CANARY-TITLE" in everything) == (who == "administrator")
    assert ("CANARY-TASK" in everything) == (who == "administrator")
    assert ("CANARY-TOKEN" in everything) == (who == "organizer")
