"""Plots: drawn here, not empty, and harmless whatever submissions are called."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta

import altair
import pytest

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.core.errors import MissingExtra, StorageError, UsageError
from codabench.leaderboard import Entry, rank
from codabench.leaderboard.analysis import analyse
from codabench.leaderboard.diff import compare
from codabench.leaderboard.events import Scored, Submitted
from codabench.leaderboard.history import history
from codabench.leaderboard.items import ItemScores
from codabench.leaderboard.plots import MOST_ROWS, board_plot, history_plot

EVIL = "</script><script>canary()</script><svg onload=canary()>&\"'\u202e"
AT = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = LeaderboardSpec(
    key="b",
    title=f"Board {EVIL}",
    columns=(
        ColumnSpec(key="acc", title=f"Acc {EVIL}", index=0),
        ColumnSpec(key="sec", title="Seconds", index=1, sorting="asc"),
        ColumnSpec(key="nothing", title="Nothing at all", index=2),
    ),
)
TAGS = {"svg", "g", "path", "line", "rect", "text", "tspan", "title", "desc", "clipPath", "defs", "style"}


def board(*values):
    return rank(
        SPEC,
        [
            Entry(submission=f"s{n}", participant="p", created_at=AT, sequence=n, tasks={0: {"acc": v, "sec": n}})
            for n, v in enumerate(values)
        ],
    )


def everyone(made):
    return {row.submission: f"{row.submission}{EVIL}" for row in made.rows}


RULE = 'aria-roledescription="rule mark"'


def marks(svg):
    return len(re.findall(r'aria-roledescription="(?:point|line mark|rule mark|circle)"|role="graphics-symbol"', svg))


def boards():
    made = board(0.9, 0.8, 0.5)
    items = {
        (f"s{n}", 0): ItemScores(tuple(f"q{i}" for i in range(40)), {"acc": (1.0,) * k + (0.0,) * (40 - k)})
        for n, k in enumerate((36, 32, 20))
    }
    return board_plot(made, everyone(made), {"acc": analyse(made, items)})


def diffs():
    before, after = board(0.9, 0.8, 0.5), board(0.1, 0.8, 0.9, 0.95)
    return compare(before, after, everyone(after)).plot()


def histories():
    events = [
        *(Submitted(AT, f"s{n}", f"{n % 3}{EVIL}", tasks=(0,)) for n in range(9)),
        *(Scored(AT + timedelta(hours=n), f"s{n}", {0: {"acc": n / 10}}) for n in range(9)),
    ]
    return history_plot(history(SPEC, events, until=AT + timedelta(days=1)))


@pytest.fixture(scope="module", params=[boards, diffs, histories], ids=lambda f: f.__name__)
def plot(request):
    return request.param()


@pytest.mark.row("H07")
def test_it_is_a_drawing_and_nothing_else(plot):
    svg = plot.svg()
    root = ElementTree.fromstring(svg)
    elements = list(root.iter())
    assert {e.tag.rpartition("}")[2] for e in elements} <= TAGS
    attributes = {name.lower() for e in elements for name in e.attrib}
    assert not [name for name in attributes if name.startswith("on") or "href" in name]
    assert "\u202e" not in svg
    assert "canary" in "".join(root.itertext()), "the names are there, as texts"
    assert marks(svg) >= 3


@pytest.mark.row("H07")
def test_nothing_is_harmful_in_the_chart_either(plot):
    """Altair writes its data into a script as it is."""
    assert "<" not in plot.chart.to_json()
    page = plot.chart.to_html()
    assert "script>canary" not in page
    assert "‹/script›‹script›canary" in page or "\\u2039/script\\u203a\\u2039script\\u203acanary" in page


@pytest.mark.twin("H07")
def test_a_name_as_it_is_would_break_out():
    """The twin: why there is no ``<`` in a chart."""
    chart = altair.Chart(altair.Data(values=[{"name": EVIL}])).mark_point().encode(x="name:N")
    assert "</script><script>canary()" in chart.to_html()


@pytest.mark.parametrize(("name", "begins"), [("a.svg", b"<svg"), ("b.PNG", b"\x89PNG"), ("c.json", b"{")])
def test_it_is_written(plot, tmp_path, name, begins):
    plot.save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    assert data.startswith(begins)
    assert len(data) > 1000


def test_where_it_cannot_be_written(plot, tmp_path):
    with pytest.raises(UsageError, match=r"cannot be written as '\.pdf'"):
        plot.save(tmp_path / "a.pdf")
    with pytest.raises(StorageError, match="No such file"):
        plot.save(tmp_path / "there" / "a.svg")


def test_a_notebook_shows_the_drawing(plot):
    bundle = plot._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert bundle["text/plain"].startswith("Plot 'Board ")
    assert bundle["text/plain"].isprintable()


def test_intervals_are_drawn_where_they_are_known():
    made = board(0.9, 0.8)
    plain, known = board_plot(made, {}, {}), boards()
    assert RULE not in plain.svg()
    assert known.svg().count(RULE) == 3
    assert "Nothing at all" not in plain.svg(), "a column without a value has no panel"


def test_of_many_the_first_are_drawn():
    made = board(*(n / 100 for n in range(99)))
    svg = board_plot(made, {}, {}).svg()
    assert f"the first {MOST_ROWS} of 99" in "".join(ElementTree.fromstring(svg).itertext())
    assert compare(made, board(*(n / 90 for n in range(90)))).plot().svg()
    assert board_plot(board(), {}, {}).svg()
    assert compare(board(), board()).plot().svg()
    assert history_plot(history(SPEC, [], until=AT)).svg()


@pytest.mark.parametrize(("module", "named"), [("altair", "altair"), ("vl_convert", "vl-convert-python")])
def test_what_is_missing_is_said(monkeypatch, module, named):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=named) as caught:
        board_plot(board(1), {}, {})
    assert caught.value.code == "CB370"
    assert caught.value.hint == "pip install 'codabench[plot]'"


def test_the_specification_is_vega_lite(plot, tmp_path):
    plot.save(tmp_path / "a.json")
    assert "vega-lite" in json.loads((tmp_path / "a.json").read_text())["$schema"]
