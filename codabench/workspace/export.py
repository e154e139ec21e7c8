"""Everything that came out of a run, as plain files in a directory."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codabench.core.errors import StorageError
from codabench.storage.sources import extract
from codabench.workspace.handles import RunHandle, SubmissionHandle
from codabench.workspace.leaderboard import Leaderboard


def export_results(
    dest: Path, handles: Sequence[SubmissionHandle], board: Leaderboard, document: dict[str, Any]
) -> None:
    """Write ``result.json``, ``leaderboard.txt``, ``leaderboard.csv`` and a directory for each run.

    A run's directory holds ``logs/``, ``prediction_output/``, ``scoring_output/``, ``scores.json``,
    ``provenance.json`` and ``detailed_results.html``, as far as they exist.

    Raises
    ------
    StorageError
        If `dest` cannot be written to, or holds results already.
    """
    try:
        dest.mkdir(parents=True, exist_ok=True)
        if (dest / "result.json").exists():
            raise StorageError(f"{dest} already holds results", code="CB706", hint="name another directory for --out")
        for handle in handles:
            for task, run in zip(handle.tasks, handle.runs, strict=True):
                place = dest / _safe(board.names[handle.id])
                _export_run(place / _safe(task.name) if len(handle.runs) > 1 else place, run)
        (dest / "leaderboard.txt").write_text(repr(board) + "\n", encoding="utf-8")
        (dest / "leaderboard.csv").write_text(board.to_csv(), encoding="utf-8")
        (dest / "result.json").write_text(json.dumps(document, indent=2, default=str), encoding="utf-8")
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"results cannot be written to {dest}: {error}", code="CB704") from error


def _export_run(place: Path, run: RunHandle) -> None:
    logs = place / "logs"
    logs.mkdir(parents=True)
    for name in run.logs:
        (logs / f"{name}.txt").write_bytes(run.logs.raw(name))
    for step in run.outcome.steps if run.outcome else ():
        if step.output is not None:
            output = place / f"{step.name}_output"
            output.mkdir()
            with run.output(step.name) as source:
                extract(source, output)
    (place / "scores.json").write_text(json.dumps(run.scores, indent=2), encoding="utf-8")
    (place / "provenance.json").write_text(json.dumps(run.provenance, indent=2), encoding="utf-8")
    if (page := run.detailed_results) is not None:
        (place / "detailed_results.html").write_text(page, encoding="utf-8")


def _safe(name: str) -> str:
    """A name as one component of a path."""
    return re.sub(r"[^\w.+~ -]", "_", name).strip(". ") or "_"
