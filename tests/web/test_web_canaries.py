"""What is secret is seen by nobody whom it does not concern: every GET of a site, with every number, key and link.

Canaries lie where secrets lie. The twin of each test: those whom they concern find every one of them the same way.
"""

from __future__ import annotations

import html
import io
import itertools
import re
import zipfile
from collections.abc import Iterator

import pytest
from board_lab import over
from hosting_lab import YAML, bundle, hosted, zipped
from site_lab import Clock, close_site, make_site, person
from starlette.testclient import TestClient
from upload_lab import sent
from web_lab import browser

from codabench.core.competition import DataRole
from codabench.core.problems import Problem, Severity
from codabench.core.records import LogRecord, StepResult
from codabench.core.trees import TreeRef
from codabench.db.site_tables import NUMBER
from codabench.site.numbers import Kind
from codabench.site.site import Site
from codabench.web.routing import routes_of

SECRET = {
    "truth/labels.csv": b"CANARY-TRUTH\n",
    "scoring/score.py": b"# CANARY-PROGRAM\n",
    "inputs.zip": zipped({"x.csv": b"CANARY-INPUT\n"}),
}
OPEN = """\
registration_auto_approve: true
can_participants_make_submissions_public: true
fact_sheet:
  phone: {key: phone, type: text, title: Phone, selection: "", is_required: "false", is_on_leaderboard: "false"}
"""
HIDDEN_COLUMN = (
    "key: time, index: 1, sorting: asc}\n      - {title: CANARY-COLUMN, key: other, index: 2, hidden: true}\n"
)
OTHERS = ("nobody", "carol", "daniel")
"""Not signed in, signed in, takes part in everything that can be taken part in."""
CONCERNED = ("annie", "bobby")
"""Organizes; submitted."""
_LINK = re.compile(
    r"(?:http://127\.0\.0\.1:8000)?(/(?:files|datasets|competitions|tasks|api|profiles|jobs)/[^\s\"'<>\\]*)"
)


SECRET_ROLES = (DataRole.REFERENCE_DATA, DataRole.SCORING_PROGRAM, DataRole.INPUT_DATA)


