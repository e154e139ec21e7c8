"""Leaderboards of a competition as pages: tables that are sorted by their headings, a chart, and exports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from codabench.core.competition import ColumnSpec, Sorting
from codabench.core.errors import NotFound, Refused
from codabench.site.board_rows import Cell, ShownBoard, ShownRow
from codabench.site.policy import Action
from codabench.web.pages.view import Read
from codabench.web.rendering import environment
from codabench.web.routing import decides

router = APIRouter(include_in_schema=False)

ROWS = 100
"""Of one page."""


class Heading(NamedTuple):
    """A column of scores.

    Attributes
    ----------
    task
        Index of the task; None: over all tasks.
    sort
        How an address names it.
    mark
        Whether larger or smaller is better, for those who see and for those who listen.
    """

    task: int | str | None
    spec: ColumnSpec
    sort: str
    is_primary: bool

    @property
    def mark(self) -> tuple[str, str]:
        return ("▲", "larger is better") if self.spec.sorting is Sorting.DESC else ("▼", "smaller is better")

    def cell(self, row: ShownRow) -> Cell:
        cells = row.cells if self.task is None else row.per_task.get(self.task, {})
        return cells.get(self.spec.key, Cell(None, "n/a"))


@router.get("/competitions/{number:int}/results/", openapi_extra=decides(Action.BOARD_READ))
def results(
    view: Read,
    phase: str = "",
    board: Annotated[int, Query(ge=0)] = 0,
    sort: str = "",
    search: str = "",
    page: Annotated[int, Query(ge=1)] = 1,
) -> HTMLResponse:
    """The leaderboard of a phase."""
    chosen = view.chosen(phase)
    heads = view.site.boards.list(view.actor, view.id, key=view.key)
    known = {"phase": chosen, "heads": heads, "place": board, "shown": None, "sort": sort, "search": search}
    if not heads:
        return view.page("results.html", "results", **known)
    try:
        shown = view.site.boards.read(view.actor, view.id, board, phase=chosen.index, key=view.key)
    except Refused:
        raise NotFound("there is no such leaderboard, or not for you") from None
    headings, found = _headings(shown), _found(shown.rows, search)
    pages = max(1, math.ceil(len(found) / ROWS))
    page = min(page, pages)

    def write(board: ShownBoard) -> bytes:
        rows = _sorted(found, headings, sort)[(page - 1) * ROWS : page * ROWS]
        values = {"view": view, "rows": rows, "headings": headings, "questions": board.questions}
        return environment().get_template("competition/board_rows.html").render(values).encode()

    # What somebody searches for, or comes to by a secret link, is seldom asked for again.
    form = f"page {page} by {sort}"
    seldom = search or view.key or (sort and sort.removeprefix("-") not in {each.sort for each in headings})
    body = write(shown) if seldom else view.site.boards.written(view.actor, shown, form, write)
    known |= {
        "shown": shown,
        "headings": headings,
        "groups": _groups(shown, headings),
        "body": Markup(body.decode()),  # noqa: S704 - written by a template, which escapes
        "found": len(found),
        "number": page,
        "pages": pages,
        "draws": bool(shown.rows) and _draws(),
    }
    return view.page("results.html", "results", **known)


@lru_cache
def _draws() -> bool:
    """Whether this installation draws charts."""
    return all(find_spec(name) for name in ("altair", "vl_convert"))


def _headings(board: ShownBoard) -> list[Heading]:
    """With several tasks, one group of columns for each of them after those of the whole (platform.md O29)."""
    primary = board.head.spec.primary_index
    places: list[int | str | None] = [None]
    if len(board.tasks) > 1:
        places += [task.index for task in board.tasks]
    return [
        Heading(task, c.spec, f"{c.spec.key}@{'' if task is None else task}", task is None and c.spec.index == primary)
        for task in places
        for c in board.columns
    ]


def _groups(board: ShownBoard, headings: Sequence[Heading]) -> list[tuple[str, int]]:
    """(name, how many columns) of what stands above the headings."""
    if len(board.tasks) < 2 or not board.columns:
        return []
    return [("All tasks", len(board.columns)), *((task.name, len(board.columns)) for task in board.tasks)]


def _found(rows: Sequence[ShownRow], search: str) -> list[ShownRow]:
    words = search.strip().casefold()
    return [row for row in rows if words in row.name.casefold() or words in str(row.number)]


def _sorted(rows: list[ShownRow], headings: Sequence[Heading], sort: str) -> list[ShownRow]:
    """By a column, best or (with ``-``) worst first; those without a value last. No other change of the order."""
    wanted = next((h for h in headings if h.sort == sort.removeprefix("-")), None)
    if wanted is None:
        return rows
    reverse = (wanted.spec.sorting is Sorting.DESC) != sort.startswith("-")
    have = [(value, row) for row in rows if (value := wanted.cell(row).value) is not None]
    have.sort(key=lambda each: each[0], reverse=reverse)
    return [row for _, row in have] + [row for row in rows if wanted.cell(row).value is None]


@router.get("/competitions/{number:int}/results/chart.svg", openapi_extra=decides(Action.BOARD_READ))
def chart(view: Read, phase: Annotated[int, Query(ge=0)] = 0, board: Annotated[int, Query(ge=0)] = 0) -> Response:
    """The leaderboard of a phase as a picture."""
    drawn = view.site.boards.svg(view.actor, view.id, board, phase=phase, key=view.key)
    return Response(drawn, media_type="image/svg+xml", headers={"cache-control": "private, no-cache"})
