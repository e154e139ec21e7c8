"""Lines reach who reads along while the program runs, on every engine, and who comes late gets them all once."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.core.live import AnyEvent, LogWritten
from codabench.testing.bundles import write_bundle, write_files

pytestmark = [pytest.mark.engine, pytest.mark.once]

PRINTS = """
    import sys, time
    for n in range(50):
        print(n, time.time(), flush=True)
        time.sleep(0.1)
"""
SCORER = """
    import json, sys
    json.dump({"score": 1}, open(sys.argv[1] + "/scores.json", "w"))
"""
COMMAND = "command: python3 $program/main.py $output\n"


@pytest.fixture(params=["docker", "podman", "sandbox", "process"])
def engine(request: pytest.FixtureRequest, make_engine_called: Callable[[str], Any]) -> Any:
    return request.param if request.param == "process" else make_engine_called(request.param)


def read(run: cb.RunHandle, into: list[tuple[float, AnyEvent]]) -> threading.Thread:
    thread = threading.Thread(target=lambda: into.extend((time.time(), event) for event in run.events()))
    thread.start()
    return thread


def lines(events: list[tuple[float, AnyEvent]]) -> list[tuple[int, float]]:
    """The numbers that were printed, and how long each was on its way."""
    found, rest = [], ""
    for at, event in events:
        if isinstance(event, LogWritten) and event.name == "prediction_stdout":
            *whole, rest = (rest + event.text).split("\n")
            found += [(int(n), at - float(printed)) for n, printed in (line.split() for line in whole)]
    return found


def test_every_line_reaches_the_early_and_the_late(engine: Any, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", scoring={"main.py": SCORER, "metadata": COMMAND})
    submission = write_files(tmp_path / "mine", {"main.py": PRINTS, "metadata": COMMAND})
    early: list[tuple[float, AnyEvent]] = []
    late: list[tuple[float, AnyEvent]] = []
    with cb.load(bundle) as comp, cb.Workspace(backend=engine) as ws:
        run = ws.submit(ws.add(comp), submission).run
        first = read(run, early)
        while len(run.logs.get("prediction_stdout", "").splitlines()) < 30:
            time.sleep(0.02)
        second = read(run, late)
        first.join()
        second.join()
        assert run.status is cb.Status.FINISHED, run
    assert [n for n, _ in lines(early)] == [n for n, _ in lines(late)] == list(range(50))
    # The bound of half a second holds for each of them on a quiet machine: `scripts/soak live` looks at that.
    assert statistics.median(late for _, late in lines(early)) < 0.5
    assert [event for _, event in early] == [event for _, event in late]
