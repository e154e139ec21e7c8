"""What a program of a competition reads and writes, and where.

A copy of this file lies beside each program that was written from a function. It needs Python 3.7 or later and nothing
else, because the images of programs do not have the library that wrote it.
"""

from __future__ import annotations

import csv
import html
import importlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>Detailed results</title><style>
body{font:15px/1.5 system-ui,sans-serif;margin:2em;color:#1a1f26;background:#fff}
table{border-collapse:collapse;margin:.5em 0 1.5em}th,td{border:1px solid #d5dae1;padding:.25em .7em;text-align:right}
th{background:#f3f6fa}pre{background:#f3f6fa;padding:.7em;overflow-x:auto}
</style></head><body>
"""


class Details:
    """The page of detailed results, in the order in which its parts are added."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    def text(self, text: object, title: str = "") -> None:
        """Add text; its lines stay as they are."""
        self._add(title, f"<pre>{html.escape(str(text))}</pre>")

    def html(self, markup: str, title: str = "") -> None:
        """Add HTML as it is; it is shown in a frame that may run nothing."""
        self._add(title, markup)

    def table(self, data: Any, title: str = "") -> None:
        """Add a data frame, a mapping, a list of mappings or a list of rows; every cell is escaped."""
        head, rows = _cells(data)
        lines = [_row("th", head)] if head else []
        lines += [_row("td", row) for row in rows]
        joined = "\n".join(lines)
        self._add(title, f"<table>\n{joined}\n</table>")

    def page(self) -> str:
        """The whole page."""
        return _PAGE + "\n".join(self._parts) + "\n</body></html>\n"

    def _add(self, title: str, part: str) -> None:
        self._parts.append((f"<h2>{html.escape(title)}</h2>\n" if title else "") + part)


def _cells(data: Any) -> tuple[list[Any], list[list[Any]]]:
    if hasattr(data, "itertuples") and hasattr(data, "columns"):
        return ["", *data.columns], [list(row) for row in data.itertuples()]
    if hasattr(data, "items"):
        return [], [[key, value] for key, value in data.items()]
    rows = list(data)
    if rows and all(isinstance(row, dict) for row in rows):
        head = list(dict.fromkeys(key for row in rows for key in row))
        return head, [[row.get(key, "") for key in head] for row in rows]
    return [], [list(row) for row in rows]


def _row(tag: str, cells: Iterable[Any]) -> str:
    joined = "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)
    return f"<tr>{joined}</tr>"


class Submission:
    """The files that were submitted.

    Attributes
    ----------
    path
        The directory that holds them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, name: str) -> Any:
        """What the submission calls ``module:name``; the module itself where no name is given."""
        module, _, attribute = name.partition(":")
        if str(self.path) not in sys.path:
            sys.path.insert(0, str(self.path))
        found: Any = importlib.import_module(module)
        for part in attribute.split(".") if attribute else ():
            found = getattr(found, part)
        return found

    def create(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A new object of the class ``module:name``."""
        return self.load(name)(*args, **kwargs)


class IngestionIO:
    """What an ingestion program has.

    Attributes
    ----------
    input
        The directory of the input data; None where the task has none.
    output
        Where predictions are written to.
    shared
        A directory that the programs of a step share.
    submission
        What was submitted.
    """

    def __init__(self, data: Path | None, output: Path, shared: Path, submission: Submission) -> None:
        self._input, self.output, self.shared, self.submission = data, output, shared, submission

    @property
    def input(self) -> Path:
        return _given(self._input, "input data")


class ScoringIO:
    """What a scoring program has.

    Attributes
    ----------
    predictions
        The directory with what ingestion, or the submission itself, wrote.
    reference
        The directory of the reference data.
    input
        The directory of the input data: only where ingestion runs during scoring.
    output
        Where scores are written to; files that are left there are kept.
    shared
        A directory that the programs of a step share.
    details
        The page of detailed results.
    """

    def __init__(self, predictions: Path, reference: Path, data: Path | None, output: Path, shared: Path) -> None:
        self.predictions, self.reference, self.output, self.shared = predictions, reference, output, shared
        self._input = data
        self.details = Details()

    def items(self, scores: Any, ids: Any = None) -> None:
        """Write the score of each item to ``scores_per_item.csv``, for intervals on the leaderboard.

        Parameters
        ----------
        scores
            Column key -> a number for each item; the mean over the items is the score of the column.
        ids
            What items are called, each of them differently; None: their numbers.
        """
        columns = {str(key): [_number(str(key), value) for value in values] for key, values in scores.items()}
        count = len(next(iter(columns.values()), []))
        named = [str(name) for name in (range(count) if ids is None else ids)]
        if any(len(values) != len(named) for values in columns.values()):
            raise ValueError("there is not one number in each column for each item")
        with open(self.output / "scores_per_item.csv", "w", encoding="utf-8", newline="") as stream:
            lines = csv.writer(stream)
            lines.writerow(["item", *columns])
            lines.writerows(zip(named, *columns.values()))  # noqa: B905 - older images have no strict

    @property
    def input(self) -> Path:
        return _given(self._input, "input data")


def _given(path: Path | None, what: str) -> Path:
    if path is None:
        raise FileNotFoundError(f"this program is given no {what}")
    return path


def run_ingestion(function: Callable[[Any], Any], io: IngestionIO) -> None:
    """Call an ingestion function."""
    function(io)


def run_scoring(function: Callable[[Any], Any], io: ScoringIO) -> None:
    """Call a scoring function and write what it returns to ``scores.json``, and its page if it made one."""
    scores = function(io)
    if not hasattr(scores, "items"):
        kind = type(scores).__name__
        raise TypeError(f"a scoring function returns a dict of column key to number, this one returned {kind}")
    written = {str(key): _number(str(key), value) for key, value in scores.items()}
    (io.output / "scores.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    if io.details:
        (io.output / "detailed_results.html").write_text(io.details.page(), encoding="utf-8")


def _number(key: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        shown = repr(value)
        raise TypeError(f"the score {key!r} is no number: {shown if len(shown) < 60 else shown[:57] + '...'}") from None


def main(kind: str, function: Callable[[Any], Any]) -> None:
    """Run a program from the command line, whose words say where everything is."""
    given = [Path(word) for word in sys.argv[1:]]
    if kind == "scoring":
        received, data, output, shared = given
        present = data if data.is_dir() else None
        run_scoring(function, ScoringIO(received / "res", received / "ref", present, output, shared))
    else:
        data, output, shared, submitted = given
        present = data if data.is_dir() else None
        run_ingestion(function, IngestionIO(present, output, shared, Submission(submitted)))
