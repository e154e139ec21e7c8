"""A small sound task archive to be spoiled by tests."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

TASK = """\
name: Capitals
description: Name the capitals
is_public: True
scoring_program:
  zip: scoring.zip
ingestion_program:
  zip: ingestion.zip
input_data:
  zip: input.zip
reference_data:
  zip: truth.zip
"""


def packed(**files: str) -> bytes:
    """A zip of files, ``_DOT_`` for a dot in a name."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name.replace("_DOT_", ".")), text)
    return made.getvalue()


PARTS = {
    "scoring.zip": packed(metadata="command: python3 score.py", score_DOT_py=""),
    "ingestion.zip": packed(metadata="command: python3 ingest.py", ingest_DOT_py=""),
    "input.zip": packed(questions_DOT_csv="1"),
    "truth.zip": packed(answers_DOT_csv="2"),
}


def members(text: str | bytes = TASK, **files: bytes | None) -> dict[str, bytes]:
    changed = {name.replace("_DOT_", "."): data for name, data in files.items()}
    made = {"task.yaml": text if isinstance(text, bytes) else text.encode(), **PARTS, **changed}
    return {name: data for name, data in made.items() if data is not None}


def archive(place: Path, text: str | bytes = TASK, **files: bytes | None) -> Path:
    """A task archive as a zip; None leaves a file out."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as made:
        for name, data in members(text, **files).items():
            made.writestr(zipfile.ZipInfo(name), data)
    return place


def folder(place: Path, text: str | bytes = TASK, **files: bytes | None) -> Path:
    place.mkdir(parents=True)
    for name, data in members(text, **files).items():
        (place / name).write_bytes(data)
    return place
