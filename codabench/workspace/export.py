"""Everything that came out of a run, as plain files in a directory."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codabench.core.errors import StorageError, UsageError
from codabench.core.text import distinct
from codabench.storage.sources import extract, remove_tree
from codabench.workspace.handles import RunHandle, SubmissionHandle
from codabench.workspace.leaderboard import Leaderboard, distinct_names

_OURS = ("result.json", "leaderboard.txt")


def check_free(dest: Path) -> None:
    """See that results can be written to `dest`, before anything is run for them.

    Raises
    ------
    UsageError
        If it holds results already, or is no directory.
    """
    if dest.exists() and not dest.is_dir():
        raise UsageError(f"{dest} is no directory", code="CB706", hint="name another one for --out")
    if (dest / "result.json").exists():
        raise UsageError(f"{dest} already holds results", code="CB706", hint="name another directory for --out")


def export_results(
    dest: Path,
    handles: Sequence[SubmissionHandle],
    boards: Sequence[Leaderboard],
    document: dict[str, Any],
    *,
    runs: bool = True,
    submissions: bool = False,
) -> None:
    """Write ``result.json``, ``leaderboard.txt``, ``leaderboard.csv`` and a directory for each run.

    Further leaderboards are in ``leaderboard.txt``, too, and in ``leaderboard-2.csv`` and so on; without any, their
    files are left out.
    A run's directory holds ``logs/``, ``prediction_output/``, ``scoring_output/``, ``scores.json``,
    ``provenance.json`` and ``detailed_results.html``, as far as they exist. All of it appears when it is complete,
    ``result.json`` last.

    Parameters
    ----------
    runs
        Whether there are directories for runs.
    submissions
        Whether the directory of a submission also holds its files, in ``submission/``.

    Raises
    ------
    UsageError
        If `dest` holds results already.
    StorageError
        If it cannot be written to.
    """
    check_free(dest)
    try:
        dest.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".codabench-", dir=dest))
        try:
            places = _write(partial, handles, boards, document)
            for handle, place in zip(handles, places, strict=True):
                if submissions:
                    _export_submission(place, handle)
                if runs:
                    _export_runs(place, handle)
            for item in sorted(partial.iterdir(), key=lambda p: p.name == "result.json"):
                item.rename(dest / item.name)
        finally:
            remove_tree(partial)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"results cannot be written to {dest}: {error}", code="CB704") from error


def _write(
    dest: Path, handles: Sequence[SubmissionHandle], boards: Sequence[Leaderboard], document: dict[str, Any]
) -> list[Path]:
    """Write what is of all submissions together; returns the place of each of them."""
    tables = [f"leaderboard-{n}.csv" if n > 1 else "leaderboard.csv" for n in range(1, len(boards) + 1)]
    names = distinct_names(handles)
    places = _components([names[h.id] for h in handles], [*_OURS, *tables])
    if boards:
        (dest / "leaderboard.txt").write_text("\n".join(f"{board!r}\n" for board in boards), encoding="utf-8")
    for name, board in zip(tables, boards, strict=True):
        (dest / name).write_text(board.to_csv(), encoding="utf-8", newline="")
    (dest / "result.json").write_text(json.dumps(document, indent=2, default=str), encoding="utf-8")
    return [dest / place for place in places]


def _export_submission(place: Path, handle: SubmissionHandle) -> None:
    files = place / "submission"
    files.mkdir(parents=True)
    with handle.files() as source:
        extract(source, files)


def _export_runs(place: Path, handle: SubmissionHandle) -> None:
    tasks = _components([t.name for t in handle.tasks], ["submission"]) if len(handle.runs) > 1 else ["."]
    for run, task in zip(handle.runs, tasks, strict=True):
        _export_run(place / task, run)


def export_logs(dest: Path, run: RunHandle, names: Sequence[str]) -> None:
    """Write logs of a run to a directory, each as ``NAME.txt``; nothing is overwritten.

    Raises
    ------
    UsageError
        ``CB706``: one is there already.
    StorageError
        ``CB704``: it cannot be written.
    """
    try:
        dest.mkdir(parents=True, exist_ok=True)
        for name in names:
            with (dest / f"{name}.txt").open("xb") as file:
                file.write(run.logs.raw(name))
    except FileExistsError as error:
        hint = "name another directory"
        raise UsageError(f"{error.filename} is there already", code="CB706", hint=hint) from error
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"logs cannot be written to {dest}: {error}", code="CB704") from error


def _export_run(place: Path, run: RunHandle) -> None:
    export_logs(place / "logs", run, list(run.logs))
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


def _components(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Names as components of a path, no two of them the same, also where case does not count."""
    safe = [re.sub(r"[^\w.+~ -]", "_", name).strip(". ")[:60] or "_" for name in names]
    folded = [name.casefold() for name in safe]
    unique = distinct(folded, taken)
    return [name + u[len(f) :] for name, f, u in zip(safe, folded, unique, strict=True)]
