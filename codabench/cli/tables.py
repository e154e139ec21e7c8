"""Tables of text in a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from codabench.core.grid import grid


def room() -> int | None:
    """Columns of the terminal, or of ``COLUMNS``; None for a pipe or a file, for which nothing is cut."""
    import shutil

    seen = os.environ.get("COLUMNS") or sys.stdout.isatty()
    return shutil.get_terminal_size((100, 24)).columns if seen else None


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, right: str = "", elastic: str = "") -> str:
    """A table that fits the terminal; see `codabench.core.grid.grid`."""
    return grid(heads, rows, right=right, elastic=elastic, width=room())
