"""Problems as annotations of GitHub: a workflow prints them, and they stand beside the lines of a pull request."""

from __future__ import annotations

import os
from pathlib import Path

from codabench.core.problems import Problem, Severity
from codabench.core.report import Report
from codabench.core.text import printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def annotated(report: Report) -> str:
    """One line for each problem, in the order of the report."""
    return "\n".join(_annotation(problem, report.source) for problem in report)


def _annotation(problem: Problem, source: str) -> str:
    properties = {**_place(problem, source), "title": problem.code}
    message = printable(problem.message) + (f"\nhelp: {printable(problem.hint)}" if problem.hint else "")
    listed = ",".join(f"{key}={_escape(printable(str(value)), ':,')}" for key, value in properties.items())
    return f"::{_COMMANDS[problem.severity]} {listed}::{_escape(message)}"


def _place(problem: Problem, source: str) -> dict[str, object]:
    """Where it is in the repository. What lies in an archive has no line there, so the archive is named."""
    where = problem.where
    if not Path(source).is_dir():
        return {"file": source}
    if where.file is None or where.file == source:
        return {"file": Path(source, "competition.yaml").as_posix()}
    place: dict[str, object] = {"file": Path(os.path.normpath(os.path.join(source, where.file))).as_posix()}
    if where.line is not None and Path(source, where.file).is_file():
        place |= {"line": where.line, "endLine": where.end_line or where.line}
        if where.column is not None:
            place |= {"col": where.column}
        if where.column is not None and where.end_column is not None:
            place |= {"endColumn": where.end_column}
    return place


def _escape(text: str, more: str = "") -> str:
    """As workflow commands demand it; nothing that a bundle says can begin a command of its own."""
    for character in ("%", "\r", "\n", *more):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
