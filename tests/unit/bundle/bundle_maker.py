"""A small sound bundle to be spoiled by tests."""

from __future__ import annotations

from pathlib import Path

from codabench.bundle.load import read_bundle
from codabench.core.competition import CompetitionSpec
from codabench.core.problems import Problem, Severity
from codabench.core.report import Report

GOOD = """\
version: 2
title: Small
image: logo.png
terms: terms.md
pages:
  - title: Overview
    file: overview.md
tasks:
  - index: 0
    name: First
    scoring_program: scoring
    ingestion_program: ingestion/
    input_data: data
    reference_data: data
phases:
  - index: 0
    name: One
    start: 2026-01-01
    end: 2026-02-01
    tasks: [0]
  - index: 1
    name: Two
    start: 2026-02-02
    tasks: [0]
leaderboards:
  - title: Board
    key: board
    columns:
      - title: Score
        key: score
        index: 0
      - title: Loss
        key: loss
        index: 1
        sorting: asc
"""
FILES = {
    "logo.png": b"\x89PNG\r\n\x1a\n and more",
    "terms.md": b"Be fair.\n",
    "overview.md": b"# Small\n",
    "scoring/metadata": b"command: python3 score.py\n",
    "scoring/score.py": b"",
    "ingestion/metadata.yaml": b"command: python3 ingest.py $input\n",
    "ingestion/ingest.py": b"",
    "data/x.csv": b"1\n",
}


def write(folder: Path, text: str = GOOD, **files: bytes | None) -> Path:
    """The bundle in `folder`; `files` by name with ``__`` for ``/`` and ``_DOT_`` for a dot, None to leave one out."""
    changed = {name.replace("__", "/").replace("_DOT_", "."): data for name, data in files.items()}
    for name, data in {"competition.yaml": text.encode(), **FILES, **changed}.items():
        if data is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


def report(folder: Path, text: str = GOOD, **files: bytes | None) -> Report:
    with read_bundle(write(folder, text, **files)) as bundle:
        assert (bundle.spec is not None) == bundle.report.ok
        return bundle.report


def spec(folder: Path, text: str = GOOD, **files: bytes | None) -> CompetitionSpec:
    with read_bundle(write(folder, text, **files)) as bundle:
        assert bundle.spec is not None, str(bundle.report)
        return bundle.spec


def codes(found: Report, severity: Severity = Severity.ERROR) -> list[str]:
    return [p.code for p in found.of(severity)]


def marked(problem: Problem) -> str:
    """The text under the carets."""
    where = problem.where
    assert where.excerpt is not None
    assert where.column is not None
    return where.excerpt[where.column - 1 : (where.end_column or 0) - 1]
