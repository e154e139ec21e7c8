"""Problems as text: places, carets, what is escaped."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.core.errors import BundleError
from codabench.core.problems import Location, Problem, Severity
from codabench.core.report import Report, render_problem


def problem(severity: Severity = Severity.ERROR, message: str = "wrong", **more: object) -> Problem:
    return Problem.model_validate({"code": "CB101", "severity": severity, "message": message, **more})


def place(text: str, begin: int, end: int | None = None, **more: object) -> Location:
    return Location.model_validate(
        {"file": "competition.yaml", "line": 7, "column": begin, "end_column": end, "excerpt": text, **more}
    )


def cells(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def carets(where: Location) -> str:
    """What a reader of a terminal sees above the carets."""
    *_, source, below = render_problem(problem(where=where)).splitlines()
    source, below = source.split(" | ", 1)[1], below.split(" | ", 1)[1]
    begin, end = len(below) - len(below.lstrip()), len(below)
    seen, at = "", 0
    for char in source:
        if begin <= at < end:
            seen += char
        at += cells(char)
    return seen


@pytest.mark.parametrize(
    ("where", "marked"),
    [
        (place("titel: Iris", 1, 6), "titel"),
        (place("\tend: x", 2, 5), "end"),
        (place("a: \x1b[31mred", 4, 12), "\\x1b[31mred"),
        (place("\x1b\x1bkey: v", 3, 6), "key"),
        (place("名前: 値 x", 7, 8), "x"),
        (place("e\u0301te\u0301: x", 8, 9), "x"),
        (place("x" * 500 + "HERE" + "y" * 500, 501, 505), "HERE"),
        (place("whole line", 1), "whole line"),
        (place("to its end", 4, 3, end_line=9), "its end"),
        (place("abc", 2, 2), "b"),
    ],
)
def test_carets_stand_under_the_place(where: Location, marked: str) -> None:
    assert carets(where) == marked


@given(st.text(), st.integers(1, 40), st.one_of(st.none(), st.integers(1, 60)))
def test_any_line_can_be_shown(text: str, begin: int, end: int | None) -> None:
    shown = render_problem(problem(where=place(text, begin, end)))
    assert len(shown.splitlines()) == 5
    assert all(line.isprintable() for line in shown.splitlines())
    assert shown.splitlines()[-1].endswith("^")
    assert len(shown.splitlines()[3]) < 200


def test_a_whole_problem() -> None:
    also = (Location(file="competition.yaml", line=12, column=1, end_column=6, excerpt="title: Other"),)
    found = problem(hint="remove one", where=place("title: Iris", 1, 6), also=also)
    assert render_problem(found) == "\n".join(
        [
            "error[CB101]: wrong",
            "  --> competition.yaml:7:1",
            "   |",
            " 7 | title: Iris",
            "   | ^^^^^",
            "  ::: competition.yaml:12:1",
            "   |",
            "12 | title: Other",
            "   | -----",
            "   = help: remove one",
        ]
    )


def test_a_problem_without_a_place() -> None:
    assert render_problem(problem(Severity.NOTE)) == "note[CB101]: wrong"
    assert render_problem(problem(where=Location(file="a/b"))) == "error[CB101]: wrong\n --> a/b"


def test_hostile_names_and_messages_are_escaped() -> None:
    shown = render_problem(problem(message="a\x1b[2Jb", hint="\u202ec", where=Location(file="\x07bell")))
    assert shown == "error[CB101]: a\\x1b[2Jb\n --> \\x07bell\n  = help: \\u202ec"


def test_a_report_counts_and_raises() -> None:
    report = Report(source="x", problems=(problem(Severity.NOTE), problem(), problem(Severity.WARNING)), files=2)
    assert (report.ok, len(report), [p.severity.value for p in report]) == (False, 3, ["note", "error", "warning"])
    assert str(report).endswith("✗ 2 files checked · 1 error, 1 warning, 1 note")
    with pytest.raises(BundleError, match=r"\[CB101\] 1 error in x") as caught:
        report.raise_for_errors()
    assert caught.value.report is report
    warned = Report(source="x", problems=(problem(Severity.WARNING),), files=1)
    warned.raise_for_errors()
    assert warned.summary() == "✓ 1 file checked · 0 errors, 1 warning, 0 notes"


def test_html_of_a_report_is_escaped() -> None:
    report = Report(source="x", problems=(problem(message="<script>alert(1)</script>"),))
    assert "<script>" not in report._repr_html_()
    assert "&lt;script&gt;" in report._repr_html_()


def test_the_shape_of_check_json() -> None:
    assert problem(where=place("x", 1)).to_dict() == {
        "code": "CB101",
        "severity": "error",
        "message": "wrong",
        "file": "competition.yaml",
        "line": 7,
        "column": 1,
        "hint": None,
        "fix": None,
    }
