"""What programs leave in their output: taken only after they are gone, never following a link (security.md S01)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from codabench.backends.engine import StopSignal
from codabench.core.base import Record
from codabench.core.errors import Interrupted
from codabench.core.problems import Problem, Severity
from codabench.core.records import Exit, Role
from codabench.core.trees import BlobRef
from codabench.leaderboard import items
from codabench.runner.plan import RunPlan
from codabench.runner.scores import ScoresFile, read_scores
from codabench.storage.sources import TreeSource, collect, extract, open_hostile
from codabench.storage.store import Storage

METADATA = "metadata"
KEPT = "metadata.program"


class Found(Record):
    """What a scorer's output came to."""

    scores: ScoresFile
    page: BlobRef | None = None


def collected(path: Path, stop: StopSignal) -> TreeSource:
    """The output of programs that are gone, as a source of regular files only.

    Reading it raises `Interrupted` as soon as `stop` is set: there may be much of it.
    """

    def check() -> None:
        if stop.is_set():
            raise Interrupted(f"cancelled while its output was collected: {stop.reason}")

    return collect(path, check=check)


def copy_into(source: TreeSource, dest: Path, owner: tuple[int, int] | None) -> None:
    """A fresh copy of collected files, for the scorer."""
    extract(source, dest, owner=owner)


def place_metadata(directory: Path, exits: dict[Role, Exit], owner: tuple[int, int] | None) -> tuple[Problem, ...]:
    """Write ``metadata`` with exit codes and times (contract.md 4.10); null for what did not run.

    What a program left under that name is kept as ``metadata.program``, with a warning. The directory was written by
    hostile code: its mode is overcome, names are made relative to its descriptor, and nothing is followed.
    """
    program, ingestion = exits.get("program"), exits.get("ingestion")
    first = program or ingestion
    said = {
        "exitCode": program.code if program else None,
        "elapsedTime": f"{first.seconds:.6f}" if first else None,
        "ingestionExitCode": ingestion.code if ingestion else None,
        "ingestionElapsedTime": f"{ingestion.seconds:.6f}" if ingestion else None,
    }
    text = "".join(f"{key}: {'null' if value is None else value}\n" for key, value in said.items())
    folder = open_hostile(directory)
    try:
        kept = _set_aside(folder)
        file = os.open(METADATA, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(text)
            if owner:
                os.fchown(stream.fileno(), *owner)
    finally:
        os.close(folder)
    return (_kept_aside(kept),) if kept else ()


def _set_aside(folder: int) -> str | None:
    """Rename what has our name, to the first name that is free; None if there is nothing."""
    there = set(os.listdir(folder))
    if METADATA not in there:
        return None
    free = next(name for n in itertools.count() if (name := f"{KEPT}.{n}" if n else KEPT) not in there)
    os.rename(METADATA, free, src_dir_fd=folder, dst_dir_fd=folder)
    return free


def _kept_aside(name: str) -> Problem:
    return Problem(
        code="CB647",
        severity=Severity.WARNING,
        message=f"{METADATA} beside the results is written by the runner; what was there is kept as {name}",
        hint="use another name",
    )


def read(output: TreeSource, plan: RunPlan, storage: Storage) -> Found:
    """Scores, and the page of detailed results where the competition wants one."""
    page = detailed_results(output) if plan.detailed_results else None
    blob = None
    if page is not None:
        with output.open(page) as stream:
            blob = storage.put(stream)
    scores = read_scores(output, plan.columns)
    warnings = (*scores.warnings, *_items_problem(output, plan))
    return Found(scores=scores.model_copy(update={"warnings": warnings}), page=blob)


def _items_problem(output: TreeSource, plan: RunPlan) -> tuple[Problem, ...]:
    """What is wrong with the scores of items, if there are any: a warning, since the scores themselves are there."""
    if not output.is_file(items.NAME):
        return ()
    with output.open(items.NAME) as stream:
        problem = items.read_items(stream.read(items.SIZE_LIMIT + 1), plan.columns).problem
    return (problem,) if problem else ()


def detailed_results(output: TreeSource) -> str | None:
    """The page at the root of an output: see `first_page`."""
    return first_page(e.path for e in output.entries() if e.kind == "file" and "/" not in e.path)


def first_page(names: Iterable[str]) -> str | None:
    """``detailed_results.html``, else the first ``*.html`` by name (section 7)."""
    pages = sorted(name for name in names if name.endswith(".html"))
    if "detailed_results.html" in pages:
        return "detailed_results.html"
    return pages[0] if pages else None
