"""What objects show in a notebook: static, small, in the colours of the reader, and harmless by any name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

import codabench as cb
from codabench.core import markup
from codabench.core.competition import ColumnSpec, CompetitionSpec, LeaderboardSpec, TaskSpec
from codabench.core.problems import Location, Problem, Severity
from codabench.workspace import progress as showing
from codabench.workspace.display import competition_html

pytestmark = pytest.mark.filterwarnings("ignore:.*CB690")

CANARY = "</pre></td><script>canary(1)</script><img src=x onerror=canary(2)>\u202e\x1b[31m'\"`"
TAGS = {
    *(
        "div",
        "style",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "h4",
        "p",
        "b",
        "i",
        "small",
        "pre",
        "span",
    ),
    *("details", "summary", "ul", "li"),
}


class Page(HTMLParser):
    """Which tags and attributes a page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.open, f"</{tag}> ends nothing"
        while self.open.pop() != tag:
            pass


def harmless(page: str) -> bool:
    """Only our own tags, no attribute that does something, nothing from elsewhere, and small."""
    found = Page(page)
    assert found.tags <= TAGS, found.tags - TAGS
    assert found.attributes <= {"class", "scope", "title", "colspan", "open"}, found.attributes
    assert found.open == [], "every tag is closed"
    assert not re.search(r"url\(|@import|https?:", page.partition("</style>")[0])
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert len(page.encode()) < 20_000
    return True


@cb.scoring
def score(io: cb.ScoringIO) -> dict[str, float]:
    text = (io.predictions / "a.txt").read_text()
    if "fail" in text:
        raise ValueError(text)
    return {"acc": float(text)}


@pytest.fixture(scope="module")
def comp() -> Iterator[cb.Competition]:
    made = cb.Competition(
        title=CANARY,
        tasks=[cb.Task(name=CANARY, scoring_program=score), cb.Task(name="b", scoring_program=score)],
        phases=[cb.Phase(name=CANARY, start="2020-01-01")],
        columns=[cb.Column(key="acc", title="<img src=x onerror=canary(1)>")],
    )
    for text in ("0.5", "fail" + CANARY, "0.7"):
        made.run(
            {"a.txt": text},
            backend="inline",
            name=text + CANARY,
            participant=CANARY,
            params={CANARY: 1},
            progress="none",
        )
    yield made
    made.close()


@pytest.mark.row("H07")
def test_what_there_is_to_see(comp: cb.Competition) -> None:
    good, bad, _ = comp.submissions()
    board = comp.leaderboard()
    pages = {
        "competition": comp._repr_html_(),
        "submission": good._repr_html_(),
        "failed submission": bad._repr_html_(),
        "run": good.runs[0]._repr_html_(),
        "failed run": bad.runs[0]._repr_html_(),
        "board": board._repr_html_(),
        "statistics": board.statistics()._repr_html_(),
        "report": comp.check()._repr_html_(),
    }
    for what, page in pages.items():
        assert harmless(page), what
        assert "canary(1)" in page or what in ("run", "report"), what
        assert f"cb-{what.split()[-1]}" in page
    assert "Finished" in pages["submission"]
    assert "ValueError" in pages["failed run"]
    assert "0.50" in pages["board"]
    assert "larger is better" in pages["competition"]


@pytest.mark.twin("H07")
def test_what_is_tested_here_would_be_seen() -> None:
    """The twin: a page that does not escape is found out."""
    for page in (f"<p>{CANARY}", "<p onclick=x></p>", "<a></a>", "<p>", "x" * 20_000, "<style>a{b:url(x)}</style>"):
        with pytest.raises(AssertionError):
            harmless(page)


@pytest.mark.row("H07")
def test_texts_have_no_marks_of_terminals(comp: cb.Competition) -> None:
    board = comp.leaderboard()
    shown = [comp, *comp.submissions(), board, board.statistics(), comp.check(), comp.submissions()[0].runs[0]]
    for thing in shown:
        assert repr(thing).replace("\n", "").isprintable(), type(thing)


def test_many_things_are_counted() -> None:
    many = [Problem(code="CB101", severity=Severity.ERROR, message=f"{n} " + "x" * 300) for n in range(500)]
    many[0] = many[0].model_copy(update={"where": Location(file="f", line=1, column=1, excerpt="y" * 9999)})
    page = cb.Report(source=CANARY, problems=tuple(many))._repr_html_()
    assert harmless(page)
    assert re.search(r"… 4\d\d more problems", page)
    columns = tuple(ColumnSpec(key=f"c{n}", title="T" * 500, index=n) for n in range(90))
    spec = CompetitionSpec(
        title="x" * 9999,
        tasks=tuple(TaskSpec(index=n, name=f"{n}" + "t" * 500) for n in range(90)),
        leaderboards=(LeaderboardSpec(key="b", title="B" * 900, columns=columns),),
    )
    assert harmless(competition_html(spec))
    assert "… 60 more" in competition_html(spec)


def test_both_halves_of_the_day() -> None:
    page = markup.block("x")
    assert "prefers-color-scheme:dark" in page
    assert "--jp-content-font-color1" in page
    assert markup.note("a", "bad") == '<p class="bad">a</p>'


# ---------------------------------------------------------------- progress
class Display:
    """What a notebook was given."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Display:
        assert raw
        assert display_id
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        self.shown[-1] = bundle


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Display:
    display = pytest.importorskip("IPython.display")
    screen = Display()
    monkeypatch.setattr(display, "display", screen.display)
    monkeypatch.setattr(showing, "in_notebook", lambda: True)
    return screen


def test_progress_is_one_display_that_ends_with_the_last_state(comp: cb.Competition, notebook: Display) -> None:
    comp.run_many([{"a.txt": "0.1"}, {"a.txt": "fail"}], backend="inline", name=CANARY)
    (last,) = notebook.shown
    assert harmless(last["text/html"])
    assert last["text/html"].count("Finished") == last["text/html"].count("Failed") == 2
    assert "Failed" in last["text/plain"]


def test_of_many_runs_those_that_are_not_finished_are_listed(notebook: Display) -> None:
    shown = showing.NotebookProgress()
    for n in range(100):
        line = shown.lines.setdefault(f"r{n}", showing.Line(f"{n}" + "x" * 500))
        line.status = cb.Status.FINISHED if n < 90 else cb.Status.FAILED
    shown.close()
    (last,) = notebook.shown
    assert harmless(last["text/html"])
    assert "100 of 100 done" in last["text/html"]
    assert last["text/html"].count("Failed") == 10
    assert "Finished" not in last["text/html"]


def test_there_is_nothing_to_see_outside_a_notebook(capsys: pytest.CaptureFixture[str], comp: cb.Competition) -> None:
    comp.run({"a.txt": "0.1"}, backend="inline")
    assert capsys.readouterr() == ("", "")
