"""From one phase to the next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_lab import Ended
from tiny import PHASE, answer, bundle, yaml
from typer.testing import CliRunner

from codabench.cli.app import app

PHASES = PHASE.format(0, "One", "2020-01-01", 0, ", end: 2021-01-01")
PHASES += PHASE.format(1, "Two", "2021-01-01", 0, ", auto_migrate_to_this_phase: true")


def codabench(*words: object) -> Ended:
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture(autouse=True)
def _lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODABENCH_WORKSPACE", "lab")
    monkeypatch.delenv("CODABENCH_DB", raising=False)
    text = yaml(phases=PHASES).replace("key: board", "key: board\n    submission_rule: Force_Last")
    codabench("add", bundle(tmp_path / "bundle", text))
    words = ("--phase", 0, "--ignore-limits", "--backend", "process", "--wait")
    assert codabench("submit", "Tiny", answer(tmp_path / "good"), *words).code == 0


def test_by_the_clock() -> None:
    found = codabench("tick", "--json").document["migrations"]
    assert [(each["phase"], len(each["submissions"])) for each in found] == [(1, 1)]
    assert codabench("tick").err == "nothing is due\n"
    names = [each["phase"] for each in json.loads(codabench("submissions", "Tiny", "--json").out)["submissions"]]
    assert names == [0, 1]


def test_by_hand() -> None:
    found = codabench("migrate", "Tiny", "Two", "--json").document
    assert (found["phase"], len(found["submissions"])) == (1, 1)
    assert codabench("migrate", "Tiny", "1", "--json").document["submissions"] == []
    assert codabench("migrate", "Tiny", "One").code == 2
    assert codabench("migrate", "Tiny", "Three").code == 2
