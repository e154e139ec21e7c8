"""Every code that a reader of bundles or archives can say is explained in docs/problems.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ROWS = re.findall(
    r"^\| (CB\d{3}) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs" / "problems.md").read_text(), re.M
)


def used() -> set[str]:
    files = [f for room in ("bundle", "storage", "core") for f in (ROOT / "codabench" / room).rglob("*.py")]
    return {code for file in files for code in re.findall(r'"(CB\d{3})"', file.read_text())}


@pytest.mark.parametrize("code", sorted(used()))
def test_a_code_is_explained(code: str) -> None:
    assert code in [row[0] for row in ROWS]


def test_the_table_is_in_order_and_says_each_once() -> None:
    codes = [row[0] for row in ROWS]
    assert codes == sorted(set(codes))


def test_every_row_says_how_bad_it_is_and_what_to_do() -> None:
    for code, severity, meaning, action in ROWS:
        assert set(severity.strip().split(", ")) <= {"error", "warning", "note", "raised"}, code
        assert meaning.strip()
        assert action.strip()
