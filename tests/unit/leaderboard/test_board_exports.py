"""Boards as the files that servers give organizers, and text that spreadsheets leave alone."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest

from codabench.core.competition import ColumnSpec, CompetitionSpec, LeaderboardSpec, PhaseSpec, TaskSpec
from codabench.leaderboard import Entry, rank
from codabench.leaderboard.exports import cell, full, results_csv, results_json, results_of, results_zip

AT = datetime(2026, 3, 1, tzinfo=UTC)
BOARD = LeaderboardSpec(
    key="b",
    title="Main",
    columns=(
        ColumnSpec(key="acc", title="Accuracy", index=0),
        ColumnSpec(key="sec", title="Seconds", index=1, sorting="asc", hidden=True),
        ColumnSpec(key="avg", title="Mean", index=2, computation="avg", computation_indexes=(0, 1)),
    ),
)
TASKS = (TaskSpec(index=3, name="One"), TaskSpec(index=7, name="Two"))
PHASES = tuple(PhaseSpec(index=n, name=f"P{n}", start=AT, tasks=(3, 7)[: n + 1]) for n in range(2))
SPEC = CompetitionSpec(title="C", tasks=TASKS, phases=PHASES, leaderboards=(BOARD,))


def exported(phase, **tasks):
    entries = [
        Entry(submission=who, participant=who, created_at=AT, tasks=scores, expected_tasks=PHASES[phase].tasks)
        for who, scores in tasks.items()
    ]
    return results_of(rank(BOARD, entries), SPEC, PHASES[phase], {"ann": {"method": "=1+1", "deep": True}})


TWO = {"ann": {3: {"acc": 0.5, "sec": 2.0}, 7: {"acc": 0.25}}, "bob": {3: {"acc": 1e-9}}}


def test_json():
    assert json.loads(results_json([exported(1, **TWO)])) == {
        "Main - P1(1)": {
            "ann-ann": {
                "fact_sheet_answers": {"method": "=1+1", "deep": True},
                "One(3)-Accuracy": "0.5000000000",
                "One(3)-Seconds": "2.0000000000",
                "One(3)-Mean": "1.2500000000",
                "Two(7)-Accuracy": "0.2500000000",
                "Two(7)-Seconds": "",
                "Two(7)-Mean": "0.2500000000",
            },
            "bob-bob": {
                "One(3)-Accuracy": "1e-09",
                "One(3)-Seconds": "",
                "One(3)-Mean": "1e-09",
                "Two(7)-Accuracy": "",
                "Two(7)-Seconds": "",
                "Two(7)-Mean": "",
            },
        }
    }


def test_csv():
    rows = list(csv.reader(io.StringIO(results_csv(exported(0, ann={3: {"acc": 0.5}}, bob={3: {"acc": -1}})))))
    assert rows[0] == ["Username", "fact_sheet_answers", "One(3)-Accuracy", "One(3)-Seconds", "One(3)-Mean"]
    assert rows[1] == ["ann-ann", '{"method": "=1+1", "deep": true}', "0.5000000000", "", "0.5000000000"]
    assert rows[2] == ["bob-bob", "", "-1.0000000000", "", "-1.0000000000"]
    assert results_csv(exported(0)) == ""


def test_zip():
    boards = [exported(0), exported(1, **TWO), exported(1, **TWO)]
    data = results_zip(boards)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["Main - P1(1).csv", "Main - P1(1) #2.csv"], (
            "a phase that nobody is in is left out"
        )
        assert archive.read("Main - P1(1).csv").decode() == results_csv(boards[1])
    assert results_zip(boards) == data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0.0000000000"),
        (1 / 3, "0.3333333333"),
        (1e300, "1e+300"),
        (-5e-324, "-5e-324"),
        (7.0, "7.0000000000"),
    ],
)
def test_numbers_in_full(value, text):
    assert full(value) == text


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_formula_is_text(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1.5", "+3", "-1e-09", "plain", "", 5, None, "a=b"])
def test_what_is_no_formula_stays(value):
    assert cell(value) == value
