"""The JSON Schema for editors: what is sound fits, and what does not fit is refused or warned of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bundle_maker import GOOD, report, write
from jsonschema import Draft202012Validator

import codabench as cb
from codabench.bundle.nodes import Mapping, value
from codabench.bundle.schema import _object, described
from codabench.bundle.yaml import read_yaml
from codabench.core.competition import ColumnSpec, CompetitionSpec, LeaderboardSpec, PageSpec, PhaseSpec, TaskSpec
from codabench.core.problems import Severity

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*/bundle"))
SCHEMA = cb.schema()


def fits(text: bytes) -> bool:
    root, _ = read_yaml(text, "competition.yaml")
    found: bool = Draft202012Validator(SCHEMA).is_valid(value(root))
    return found


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_fits(example: Path, tmp_path: Path) -> None:
    cb.load(example).save(tmp_path / "saved")
    assert fits((tmp_path / "saved" / "competition.yaml").read_bytes())
    with cb.load(example) as competition:
        if competition.spec.format == "v2":
            assert fits((example / "competition.yaml").read_bytes())


@pytest.mark.bundles
def test_acceptance_bundles(bundles: Path) -> None:
    """Sound ones fit; one that does not fit has an error or a warning."""
    seen = [0, 0]
    for file in sorted(bundles.rglob("competition.yaml")):
        text = file.read_bytes()
        root, _ = read_yaml(text, "competition.yaml")
        version = value(root.get("version")) if isinstance(root, Mapping) else None
        if version not in (2, "2"):
            continue
        found = cb.check(file.parent)
        if found.ok:
            assert fits(text), file
        if not fits(text):
            assert found.errors or found.warnings, file
        seen[fits(text)] += 1
    assert min(seen) >= 5


# ---------------------------------------------------------------------- each thing
EDITS = [
    ("version: 2", "version: '2'", True),
    ("version: 2\n", "", False),
    ("title: Small", "title: 5", True),
    ("title: Small", "title:", False),
    ("title: Small", "title: [a]", False),
    ("title: Small", "title: Small\nforum_enabled: 'Yes'", True),
    ("title: Small", "title: Small\nforum_enabled: maybe", False),
    ("title: Small", "title: Small\ncompetition_type: game", False),
    ("title: Small", "title: Small\nsomething: else", True),
    ("sorting: asc", "sorting: up", False),
    ("sorting: asc", "sorting:", True),
    ("sorting: asc", "computation: avg\n        computation_indexes: '0'", True),
    ("sorting: asc", "precision: many", False),
    ("sorting: asc", "precision: '3'", True),
    ("        index: 1\n", "        index: -1\n", False),
    ("    tasks: [0]", "    tasks: []", False),
    ("    tasks: [0]", "    tasks: 0", False),
    ("    start: 2026-01-01\n", "", False),
    ("end: 2026-02-01", "end: 2026-02-01\n    max_submissions: -1", False),
    ("end: 2026-02-01", "end: 2026-02-01\n    max_submissions:", True),
    ("    scoring_program: scoring\n", "", False),
    ("leaderboards:", "leaderboard:", False),
]


@pytest.mark.parametrize(("good", "bad", "fine"), EDITS)
def test_what_it_refuses_is_refused(good: str, bad: str, fine: bool, tmp_path: Path) -> None:
    assert good in GOOD
    text = GOOD.replace(good, bad, 1)
    assert fits(text.encode()) == fine
    found = report(tmp_path, text)
    assert found.ok == fine or found.of(Severity.WARNING)


LENGTHS = [
    ("title: Small", "title: {}", 256),
    ("title: Small", "title: Small\ndocker_image: {}", 128),
    ("title: Small", "title: Small\nreward: {}", 256),
    ("title: Overview", "title: {}", 255),
    ("name: First", "name: {}", 256),
    ("name: One", "name: {}", 256),
    ("title: Board", "title: {}", 64),
    ("key: board", "key: {}", 36),
    ("title: Score", "title: {}", 36),
    ("key: score", "key: {}", 36),
]


@pytest.mark.parametrize(("good", "line", "most"), LENGTHS)
def test_lengths_are_those_of_reading(good: str, line: str, most: int, tmp_path: Path) -> None:
    for length in (most, most + 1):
        text = GOOD.replace(good, line.format("x" * length), 1)
        assert fits(text.encode()) == (length == most) == cb.check(write(tmp_path, text)).ok


@pytest.mark.parametrize("model", [CompetitionSpec, PageSpec, TaskSpec, PhaseSpec, LeaderboardSpec, ColumnSpec])
def test_every_key_is_described(model: Any) -> None:
    properties = _object(model)["properties"]
    assert [key for key, shape in properties.items() if not shape.get("description")] == []
    assert set(described(model)) <= set(model.model_fields)
