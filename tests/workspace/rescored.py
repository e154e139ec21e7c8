"""A tiny competition of code in a workspace, whose scoring program is mended: for the tests of re-evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import FILES, bundle, yaml

import codabench as cb

# What ingestion leaves differs from run to run: whoever sees the same twice, sees what was kept.
INGEST = b"""\
import json, pathlib, runpy, sys, uuid
code, output = map(pathlib.Path, sys.argv[1:3])
made = runpy.run_path(str(code / "model.py"))
(output / "answer.json").write_text(json.dumps({**made["answer"], "id": uuid.uuid4().hex}))
"""
SCORER = """\
import json, os, pathlib, sys, time
given, truth, output = map(pathlib.Path, sys.argv[1:4])
answer = json.loads((given / "answer.json").read_text())
time.sleep(answer.get("pause", 0))
scores = {"score": answer["score"], "time": 0}
(output / "scores.json").write_text(json.dumps({**scores, "id": answer["id"]}))
"""
MENDED = SCORER.replace('"score": answer["score"]', '"score": -answer["score"]')


def make(folder: Path, scorer: str = SCORER, tasks: tuple[str, ...] = ("First",)) -> Path:
    """The bundle."""
    text = yaml(tasks).replace("scoring_program: scoring,", "scoring_program: scoring, ingestion_program: ingestion,")
    command = b"command: python3 $program/ingest.py $submission_program $output"
    files = {"ingestion/metadata": command, "ingestion/ingest.py": INGEST, "scoring/score.py": scorer.encode()}
    return bundle(folder, text, files)


def code(folder: Path, **answer: Any) -> Path:
    """A submission whose predictions are this."""
    folder.mkdir(parents=True)
    (folder / "metadata").write_text("description: mine\n")
    (folder / "model.py").write_text(f"answer = {answer!r}\n")
    return folder


def submitted(comp: cb.Competition, folder: Path, answers: list[dict[str, Any]], **options: Any) -> list[str]:
    """Submissions with these answers, each of another participant; the ids of their runs."""
    ws = comp.workspace
    made = [
        ws.submit(comp, code(folder / f"s{n}", **answer), participant=f"p{n}", enforce=False, **options)
        for n, answer in enumerate(answers)
    ]
    runs = [run.id for handle in made for run in handle.runs]
    assert ws.wait(runs, timeout=120)
    return runs


def revise(comp: cb.Competition, folder: Path, scorer: str = MENDED, task: int = 0) -> None:
    """Give a task another scoring program."""
    folder.mkdir()
    (folder / "metadata").write_bytes(FILES["scoring/metadata"])
    (folder / "score.py").write_text(scorer)
    comp.workspace.revise(comp, task, scoring_program=folder, note="mended")


def scores(board: cb.Leaderboard) -> dict[str, float | None]:
    """What each submission has on a board."""
    return {board.name(row): row.scores["score"] for row in board.rows}
