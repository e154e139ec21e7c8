"""A lab from its first competition to its last: every command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tiny import answer, bundle

ROOT = Path(__file__).parents[2]


class Shell:
    """Carries out commands in one directory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        hidden = ("CODABENCH_WORKSPACE", "CODABENCH_DB")
        self.env = {k: v for k, v in os.environ.items() if k not in hidden} | {"PYTHONPATH": str(ROOT)}

    def __call__(self, line: str, code: int = 0) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "codabench", *line.split()],
            cwd=self.place,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert ran.returncode == code, ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stdout

    def json(self, line: str, code: int = 0) -> Any:
        return json.loads(self(f"{line} --json", code))


def test_a_lab(tmp_path: Path) -> None:
    bundle(tmp_path / "bundle")
    answer(tmp_path / "good")
    answer(tmp_path / "bad", '{"exit": 3}')
    lab = Shell(tmp_path)
    id = lab("add bundle").split()[0]
    lab(f"submit {id} good bad --participant alice --backend process")
    assert [run["status"] for run in lab.json("runs")["runs"]] == ["Submitted"] * 2
    lab("dispatch --drain")
    assert [run["status"] for run in lab.json("runs")["runs"]] == ["Finished", "Failed"]
    assert "scoring {'score': 0.5}" in lab("logs alice#1 scoring_stdout")
    assert "exited with 3" in lab("show bad")
    lab("choose alice#1")
    assert "1  good" in lab("leaderboard Tiny")
    again = lab.json("rerun alice#1")["submissions"][0]
    assert (again["number"], again["origin"]) == (3, lab.json("show alice#1")["submission"]["id"])
    lab("dispatch --drain")
    assert len(lab.json("leaderboard Tiny --all")["rows"]) == 2
    lab("export Tiny copy.zip")
    lab("export Tiny results --results --submissions")
    assert (tmp_path / "results/good/submission/answer.json").is_file()
    lab("delete alice#2 --yes")
    assert len(lab.json("submissions Tiny")["submissions"]) == 2
    lab("delete Tiny --yes")
    assert lab.json("competitions")["competitions"] == []
    assert lab.json("check copy.zip")["ok"]
