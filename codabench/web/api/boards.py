"""Leaderboards and exported results by the calls of Codabench (platform.md 3.9, 3.10)."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from codabench.core.errors import Invalid
from codabench.site.board_rows import ShownBoard
from codabench.site.boards import Format
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.api.common import Asked, Number, format_of
from codabench.web.api.numbered import phase_of, secret_of
from codabench.web.api.shapes import Board, Entries, Leaderboard, board_of, leaderboard_of, rows_of
from codabench.web.identity import Who, site_of
from codabench.web.routing import decides, open_to_all

router = APIRouter(tags=["leaderboards"])


@router.get("/api/phases/{number}/get_leaderboard/", openapi_extra=decides(Action.BOARD_READ), response_model=Board)
def get_leaderboard(request: Request, actor: Who, number: Number) -> Response:
    """The leaderboard of a phase: a row for each submission, a group of columns for each task."""
    site = site_of(request)
    competition, phase = phase_of(site, number)
    board = site.boards.read(actor, competition, phase=phase, key=secret_of(request))

    # Written at once: to have thousands of values checked a second time takes longer than all the rest.
    def write(shown: ShownBoard) -> bytes:
        return board_of(shown, site.boards.score_numbers(actor, shown)).model_dump_json().encode()

    return Response(site.boards.written(actor, board, "json", write), media_type="application/json")


@router.get("/api/leaderboards/", openapi_extra=open_to_all("nothing is listed: leaderboards belong to competitions"))
def leaderboards() -> list[Leaderboard]:
    """Always empty: competitions tell which leaderboards they have."""
    return []


@router.get("/api/leaderboards/{number}/", openapi_extra=decides(Action.BOARD_READ))
def leaderboard(request: Request, actor: Who, number: Number) -> Entries:
    """A leaderboard with the rows of every phase."""
    site = site_of(request)
    secret = secret_of(request)
    head = site.boards.numbered(actor, number, key=secret)
    boards = site.boards.every_phase(actor, number, key=secret)
    rows = [row for board in boards for row in rows_of(board, site.boards.score_numbers(actor, board))]
    return Entries(**leaderboard_of(head).model_dump(), submissions=rows)


@router.get(
    "/api/competitions/{number}/results/",
    openapi_extra=decides(Action.RESULTS_EXPORT),
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in ("application/json", "text/csv", "application/zip")}}},
)
def results(request: Request, actor: Who, number: Number, phase: Asked = None) -> Response:
    """Everything that leaderboards have, as ``results.json``, ``results.csv`` or ``results.zip``."""
    site = site_of(request)
    competition, place = site.numbers.key(Kind.COMPETITION, number), None
    if phase is not None:
        of, place = phase_of(site, phase)
        if of != competition:
            raise Invalid({"phase": "It is no phase of this competition."})
    made = site.boards.export(actor, competition, phase=place, format=cast("Format", format_of(request)))
    name = f"attachment; filename*=UTF-8''{quote(made.name)}"
    return Response(made.data, media_type=made.media_type, headers={"content-disposition": name})
