"""H06, W01, W02, W03, W15, W18: things of others by their numbers, in lists, in questions to the database, by rights
that ended, and in pictures; each with its twin."""

from __future__ import annotations

import io
import re
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from board_lab import number, scored
from hosting_lab import YAML, bundle, hosted
from PIL import Image, PngImagePlugin
from site_lab import Clock, close_site, make_site, person
from upload_lab import sent
from web_lab import robot

from codabench.core.errors import Invalid
from codabench.site import accounts
from codabench.site.actors import OPERATOR, Actor
from codabench.site.policy import Policy
from codabench.site.site import Site
from codabench.web.routing import routes_of
from codabench.web.security import SAFE

CANARY = "CANARY-7f3a"
SCORES = {"score": 0.73219, "time": 1}


@pytest.fixture
def site() -> Iterator[Site]:
    made = make_site(Clock())
    yield made
    close_site(made)


def nobody_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Policy, "require", lambda *_asked: None)
    monkeypatch.setattr(Policy, "allows", lambda *_asked: True)


# ---------------------------------------------------------------------- W01, W03: by number
class Theirs:
    """What somebody keeps to herself: a competition that is not published, and all that is in it."""

    def __init__(self, site: Site) -> None:
        self.site, self.annie = site, person(site, "annie")
        text = YAML.format(more="").replace("Wheat seeds", CANARY).replace("name: First", f"name: {CANARY}")
        self.id = hosted(site, self.annie, bundle(text=text))
        self.dataset = sent(site, self.annie, name=CANARY, description=CANARY)
        made = scored(site, self.id, self.annie, SCORES, SCORES, name=f"{CANARY}.zip")
        self.submission = number(site, made)
        tasks = [t.key for t in site.db.competition(self.id).tasks if t.key]
        self.task = site.db.tasks(tasks)[0].id

    def numbers(self) -> set[int]:
        """Of everything that may stand in an address."""
        return {self.submission, self.task, self.dataset.id or 0, self.site.competitions.number(self.id), 1, 2}

    def state(self) -> str:
        """All of it, as it is stored."""
        db = self.site.db
        found = (db.hosted(self.id), db.dataset(self.dataset.key), db.task_numbered(self.task), db.competition(self.id))
        return repr((*found, self.site.submissions.get(self.annie, self.submission)))


def addresses(client: Any, theirs: Theirs, *, changing: bool) -> Iterator[tuple[str, str]]:
    for route in routes_of(client.app):
        path = str(route.path)
        verbs = sorted(verb for verb in (route.methods or ()) if (verb not in SAFE) is changing and verb != "HEAD")
        if "{" not in path or path.endswith("/events") or (changing and not path.startswith("/api/")):
            continue
        for each in sorted(theirs.numbers()):
            yield from ((verb, re.sub(r"\{[^}]*\}", str(each), path)) for verb in verbs)


def read(site: Site, theirs: Theirs, who: Actor | None) -> list[str]:
    """The addresses that show somebody what is not meant for them."""
    client = robot(site, who)
    asked = (path for _, path in addresses(client, theirs, changing=False))
    return [path for path in asked if CANARY in client.get(path).text]


@pytest.mark.row("W01", "W03")
@pytest.mark.parametrize("name", ["carol", None])
def test_numbers_open_nothing(site: Site, name: str | None) -> None:
    theirs = Theirs(site)
    assert read(site, theirs, person(site, name) if name else None) == []


@pytest.mark.twin("W01", "W03")
def test_where_nobody_decides_numbers_open_everything(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, carol = Theirs(site), person(site, "carol")
    nobody_decides(monkeypatch)
    assert len(read(site, theirs, carol)) > 5


@pytest.mark.row("W01")
def test_numbers_change_nothing(site: Site) -> None:
    theirs, client = Theirs(site), robot(site, person(site, "carol"))
    before, broken = theirs.state(), []
    for verb, path in addresses(client, theirs, changing=True):
        answer = client.request(verb, path, json={"title": "x", "name": "x", "published": True, "score": 9})
        if answer.status_code >= 500:
            broken.append((verb, path))
    assert theirs.state() == before
    assert broken == []


# ---------------------------------------------------------------------- W02: several at once
def left_of(site: Site) -> list[bool]:
    """Delete one of one's own together with one of somebody else: which are still there."""
    annie, carol = person(site, "annie"), person(site, "carol")
    mine, theirs = sent(site, carol), sent(site, annie)
    robot(site, carol).post("/api/datasets/delete_many/", json=[mine.id, theirs.id])
    return [
        each.key in {d.key for d in site.datasets.list(who).items} for each, who in ((mine, carol), (theirs, annie))
    ]


@pytest.mark.row("W02")
def test_several_are_deleted_all_or_none(site: Site) -> None:
    assert left_of(site) == [True, True]


@pytest.mark.twin("W02")
def test_where_nobody_decides_those_of_others_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Policy, "require", lambda *_asked: None)
    assert left_of(site) == [False, False]


