"""Leaderboards: computed columns, several tasks, ranking, and how a board is shown. Pure; sees only ``core``.

>>> board = rank(spec, entries)          # doctest: +SKIP
>>> board.rows[0].submission             # doctest: +SKIP
>>> print(board_text(board))             # doctest: +SKIP
"""

from codabench.leaderboard.board import Board, Entry, Row
from codabench.leaderboard.page import board_html
from codabench.leaderboard.ranking import rank
from codabench.leaderboard.render import board_text
from codabench.leaderboard.values import Aggregation, display

__all__ = ["Aggregation", "Board", "Entry", "Row", "board_html", "board_text", "display", "rank"]
