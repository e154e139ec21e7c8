"""The smallest competition there is: both programs do nothing, and the scorer says 1."""

from __future__ import annotations

import os
from pathlib import Path

from measure import CannotMeasureError

SCORES = "/app/program/score.py"
"""What the scorer is called in its container."""
IMAGE = os.environ.get("CODABENCH_BENCHMARK_IMAGE") or os.environ.get("CODABENCH_TEST_IMAGE") or "python:3.12-slim"
"""Any image with python3."""

SILENT = "pass\n"
SCORER = """\
import json, sys
with open(sys.argv[1] + "/scores.json", "w") as file:
    json.dump({"score": 1.0}, file)
"""
_COMPETITION = """\
version: 2
title: Nothing
image: logo.png
terms: pages/0.md
docker_image: {image}
pages:
{pages}
tasks:
  - {{index: 0, name: Nothing, description: Nothing, scoring_program: scorer, reference_data: reference}}
phases:
  - {{index: 0, name: Always, description: Always, start: 2026-01-01, tasks: [0]}}
leaderboards:
  - title: Nothing
    key: nothing
    columns: [{{title: Score, key: score, index: 0, sorting: desc}}]
"""


def write(folder: Path, program: str = SILENT, *, pages: int = 1, parts: int = 0) -> tuple[Path, Path]:
    """A bundle, with so many pages and further files of data, and a code submission that is this program."""
    bundle, submission = folder / "bundle", folder / "submission"
    listed = "\n".join(f"  - {{title: Page {n}, file: pages/{n}.md}}" for n in range(pages))
    files = {
        bundle / "competition.yaml": _COMPETITION.format(image=IMAGE, pages=listed),
        bundle / "logo.png": "\x89PNG\r\n\x1a\n",
        bundle / "scorer/metadata.yaml": f"command: python3 {SCORES} /app/output\n",
        bundle / "scorer/score.py": SCORER,
        bundle / "reference/truth.txt": "1\n",
        **{bundle / f"reference/part_{n}.csv": "1,2,3\n" * 100 for n in range(parts)},
        **{bundle / f"pages/{n}.md": f"# Page {n}\n\nWords.\n" * 20 for n in range(pages)},
        submission / "metadata.yaml": "command: python3 /app/program/main.py\n",
        submission / "main.py": program,
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1", newline="")
    return bundle, submission


def image_of(name: str) -> str:
    """The image on the engine of that name: the sandbox has none but this machine's own Python."""
    return "host" if name == "sandbox" else IMAGE


def engine(name: str) -> object:
    """An engine that answers and has the image; `CannotMeasureError` if there is none."""
    from codabench.backends.select import engine_named
    from codabench.core.errors import EngineError

    try:
        found = engine_named(name)
        found.probe()
        found.resolve(image_of(name))
    except EngineError as error:
        needs = f"it needs {name} with the image {image_of(name)} (or that of CODABENCH_BENCHMARK_IMAGE)"
        raise CannotMeasureError(f"{error.message}; {needs}") from None
    return found