# ---------------------------------------------------------------------- W15: questions that become commands
WORDS = [
    "' OR '1'='1", "%' OR '1'='1' --", "') OR 1=1 --", "x' UNION SELECT username FROM account --", "%' OR 'a' LIKE '%",
    "'; DROP TABLE account; --", "\\' OR 1=1 --", "1) OR (1=1", "%", "_____", "a' OR rowid > 0 --",
]  # fmt: skip


def found_with(site: Site, carol: Actor, word: str) -> int:
    """How many things such a word finds: there is nothing that it names."""
    client = robot(site, carol)
    asked = [
        client.get("/api/user_lookup/", params={"q": word}),
        client.get("/api/datasets/", params={"search": word, "_public": "true", "ordering": word, "type": word}),
        client.get("/api/competitions/public/", params={"search": word, "ordering": word}),
        client.get("/api/submissions/", params={"search": word, "status": word, "ordering": word}),
        client.get("/competitions/public/", params={"search": word, "ordering": word}),
    ]
    assert max(each.status_code for each in asked) < 500
    return sum("annie" in each.text or "Wheat seeds" in each.text for each in asked)


@pytest.mark.row("W15")
def test_words_are_only_words(site: Site) -> None:
    annie, carol = person(site, "annie"), person(site, "carol")
    hosted(site, annie, published=True)
    assert {word: many for word in WORDS if (many := found_with(site, carol, word))} == {}
    assert site.db.account_named("annie") is not None


@pytest.mark.twin("W15")
def test_words_that_are_put_into_a_command_find_everything() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE account (username)")
    db.execute("INSERT INTO account VALUES ('annie')")

    def naive(word: str) -> int:
        try:
            return len(db.execute(f"SELECT * FROM account WHERE username LIKE '%{word}%'").fetchall())
        except (sqlite3.Error, sqlite3.Warning, ValueError):
            return 0

    assert len([word for word in WORDS if naive(word)]) >= 5


# ---------------------------------------------------------------------- W18: rights that ended
def after_it_ended(site: Site) -> list[int]:
    """What those are answered who were administrator and collaborator a moment ago."""
    root, annie, bobby = person(site, "rooty", is_superuser=True), person(site, "annie"), person(site, "bobby")
    person(site, "other", is_superuser=True)
    id = hosted(site, annie)
    site.competitions.edit(annie, id, {"collaborators": [bobby.account]})
    path = f"/api/competitions/{site.competitions.number(id)}/"
    first, second = robot(site, root), robot(site, bobby)
    assert [first.get("/admin/").status_code, second.patch(path, json={"title": "x"}).status_code] == [200, 200]
    site.accounts.set_flags(OPERATOR, root.account or 0, is_superuser=False)
    site.competitions.edit(annie, id, {"collaborators": []})
    return [first.get("/admin/").status_code, second.patch(path, json={"title": "y"}).status_code]


@pytest.mark.row("W18")
def test_a_right_ends_when_it_is_taken(site: Site) -> None:
    assert after_it_ended(site) == [403, 403]


@pytest.mark.twin("W18")
def test_who_is_remembered_keeps_every_right(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Actor] = {}
    ask = site.credentials.actor

    def remembered(secret: str, *kinds: Any) -> Actor:
        return known[secret] if secret in known else known.setdefault(secret, ask(secret, *kinds))

    monkeypatch.setattr(site.credentials, "actor", remembered)
    assert after_it_ended(site)[0] == 200


# ---------------------------------------------------------------------- H06: pictures
SCRIPT = b"<script>alert(1)</script>"


def png(width: int, height: int, after: bytes = b"") -> bytes:
    """A picture of one colour, whatever its size: a few bytes that are many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes((width + 7) // 8 + 1) * min(height, 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"") + after


def saved(kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (300, 200), "green").save(out, kind, **more)
    return out.getvalue()


def noted() -> PngImagePlugin.PngInfo:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", SCRIPT.decode())
    return notes


PICTURES = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg">' + SCRIPT + b"</svg>",
    "page": SCRIPT,
    "page after a picture": png(8, 8, SCRIPT),
    "picture and program": b"GIF89a/*" + SCRIPT + b"*/=1;",
    "note in a PNG": saved("PNG", pnginfo=noted()),
    "note of a camera": saved("JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00" + SCRIPT, comment=SCRIPT),
    "too many pixels": png(50_000, 50_000, SCRIPT),
    "half": png(64, 64)[:-20] + SCRIPT,
}


def shown(site: Site) -> list[str]:
    """Which pictures carry their script to those who look at a profile."""
    annie, harmful = person(site, "annie"), []
    for name, data in PICTURES.items():
        try:
            site.accounts.set_photo(annie, annie.account or 0, data)
        except Invalid:
            continue
        if SCRIPT in (site.accounts.photo(annie, annie.account or 0) or b""):
            harmful.append(name)
    return harmful


@pytest.mark.row("H06")
def test_a_picture_is_a_picture_and_nothing_else(site: Site) -> None:
    assert shown(site) == []


@pytest.mark.twin("H06")
def test_as_they_come_pictures_bring_scripts_along(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "square", lambda data, _side: data)
    assert len(shown(site)) == len(PICTURES)
