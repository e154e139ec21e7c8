"""docs/features.md: every feature is there, and every test that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(r"^\| ([A-Z])(\d\d) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/features.md").read_text(), re.MULTILINE)
COUNTS = {"V": 25, "P": 48, "O": 87, "C": 10, "Q": 27, "A": 63, "R": 17, "D": 16}
STATES = ("built: ", "not yet: ", "not ours", "not needed")


def test_every_feature_once_and_in_order() -> None:
    assert [f"{kind}{number}" for kind, number, _, _ in ROWS] == [
        f"{kind}{number:02}" for kind, count in COUNTS.items() for number in range(1, count + 1)
    ]


def test_every_feature_says_how_it_stands() -> None:
    assert [row for row in ROWS if not row[3].startswith(STATES)] == []


@pytest.mark.parametrize("place", sorted({place for row in ROWS for place in re.findall(r"`([^`]+)`", row[3])}))
def test_every_test_that_is_named_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert (ROOT / file).is_file()
    assert not name or re.search(rf"^ *def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
