"""A competition that is defined in Python, with programs that need nothing but Python itself."""

from __future__ import annotations

import json
import math
from typing import Any

import codabench as cb

POINTS = [0.5, -1.0, 2.0, 3.5]
TRUTH = [1, 0, 1, 1]
MODEL = """\
class Model:
    def __init__(self, level=0.0):
        self.level = level

    def predict(self, points):
        return [int(point > self.level) for point in points]
"""


@cb.ingestion
def ingest(io: cb.IngestionIO) -> None:
    points = json.loads((io.input / "points.json").read_text())
    model = io.submission.create("model:Model")
    print("predicting", len(points))
    (io.output / "answers.json").write_text(json.dumps(model.predict(points)))
    (io.shared / "seen.txt").write_text("shared")


@cb.scoring(requires=["nothing-of-that-name"])
def score(io: cb.ScoringIO, offset: float = 1e-3) -> dict[str, float]:
    truth = json.loads((io.reference / "truth.json").read_text())
    answers = json.loads((io.predictions / "answers.json").read_text())
    right = [a == b for a, b in zip(truth, answers)]  # noqa: B905 - older images have no strict
    io.details.table([{"point": n, "right": "<yes>" if r else "no"} for n, r in enumerate(right)], title="Points")
    io.details.text("<done>")
    return {"acc": sum(right) / len(right), "loss": math.sqrt(len(right) - sum(right)) + offset}


class Model:
    """What `MODEL` says, as an object."""

    def __init__(self, level: float = 0.0) -> None:
        self.level = level

    def predict(self, points: list[float]) -> list[int]:
        return [int(point > self.level) for point in points]


def task(name: str = "points", **changes: Any) -> cb.Task:
    parts: dict[str, Any] = {
        "input_data": {"points.json": POINTS},
        "reference_data": {"truth.json": TRUTH},
        "ingestion_program": ingest,
        "scoring_program": score,
    }
    return cb.Task(name=name, **{**parts, **changes})


def bench(*tasks: cb.Task, **changes: Any) -> cb.Competition:
    given = {
        "title": "Points",
        "docker_image": "codabench/test-python:1",
        "columns": [cb.Column(key="acc"), cb.Column(key="loss", sorting="asc", precision=4)],
        **changes,
    }
    return cb.Competition(tasks=list(tasks) or [task()], **given)