class Place:
    """Three competitions: one with secrets in it, one whose board is hidden, one that is not published."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.people = {name: person(site, name, email=f"canary-{name}@example.org") for name in OTHERS[1:] + CONCERNED}
        text = YAML.format(more=OPEN)
        column = text.replace("key: time, index: 1, sorting: asc}\n", HIDDEN_COLUMN)
        board = text.replace(
            "title: Board\n    key: board\n", "title: CANARY-BOARD\n    key: board\n    hidden: true\n"
        )
        draft = text.replace("Wheat seeds", "CANARY-TITLE")
        assert len({text, column, board, draft}) == 4
        annie = self.people["annie"]
        self.main, self.hidden = (
            hosted(site, annie, bundle(files=SECRET, text=t), published=True) for t in (column, board)
        )
        pages = {"overview.md": b"CANARY-PAGE\n", "kit/readme.md": b"CANARY-KIT\n"}
        self.draft = hosted(site, annie, bundle(files=pages, text=draft))
        site.competitions.edit(annie, self.main, {"whitelist": ["canary-white@example.org"]})
        for id, name in itertools.product((self.main, self.hidden), ("bobby", "daniel")):
            site.registrations.register(self.people[name], id)
        self._submit(self.main, {"score": 0.5, "time": 1.0, "other": 0.7654321}, board=True)
        self._submit(self.hidden, {"score": 0.8675309, "time": 1.0}, board=True)
        self._submit(self.main, None)
        files = [dataset for id in (self.main, self.draft) for dataset in site.db.datasets(competition=id)]
        self.canaries = {
            "CANARY-TRUTH", "CANARY-PROGRAM", "CANARY-INPUT", "CANARY-COLUMN", "CANARY-BOARD", "CANARY-TITLE",
            "CANARY-PAGE", "CANARY-KIT", "CANARY-LOG", "CANARY-OUTPUT", "CANARY-FILE", "CANARY-PHONE", "CANARY-PROBLEM",
            "0.7654321", "0.8675309", "canary-bobby@", "canary-white@", site.db.hosted(self.draft).secret_key,
            *(dataset.key for dataset in files if dataset.type in SECRET_ROLES),
        }  # fmt: skip

    def _submit(self, id: str, scores: dict[str, float] | None, *, board: bool = False) -> None:
        site, bobby = self.site, self.people["bobby"]
        file = sent(site, bobby, zipped({"answer.csv": b"CANARY-FILE\n"}), file_name="CANARY-FILE.zip")
        task = site.db.tasks([site.db.competition(id).tasks[0].key or ""])[0].id
        made = site.submissions.create(bobby, id, 0, file.key, tasks=[task], fact_sheet={"phone": "CANARY-PHONE"})
        log = site.workspace.storage.put(b"CANARY-LOG\n")
        output = sent(site, self.people["annie"], zipped({"out.txt": b"CANARY-OUTPUT\n"})).content
        assert isinstance(output, TreeRef)
        logs = (LogRecord(name="scoring_stdout", blob=log, total=11),)
        steps = (StepResult(name="scoring", output=output, logs=logs),)
        problem = None if scores else Problem(code="CB501", severity=Severity.ERROR, message="CANARY-PROBLEM")
        (run,) = site.db.runs_of(made.id)
        over(site, run, scores, steps=steps, problem=problem)
        if board:
            site.workspace.choose(made.id)

    # ------------------------------------------------------------------ what somebody finds
    def numbers(self, path: str, name: str) -> list[object]:
        """What can be put for a parameter of a route: what there is, and a little more."""
        if name == "key":
            known = self.site.db.datasets()
            return [dataset.key for dataset in known] + [self.main, self.draft]
        if name == "name":
            return [*self.people, "stranger"]
        if name in ("what", "by", "button", "secret", "ticket"):
            return ["tasks", "users", "delete", "x"]
        if name == "place":
            return [0, 1]
        kinds = {"submission_scores": Kind.SCORE, "submissions": Kind.SUBMISSION, "phases": Kind.PHASE}
        kinds |= {"leaderboards": Kind.BOARD, "can_make_submission": Kind.PHASE, "competitions": Kind.COMPETITION}
        subject = "submissions" if name == "submission" else path.removeprefix("/api/").strip("/").split("/")[0]
        if subject in kinds and not path.endswith("creation_status/"):
            with self.site.db._read() as db:
                rows = db.execute(NUMBER.select().where(NUMBER.c.kind == kinds[subject].value))
                return [row.id for row in rows]
        return list(range(1, 20))

    def found(self, name: str) -> set[str]:
        """The canaries that somebody sees on a walk over every GET, and over the links in what is answered."""
        with browser(self.site, self.people.get(name)) as client:
            # Who asks with a key may be told it.
            return {c for path, text in self._walk(client) for c in self.canaries if c in text and c not in path}

    def _walk(self, client: TestClient) -> Iterator[tuple[str, str]]:
        todo = [
            path
            for route in routes_of(client.app)
            if "GET" in (route.methods or ())
            for path in self._paths(route.path)
        ]
        seen: set[str] = set()
        while todo:
            path = todo.pop()
            if path in seen or path.partition("?")[0].endswith(("/events", "/logout/")):
                continue
            seen.add(path)
            answer = client.get(path)
            assert answer.status_code < 500, f"{path}: {answer.text}"
            heads = " ".join(value for reply in (*answer.history, answer) for value in reply.headers.values())
            yield from ((path, text) for text in (heads, *_texts(answer.content)))
            if path.startswith("/files/"):
                continue
            links = (html.unescape(link) for link in _LINK.findall(answer.text))
            todo += [link for link in links if link.startswith("/files/") or link.count("/") <= 6]

    def _paths(self, path: str) -> Iterator[str]:
        names = re.findall(r"\{(\w+)(?::int)?\}", path)
        for values in itertools.product(*(self.numbers(path, name) for name in names)):
            filled = path
            for name, value in zip(names, values, strict=True):
                filled = re.sub(rf"\{{{name}(?::int)?\}}", str(value), filled)
            yield filled


def _texts(data: bytes) -> Iterator[str]:
    """What is answered, and what lies in it if that is an archive."""
    yield data.decode("utf-8", "replace")
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                yield member.filename
                yield from _texts(archive.read(member))


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    site = make_site(Clock())
    yield Place(site)
    close_site(site)


@pytest.mark.parametrize("name", OTHERS)
def test_nobody_sees_what_does_not_concern_them(place: Place, name: str) -> None:
    assert place.found(name) == set()


def test_those_whom_they_concern_see_every_one(place: Place) -> None:
    assert set().union(*(place.found(name) for name in CONCERNED)) == place.canaries
