"""docs/security.md says what the tests showed, and the tests are those that there are."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from codabench.testing.attacks import ATTACKS
from codabench.testing.attacks.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/bed"))
import security_table  # noqa: E402

RESULTS: list[dict[str, Any]] = json.loads(security_table.RESULTS.read_text())


def marked() -> set[tuple[str, str, str]]:
    """(row, kind, test) of every marker in the tests."""
    found = set()
    for place in security_table.TESTS:
        files = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).glob("test_*.py"))
        for file in files:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef):
                    name = f"{file.relative_to(ROOT)}::{node.name}"
                    found |= {(row, kind, name) for kind, rows in map(_marker, node.decorator_list) for row in rows}
    return found


def _marker(decorator: ast.expr) -> tuple[str, list[str]]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in ("pytest.mark.row", "pytest.mark.twin"):
        return ast.unparse(decorator.func).rpartition(".")[2], [ast.literal_eval(a) for a in decorator.args]
    return "", []


def test_the_table_is_what_the_results_say() -> None:
    assert security_table.TABLE.read_text() == security_table.render(RESULTS), "scripts/security-table --render"


def test_the_results_are_those_of_the_tests_that_there_are() -> None:
    battery = {f"tests/security/test_attacks.py::test_attack[{a.id}]" for a in ATTACKS}
    recorded = {(r["row"], r["kind"], r["test"]) for r in RESULTS}
    assert {each for each in recorded if each[2] not in battery} == marked(), "scripts/security-table"
    assert {test for _, _, test in recorded if "test_attack[" in test} == battery, "scripts/security-table"


def test_every_row_is_tested_or_says_why_not() -> None:
    assert len(ROWS) == 101
    for row in ROWS.values():
        shown = security_table.tested(RESULTS, row.id, "docker")
        assert shown is not bool(row.by_design or row.not_covered), row.id
        assert not (row.by_design and row.not_covered)


@pytest.mark.parametrize(("engine", "least"), [("docker", 50), ("podman", 45)])
def test_so_many_rows_are_tested(engine: str, least: int) -> None:
    assert sum(security_table.tested(RESULTS, row, engine) for row in ROWS) >= least


def test_an_attack_without_a_twin_is_not_tested() -> None:
    attack = {"row": "Z01", "kind": "row", "engine": None, "test": "t"}
    twin = {**attack, "kind": "twin"}
    assert not security_table.tested([attack], "Z01", "docker")
    assert security_table.tested([attack, twin], "Z01", "docker")
    assert not security_table.tested([{**attack, "engine": "podman"}, twin], "Z01", "docker")
