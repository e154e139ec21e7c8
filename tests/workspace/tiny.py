"""Tiny competitions whose programs take their paths from the command, so that plain processes can run them."""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEAD = """\
version: 2
title: Tiny
image: logo.png
terms: terms.md
pages: [{title: Overview, file: overview.md}]
"""
LAST = """\
leaderboards:
  - title: Board
    key: board
    columns:
      - {title: Score, key: score, index: 0}
      - {title: Time, key: time, index: 1, sorting: asc}
"""
TASK = "  - {{index: {0}, name: {1}, scoring_program: scoring, reference_data: data}}\n"
PHASE = "  - {{index: {0}, name: {1}, start: {2}, tasks: [{3}]{4}}}\n"

SCORER = r"""import json, os, pathlib, sys, time
given, truth, output = map(pathlib.Path, sys.argv[1:4])
answer = json.loads((given / "answer.json").read_text())
if "sleep" in answer:
    os.write(1, b"pid %d\n" % os.getpid())
    time.sleep(answer["sleep"])
print("scoring", answer)
sys.exit(answer["exit"]) if "exit" in answer else None
scores = {"score": answer["score"], "time": len((truth / "x.csv").read_text())}
(output / "scores.json").write_text(json.dumps(answer.get("write", scores)))
"""
FILES = {
    "logo.png": b"\x89PNG\r\n\x1a\n and more",
    "terms.md": b"Be fair.\n",
    "overview.md": b"# Tiny\n",
    "scoring/metadata": b"command: python3 $program/score.py $predictions $hidden $output\n",
    "scoring/score.py": SCORER.encode(),
    "data/x.csv": b"12345",
}


def yaml(tasks: tuple[str, ...] = ("First",), phases: str | None = None, extra: str = "", last: str = LAST) -> str:
    """A ``competition.yaml``: tasks by name, one phase that is open for ever unless phases are given."""
    listed = "".join(TASK.format(n, name) for n, name in enumerate(tasks))
    indexes = ", ".join(str(n) for n in range(len(tasks)))
    period = phases or PHASE.format(0, "One", "2020-01-01", indexes, "")
    return f"{HEAD}{extra}tasks:\n{listed}phases:\n{period}{last}"


def bundle(folder: Path, text: str | None = None, files: Mapping[str, bytes] | None = None) -> Path:
    """The bundle in `folder`; it takes results: a file ``answer.json``."""
    everything = {**FILES, "competition.yaml": (text or yaml()).encode(), **(files or {})}
    for name, data in everything.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def answer(folder: Path, text: str = '{"score": 0.5}', **files: str) -> Path:
    """A submission in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answer.json").write_text(text)
    for name, data in files.items():
        (folder / name).write_text(data)
    return folder


class Watcher:
    """Progress that remembers: every event, and the process ids that programs print."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.pids: list[int] = []
        self.sleeping = threading.Event()

    def added(self, handle: Any) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if event["type"] == "log" and (
            said := re.search(rb"^pid (\d+)$", base64.b64decode(event["data"]), re.MULTILINE)
        ):
            self.pids.append(int(said[1]))
            self.sleeping.set()

    def statuses(self, run: str) -> list[str]:
        return [e["status"].value for e in self.events if e["type"] == "status" and e["run"] == run]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
