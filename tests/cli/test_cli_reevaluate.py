"""``codabench reevaluate``: plan, carry out, compare, promote; exit codes and the one JSON document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rescored import MENDED, make, revise, submitted
from typer.testing import CliRunner, Result

import codabench as cb
from codabench.cli.app import app


def filled(folder: Path) -> Path:
    """A workspace with three submissions, and a scoring program that was mended since."""
    with cb.load(make(folder / "bundle")) as loaded, cb.Workspace(folder / "lab", backend="process") as ws:
        comp = ws.add(loaded)
        answers: list[dict[str, Any]] = [{"score": 1}, {"score": 2}, {"score": 3, "label": "bad"}]
        submitted(comp, folder, answers, backend="process")
        broken = MENDED.replace("time.sleep", 'assert answer.get("label") != "bad"\ntime.sleep')
        revise(comp, folder / "v2", broken)
    return folder / "lab"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return filled(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for commands that change nothing."""
    return filled(tmp_path_factory.mktemp("untouched"))


def call(lab: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["reevaluate", "Tiny", "--workspace", str(lab), *words])


def document(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_from_plan_to_promotion(lab: Path) -> None:
    plan = call(lab)
    assert plan.exit_code == 0
    assert "score only  3   scoring program r1 → r2" in plan.stdout
    assert document(call(lab, "--plan", "--json"))["runs"] == {"score": 3, "full": 0, "impossible": 0, "current": 0}

    ran = call(lab, "--execute", "--note", "issue 12", "--json")
    assert ran.exit_code == 1, "a run failed"
    batch = document(ran)["batch"]
    assert batch["progress"] == {
        "batch": batch["id"], "total": 3, "finished": 2, "failed": 1, "cancelled": 0, "left": 0,
    }  # fmt: skip
    assert batch["failures"][0]["raised"] == "AssertionError score.py:4"

    diff = call(lab, "--diff")
    assert (diff.exit_code, "2 rescored · 2 scores changed" in diff.stdout) == (0, True)
    assert document(call(lab, "--diff", "--json", "--batch", batch["id"][:6]))["failed"] == 1
    promoted = call(lab, "--promote", "--json")
    assert (promoted.exit_code, document(promoted)["promoted"]) == (0, 2)
    assert call(lab, "--promote").exit_code == 2, "it is promoted already"
    assert "up to date  2" in call(lab).stdout


def test_too_many_failures(lab: Path) -> None:
    ran = call(lab, "--execute", "--max-failures", "0", "--where", "submission=s2", "--json")
    assert ran.exit_code == 1
    found = document(ran)
    assert (found["ok"], found["error"]["code"], found["failures"][0]["names"]) == (False, "CB650", ["s2"])
    text = call(lab, "--execute", "--max-failures", "0.5", "--where", "participant=p2")
    assert text.exit_code == 1
    assert "error[CB650]: stopped: 1 of 1 run failed" in text.stderr
    assert "1 failure, 1 cause" in text.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--plan", "--execute"),
        ("--where", "finishd"),
        ("--where", "team=x"),
        ("--reuse", "sometimes"),
        ("--execute", "--max-failures", "1.5"),
        ("--diff",),
        ("--promote",),
        ("--diff", "--batch", "nothing"),
        ("--task", "Second"),
    ],
)
def test_what_cannot_be_meant(untouched: Path, words: tuple[str, ...]) -> None:
    result = call(untouched, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error[CB" in result.stderr
