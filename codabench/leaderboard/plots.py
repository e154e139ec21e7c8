"""Plots of boards, histories and differences: built with Altair, drawn here as SVG and PNG, without a network.

Names come from strangers. What is shown is a drawing, whose texts are texts. Altair itself writes its data into a
script; so that a chart stays harmless there too, no text of a chart contains ``<``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codabench.core import markup
from codabench.core.competition import ColumnSpec, Sorting
from codabench.core.errors import MissingExtra, StorageError, UsageError
from codabench.core.text import distinct, plural, printable
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.diff import BoardDiff, Change
from codabench.leaderboard.values import display

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codabench.leaderboard.history import History
    from codabench.leaderboard.statistics import Statistics

MOST_ROWS = 40
"""Submissions in a plot: more cannot be read."""
MOST_PANELS = 6
"""Columns in a plot of a board."""
MOST_LINES = 10
"""Participants in a plot of a history: more colours cannot be told apart."""
_BLUE, _GREY, _GREEN, _RED = "#2a6fb0", "#6b7482", "#1a7f37", "#c62828"


class Plot:
    """A drawing: a notebook shows it, `save` writes it.

    Attributes
    ----------
    chart
        The Altair chart, to be changed further. Altair's own display of it needs a browser with a network.
    """

    def __init__(self, chart: Any, title: str) -> None:
        self.chart, self._title = chart, title

    def svg(self) -> str:
        """The drawing as SVG, on white."""
        return str(_module("vl_convert").vegalite_to_svg(self.chart.to_json()))

    def png(self, *, scale: float = 2) -> bytes:
        """The drawing as PNG."""
        return bytes(_module("vl_convert").vegalite_to_png(self.chart.to_json(), scale=scale))

    def save(self, dest: str | os.PathLike[str]) -> None:
        """Write it: ``.svg``, ``.png``, or ``.json`` for the Vega-Lite specification.

        Raises
        ------
        UsageError
            ``CB353``: another ending.
        StorageError
            `dest` cannot be written.
        """
        path = Path(dest)
        kind = path.suffix.lower()
        if kind == ".svg":
            data = self.svg().encode()
        elif kind == ".png":
            data = self.png()
        elif kind == ".json":
            data = str(self.chart.to_json()).encode()
        else:
            message = f"a plot cannot be written as {printable(path.suffix or path.name)!r}"
            raise UsageError(message, code="CB353", hint="name a file that ends in .svg, .png or .json")
        try:
            path.write_bytes(data)
        except OSError as error:
            why = error.strerror or str(error)
            raise StorageError(f"{printable(str(path))} cannot be written: {why}", code="CB704") from error

    def __repr__(self) -> str:
        return f"Plot {printable(self._title)!r}: .save('plot.svg'), .chart"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        missing = "altair" if name == "altair" else "vl-convert-python"
        raise MissingExtra(f"plots need {missing}", hint="pip install 'codabench[plot]'") from None


def altair() -> Any:
    """Altair, and what draws without a browser.

    Raises
    ------
    MissingExtra
        One of them is not installed; the message says what to install.
    """
    _module("vl_convert")
    return _module("altair")


def board_plot(board: Board, names: Mapping[str, str], statistics: Mapping[str, Statistics]) -> Plot:
    """Dots by rank, a panel for each visible column, with intervals where they are known.

    Parameters
    ----------
    statistics
        By the key of the column.
    """
    alt = altair()
    rows = board.rows[:MOST_ROWS]
    labels = [f"#{r.rank} {text(names.get(r.submission, r.submission))}" for r in rows]
    filled = [c for c in board.columns if any(r.scores.get(c.key) is not None for r in rows)] or list(board.columns)
    panels = [
        _panel(alt, column, rows, labels, statistics.get(column.key), first=place == 0)
        for place, column in enumerate(filled[:MOST_PANELS])
    ]
    total = max(board.total, len(board.rows))
    left = f", the first {len(rows)} of {plural(total, 'submission')}" if total > len(rows) else ""
    title = f"{text(board.leaderboard.title)}{left}"
    return Plot(_finished(alt.hconcat(*panels, spacing=18).properties(title=title)), title)


def _panel(
    alt: Any, column: ColumnSpec, rows: Sequence[Row], labels: list[str], known: Statistics | None, *, first: bool
) -> Any:
    values = []
    for row, label in zip(rows, labels, strict=True):
        value = row.scores.get(column.key)
        evidence = known.evidence(row.submission) if known else None
        shown = {"label": label, "value": value, "text": display(value, column.precision)}
        interval = {"low": evidence.low, "high": evidence.high} if evidence and evidence.low is not None else {}
        values.append({**shown, **interval})
    larger = column.sorting is Sorting.DESC
    heading = [text(column.title), "larger is better →" if larger else "← smaller is better"]
    axis = alt.Axis(title=None, labelLimit=260, ticks=False, domain=False, labels=first)
    y = alt.Y("label:N", sort=labels, axis=axis)
    base = alt.Chart(alt.Data(values=values), title=alt.Title(heading, fontSize=12, anchor="start"))
    tips = [alt.Tooltip("label:N", title="submission"), alt.Tooltip("text:N", title=text(column.title))]
    x = alt.X("value:Q", scale=alt.Scale(zero=False, nice=True, padding=8), title=None)
    dots = base.mark_point(filled=True, size=60, color=_BLUE, opacity=1).encode(x=x, y=y, tooltip=tips)
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, color=_BLUE, opacity=0.55)
    return (bars.encode(x=alt.X("low:Q", title=None), x2="high:Q", y=y) + dots).properties(width=220)


def diff_plot(diff: BoardDiff) -> Plot:
    """A line for each submission from its place before to its place after; those that moved stand out."""
    alt = altair()
    moved = sorted(diff.rows, key=lambda r: (r.change == 0, min(r.rank_before or 10**9, r.rank_after or 10**9)))
    values = [point for row in moved[:MOST_ROWS] for point in _ends(row)]
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=["up", "down", "same", "new or gone"], range=[_GREEN, _RED, _GREY, _BLUE]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    x = alt.X("when:O", sort=["before", "after"], title=None, axis=alt.Axis(labelAngle=0, orient="top", domain=False))
    y = alt.Y("rank:Q", scale=alt.Scale(reverse=True, nice=False, zero=False, padding=12), axis=None)
    base = alt.Chart(alt.Data(values=values)).encode(x=x, y=y, color=colour)
    lines = base.mark_line(point=alt.OverlayMarkDef(size=40), strokeWidth=2).encode(detail="id:N", tooltip="why:N")
    left = base.transform_filter("datum.when == 'before'").mark_text(align="right", dx=-9).encode(text="label:N")
    right = base.transform_filter("datum.when == 'after'").mark_text(align="left", dx=9).encode(text="label:N")
    height = 60 + 18 * max((v["rank"] for v in values), default=1)
    chart = (lines + left + right).properties(width=320, height=min(height, 900), title=text(diff.title))
    # Room for names on both sides: the axis would cut them.
    padded = chart.properties(padding={"left": 120, "right": 160, "top": 10, "bottom": 10})
    return Plot(_finished(padded), diff.title)


def _ends(row: Change) -> list[dict[str, Any]]:
    change = row.change
    kind = "new or gone" if change is None else "same" if change == 0 else "up" if change > 0 else "down"
    known = {"id": text(row.submission), "kind": kind, "why": text(row.reason, 120)}
    label = text(row.name, 24)
    both = (("before", row.rank_before), ("after", row.rank_after))
    return [{**known, "when": when, "rank": rank, "label": f"#{rank} {label}"} for when, rank in both if rank]


def history_plot(history: History) -> Plot:
    """The best value of each participant over time, as steps."""
    alt = altair()
    people = history.leaders(MOST_LINES)
    labels = dict(zip(people, distinct([text(p, 30) for p in people]), strict=True))
    values = [
        {"at": step.at.isoformat(), "value": step.value, "who": labels[step.participant], "what": text(step.name)}
        for step in history.extended()
        if step.participant in labels
    ]
    colour = alt.Color("who:N", sort=list(labels.values()), legend=alt.Legend(title="participant", labelLimit=220))
    x = alt.X("at:T", scale=alt.Scale(type="utc"), title="time (UTC)")
    word = "larger" if history.column.sorting is Sorting.DESC else "smaller"
    y = alt.Y("value:Q", scale=alt.Scale(zero=False), title=f"{text(history.column.title)}, {word} is better")
    base = alt.Chart(alt.Data(values=values)).encode(x=x, y=y, color=colour, tooltip=["who:N", "what:N", "value:Q"])
    drawn = base.mark_line(interpolate="step-after", strokeWidth=2) + base.mark_point(filled=True, size=30)
    return Plot(_finished(drawn.properties(width=560, height=300, title=text(history.title))), history.title)


def text(given: object, most: int = 40) -> str:
    """A text of a chart: one line, and no ``<`` with which it could end the script that Altair writes."""
    return markup.one_line(str(given), most).replace("<", "‹").replace(">", "›")


def _finished(chart: Any) -> Any:
    return chart.configure(background="white", font="system-ui, sans-serif").configure_view(stroke=None)
