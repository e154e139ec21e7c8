"""Lines reach readers of a run within half a second, on every engine; each reader gets each of them once.

A program prints a numbered line with the time every 100 ms. One reader is there from the start, one comes later.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import codabench as cb
from codabench.backends.select import engine_named
from codabench.core.live import LogWritten
from codabench.testing.bundles import write_bundle, write_files

ALONE = True
NEEDS = ("docker", "podman", "rootless")
BOUND = 0.5
ENGINES = {
    "docker": "CODABENCH_TEST_DOCKER",
    "podman": "CODABENCH_TEST_PODMAN",
    "rootless": "CODABENCH_TEST_PODMAN_ROOTLESS",
    "process": "",
}
PRINTS = """
    import time
    for n in range({count}):
        print(n, time.time(), flush=True)
        time.sleep(0.1)
"""
SCORER = """
    import json, sys
    json.dump({"score": 1}, open(sys.argv[1] + "/scores.json", "w"))
"""
COMMAND = "command: python3 $program/main.py $output\n"


def soak(scale: float, folder: Path) -> dict[str, object]:
    """50 lines, ten times, on each engine."""
    count, rounds = 50, max(1, round(10 * scale))
    bundle = write_bundle(folder / "bundle", scoring={"main.py": SCORER, "metadata": COMMAND})
    program = {"main.py": PRINTS.format(count=count), "metadata": COMMAND}
    submission = write_files(folder / "mine", program)
    figures: dict[str, object] = {"lines": 0}
    failed: list[str] = []
    for name, variable in ENGINES.items():
        url = os.environ.get(variable, "") if variable else ""
        kind = "podman" if name == "rootless" else name
        engine: Any = engine_named(f"{kind}:{url}") if url else kind
        worst = 0.0
        with cb.load(bundle) as comp, cb.Workspace(backend=engine, jobs=1) as ws:
            ws.add(comp)
            for _ in range(rounds):
                for reader, seen in _watched(ws, comp, submission).items():
                    if [n for n, _ in seen] != list(range(count)):
                        failed.append(f"{name}: the {reader} reader got {[n for n, _ in seen]}")
                    if reader == "early":
                        worst = max(worst, *(late for _, late in seen))
                    figures["lines"] = int(str(figures["lines"])) + len(seen)
        figures[f"slowest_{name}_s"] = round(worst, 3)
        if worst > BOUND:
            failed.append(f"{name}: a line took {worst:.3f} s")
    return {**figures, "failed": failed}


def _watched(ws: cb.Workspace, comp: cb.Competition, submission: Path) -> dict[str, list[tuple[int, float]]]:
    run = ws.submit(comp, submission, enforce=False).run
    seen: dict[str, list[tuple[int, float]]] = {"early": [], "late": []}

    def read(reader: str) -> None:
        rest = ""
        for event in run.events():
            if isinstance(event, LogWritten) and event.name == "prediction_stdout":
                now = time.time()
                *whole, rest = (rest + event.text).split("\n")
                seen[reader] += [(int(n), now - float(at)) for n, at in (line.split() for line in whole)]

    first = threading.Thread(target=read, args=("early",))
    first.start()
    while len(seen["early"]) < 30 and first.is_alive():
        time.sleep(0.02)
    read("late")
    first.join()
    return seen
