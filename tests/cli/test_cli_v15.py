"""Bundles of format v1.5 on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tiny import answer, bundle
from typer.testing import CliRunner

from codabench.cli.app import app

OLD = """\
title: Old
image: logo.png
html: {terms: terms.md}
admin_names: eve,
phases:
  1: {phasenumber: 1, label: Only, start_date: 2020-01-01, scoring_program: scoring, reference_data: data}
leaderboard:
  leaderboards: {Good: &G {label: Good ones}, Fast: &F {label: Fast ones}}
  columns:
    score: {leaderboard: *G}
    time: {leaderboard: *F, sort: asc}
"""


def codabench(*args: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*map(str, args)], prog_name="codabench", env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return bundle(tmp_path / "old", OLD)


def test_check_says_what_is_lost(old: Path) -> None:
    code, out, err = codabench("check", old)
    assert code == 0
    assert "leaderboard Good (Add)" in out
    assert "admin_names (who else administers it)" in err


@pytest.mark.parametrize("ok", [True, False])
def test_check_as_json_names_the_format(ok: bool, tmp_path: Path) -> None:
    source = bundle(tmp_path / "x", OLD if ok else OLD.replace("label: Only", "labl: Only"))
    code, out, _ = codabench("check", source, "--json")
    document: dict[str, Any] = json.loads(out)
    assert (code, document["ok"], document["format"]) == (0 if ok else 1, ok, "v1.5")


def test_run_shows_and_writes_every_board(old: Path, tmp_path: Path) -> None:
    good = answer(tmp_path / "good", '{"score": 0.5, "write": {"score": 2, "time": 9}}')
    fast = answer(tmp_path / "fast", '{"score": 0.5, "write": {"score": 1, "time": 3}}')
    code, out, _ = codabench("run", old, good, fast, "--backend", "process", "--out", tmp_path / "out")
    assert code == 0
    first, second = out.split("Fast ones\n")
    assert first.startswith("Good ones\n")
    assert first.index("good") < first.index("fast")
    assert second.index("fast") < second.index("good")
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    (other,) = document["other_leaderboards"]
    assert [row["submission"] for row in document["leaderboard"]["rows"]] == ["good", "fast"]
    assert [row["submission"] for row in other["rows"]] == ["fast", "good"]
    assert document["submissions"][0]["runs"][0]["scores"] == {"score": 2.0, "time": 9.0}
    with (tmp_path / "out" / "leaderboard-2.csv").open() as table:
        assert [row["time"] for row in csv.DictReader(table)] == ["3.0", "9.0"]
    assert (tmp_path / "out" / "leaderboard.txt").read_text().strip() == out.strip()
