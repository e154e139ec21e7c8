"""Tiny competitions, written to a directory: for tests of engines, backends and of one's own code."""

from __future__ import annotations

import struct
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

Files = Mapping[str, str | bytes]


def write_files(folder: Path, files: Files) -> Path:
    """Write files by their relative paths; texts are dedented."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).lstrip("\n").encode())
    return folder


def tiny_logo() -> bytes:
    """A PNG of two by two pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x60\x80\xa0" * 2) * 2)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def write_bundle(
    folder: Path,
    *,
    scoring: Files,
    ingestion: Files | None = None,
    input_data: Files | None = None,
    reference_data: Files | None = None,
    columns: Sequence[str] = ("score",),
    tasks: int = 1,
    during_scoring: bool = False,
    results_only: bool = False,
    image: str = "codabench/test-python:1",
    time_limit: int = 60,
    **more: object,
) -> Path:
    """Write a competition with one phase; every task has the same programs and data.

    Parameters
    ----------
    scoring, ingestion
        Files of the programs; a program without a metadata file gets ``python3 main.py``.
    more
        Further top-level keys of ``competition.yaml``.

    Returns
    -------
    Path
        `folder`.
    """
    parts = {"scoring_program": scoring, "ingestion_program": ingestion, "input_data": input_data}
    parts |= {"reference_data": reference_data}
    task: dict[str, object] = {"ingestion_only_during_scoring": during_scoring}
    for role, files in parts.items():
        if files is None:
            continue
        task[role] = role
        write_files(folder / role, files)
        if role.endswith("program") and not {"metadata", "metadata.yaml"} & set(files):
            write_files(folder / role, {"metadata.yaml": "command: python3 main.py\n"})
    described = {
        "version": 2,
        "title": "Tiny",
        "image": "logo.png",
        "terms": "terms.md",
        "docker_image": image,
        "pages": [{"title": "Overview", "file": "overview.md"}],
        "tasks": [{"index": n, "name": f"Task {n}", **task} for n in range(tasks)],
        "phases": [
            {
                "name": "Phase",
                "start": "2026-01-01",
                "tasks": list(range(tasks)),
                "execution_time_limit": time_limit,
                "accepts_only_result_submissions": results_only,
            }
        ],
        "leaderboards": [
            {
                "title": "Board",
                "key": "board",
                "columns": [{"title": c, "key": c, "index": n} for n, c in enumerate(columns)],
            }
        ],
        **more,
    }
    text = yaml.safe_dump(described, sort_keys=False)
    return write_files(
        folder, {"competition.yaml": text, "logo.png": tiny_logo(), "terms.md": "Be fair.\n", "overview.md": "# Tiny\n"}
    )
