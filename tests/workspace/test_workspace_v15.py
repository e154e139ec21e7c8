"""Bundles of format v1.5 run with real processes: what CodaLab unpacked, which boards there are, who may submit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import FILES, answer, bundle

import codabench as cb
from codabench.core.errors import SubmissionRejected

OLD = """\
title: Old
image: logo.png
html: {terms: terms.md}
phases:
  0: {phasenumber: 1, label: Both, is_parallel_parent: true, start_date: 2020-01-01}
  1: {phasenumber: 2, parent_phasenumber: 1, label: A, scoring_program: s.zip, reference_data: s}
  2: {phasenumber: 3, parent_phasenumber: 1, label: B, scoring_program: s.zip, reference_data: s}
leaderboard:
  leaderboards:
    Large: &L {label: Large, rank: 2}
    Small: &S {label: Small, rank: 1}
  columns:
    score: {leaderboard: *S, rank: 2}
    mean rank: {leaderboard: *S, rank: 1, sort: asc, computed: {operation: Avg, fields: "score, time"}}
    time: {leaderboard: *L, sort: asc}
"""
# The scorer imports what lies in an archive beside it, and reads data whose wrapping folder is still there.
SCORER = """\
import json, pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parent / "tools"))
from grade import grade
given, truth, output = map(pathlib.Path, sys.argv[1:4])
assert (truth / "wrap" / "metadata").exists() and (truth / "wrap" / "x.csv").exists()
scores = grade(json.loads((given / "answer.json").read_text()))
(output / "scores.txt").write_text("\\n".join(f"{key}:{value}" for key, value in scores.items()))
"""
GRADE = b"def grade(answer):\n    return {'score': answer['score'], 'time': answer['time']}\n"


def packed(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


PROGRAM = {
    "scorer/metadata": FILES["scoring/metadata"],
    "scorer/score.py": SCORER.encode(),
    "scorer/tools.zip": packed({"grade.py": GRADE}),
}


@pytest.fixture
def competition(tmp_path: Path) -> Iterator[cb.Competition]:
    files = {"s.zip": packed(PROGRAM), "s/wrap/x.csv": b"1", "s/wrap/metadata": b""}
    made = cb.load(bundle(tmp_path / "old", OLD, files))
    yield made
    made.close()


def test_every_task_and_every_board(competition: cb.Competition, tmp_path: Path) -> None:
    good = answer(tmp_path / "good", '{"score": 3, "time": 9}')
    fast = answer(tmp_path / "fast", '{"score": 2, "time": 1}')
    slow = answer(tmp_path / "slow", '{"score": 1, "time": 10}')
    handles = competition.run_many([good, fast, slow], backend="process", policy="trusted", progress="none")
    assert [run.scores for run in handles[0].runs] == [{"score": 3.0, "time": 9.0}] * 2, handles[0].runs[0].logs
    small, large = (competition.leaderboard(key) for key in ("Small", "Large"))
    assert [(small.name(r), r.scores["mean rank"]) for r in small.rows] == [("good", 1.5), ("fast", 1.5), ("slow", 3.0)]
    assert [large.name(r) for r in large.rows] == ["fast", "good", "slow"]
    assert [c.key for c in small.board.columns] == ["mean rank", "score"]


def test_a_submission_in_a_folder(competition: cb.Competition, tmp_path: Path) -> None:
    # Its metadata holds no command: the files are the result, found without the folder.
    (tmp_path / "outer").mkdir()
    answer(tmp_path / "outer" / "mine", '{"score": 5, "time": 1}', metadata="description: mine")
    handle = competition.run(tmp_path / "outer", backend="process", policy="trusted", progress="none")
    assert [run.scores["score"] for run in handle.runs] == [5.0, 5.0], handle.runs[0].logs


def test_a_limit_of_nought_takes_nothing(tmp_path: Path) -> None:
    text = OLD.replace("label: Both,", "label: Both, max_submissions_per_day: 0,")
    made = cb.load(bundle(tmp_path / "old", text, {"s.zip": packed(PROGRAM), "s/x": b""}))
    with pytest.raises(SubmissionRejected, match="takes no submissions"):
        made.run(answer(tmp_path / "one"), backend="process", policy="trusted", progress="none", enforce=True)
    made.close()
