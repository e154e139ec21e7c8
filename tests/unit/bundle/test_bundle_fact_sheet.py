"""The fact sheet: questions and answers (contract.md 1.10, 4.13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bundle_maker import GOOD, codes, report, spec

from codabench.bundle.fact_sheet import check_answers

SHEET = """\
fact_sheet:
  net: {key: net, type: checkbox, title: A net?, selection: [true, false], is_required: "false", is_on_leaderboard: no}
  how: {key: how, type: select, title: How?, selection: ["", a, b], is_required: false, is_on_leaderboard: "true"}
  team: {key: team, type: text, title: Team, selection: "", is_required: "true", is_on_leaderboard: true}
"""
FINE: dict[str, Any] = {"net": True, "how": "a", "team": "Reds"}


def test_questions(tmp_path: Path) -> None:
    net, how, team = spec(tmp_path, GOOD + SHEET).fact_sheet
    assert (net.selection, how.selection, team.selection) == ((True, False), ("", "a", "b"), ())
    assert [q.is_required for q in (net, how, team)] == [False, False, True]
    assert [q.is_on_leaderboard for q in (net, how, team)] == [False, True, True]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("key: net, ", "", ["CB120"]),
        ("key: net", "key: web", ["CB122"]),
        ("type: checkbox", "type: radio", ["CB104"]),
        ("selection: [true, false]", "selection: yes and no", ["CB123"]),
        ("selection: [true, false]", "selection: [[1]]", ["CB123"]),
        ("is_on_leaderboard: no}", "is_on_leaderboard: no, colour: red}", ["CB121"]),
        ('is_required: "false"', "is_required: perhaps", ["CB102"]),
        ("{key: net, type: checkbox,", "[key, net,", None),
    ],
)
def test_questions_that_are_wrong(before: str, after: str, expected: list[str] | None, tmp_path: Path) -> None:
    assert before in SHEET
    found = report(tmp_path, GOOD + SHEET.replace(before, after, 1))
    assert not found.ok
    if expected is not None:
        assert codes(found) == expected


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None),
        ({"net": "true"}, None),
        ({"how": ""}, None),
        ({"net": "maybe"}, "CB127"),
        ({"net": 1}, "CB127"),
        ({"net": None}, "CB127"),
        ({"how": "c"}, "CB127"),
        ({"how": True}, "CB127"),
        ({"team": ""}, "CB128"),
        ({"team": "  "}, "CB128"),
        ({"team": None}, "CB128"),
        ({"team": ["Reds"]}, "CB127"),
        ({"shoe_size": "44"}, "CB126"),
    ],
)
def test_answers(change: dict[str, Any], code: str | None, tmp_path: Path) -> None:
    questions = spec(tmp_path, GOOD + SHEET).fact_sheet
    assert [p.code for p in check_answers(questions, FINE | change)] == ([code] if code else [])


def test_missing_answers(tmp_path: Path) -> None:
    questions = spec(tmp_path, GOOD + SHEET).fact_sheet
    assert [p.code for p in check_answers(questions, {"team": "Reds"})] == ["CB125", "CB125"]
    assert [p.code for p in check_answers(questions, None)] == ["CB128"]
    assert [p.code for p in check_answers(questions, [("team", "Reds")])] == ["CB129"]  # type: ignore[arg-type]
    assert check_answers(questions[:2], None) == []
    assert check_answers((), None) == []
    assert [p.code for p in check_answers((), {"a": 1})] == ["CB126"]
