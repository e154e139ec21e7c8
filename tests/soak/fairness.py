"""Whoever queues a little is not kept waiting by whoever queues much: five runs, a minute after 1,000 of somebody else.

On a cluster of two workers with four slots in all, with plain processes that sleep. The five are timed by the rows,
once alone on the cluster and once behind the others: they take at most three times as long. What does not depend on the
load of this machine is looked at, too: how many of the others' runs end meanwhile.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "dask"))

from served import Served

import codabench as cb
from codabench.backends.dask.certs import make_certificates
from codabench.core.records import Run, Status
from codabench.testing.bundles import write_bundle, write_files

ALONE = True
LIMIT = 120
MANY, FEW, AFTER = 1_000, 5, 60.0
WORKERS, SLOTS = 2, 2
SECONDS = 0.4
TIMES = 3
SCORES = f"""
    import json, sys, time
    time.sleep({SECONDS})
    json.dump({{"score": 1}}, open(sys.argv[1] + "/scores.json", "w"))
"""


def soak(scale: float, folder: Path) -> dict[str, Any]:
    """1,000 runs, and five."""
    many, after = max(40, round(MANY * scale)), max(3.0, AFTER * scale)
    with cluster(folder / "certs") as url, cb.Workspace(folder / "lab", backend=url) as ws:
        return measured(ws, folder, many, after, whole=scale >= 1)


@contextmanager
def cluster(certs: Path) -> Iterator[str]:
    """The word for a cluster of separate processes."""
    make_certificates(certs)
    served = [Served("scheduler", "--port", "0", "--certs", str(certs))]
    try:
        address = served[0].says(r"scheduler at (\S+)").group(1)
        for _ in range(WORKERS):
            words = ("--certs", str(certs), "--slots", str(SLOTS), "--engine", "process")
            served.append(Served("worker", address, *words))
        for worker in served[1:]:
            worker.says(r"worker \S+ at")
        yield f"{address.replace('tls://', 'dask://')}?certs={certs}"
    finally:
        for each in reversed(served):
            each.kill()


def measured(ws: cb.Workspace, folder: Path, many: int, after: float, *, whole: bool) -> dict[str, Any]:
    command = "command: python3 -I -S $program/main.py $output\n"
    comp = ws.add(cb.load(write_bundle(folder / "bundle", scoring={"main.py": SCORES, "metadata": command})))
    submission = write_files(folder / "submission", {"answer.txt": "1"})

    def queue(who: str, count: int) -> list[cb.SubmissionHandle]:
        return [ws.submit(comp, submission, participant=who, enforce=False) for _ in range(count)]

    stop = threading.Event()
    serving = threading.Thread(target=lambda: ws.dispatch(stop=stop))
    serving.start()
    try:
        waited(queue("first", 1))  # the workers have loaded what they need
        began = ws.db.now()
        alone = (ended(waited(queue("alone", FEW))) - began).total_seconds()
        others = queue("many", many)
        time.sleep(after)
        began = ws.db.now()
        last = ended(waited(queue("few", FEW)))
        behind = (last - began).total_seconds()
        rows = [each.run.record for each in others]
    finally:
        stop.set()
        serving.join()
    meanwhile = sum(row.finished_at is not None and began < row.finished_at <= last for row in rows)
    left = sum(row.finished_at is None for row in rows)
    failed = [] if left else ["the many were over before the few: nothing was shown"]
    # Alone they take two turns of the slots; in three times as many there is room for so many of the others.
    room = TIMES * WORKERS * SLOTS * -(-FEW // (WORKERS * SLOTS)) - FEW
    failed += [f"{meanwhile} runs of others ended before the {FEW}, {room} are allowed"] if meanwhile > room else []
    slow = whole and behind > TIMES * alone
    failed += [f"the {FEW} took {behind:.1f} s, and {alone:.1f} s alone"] if slow else []
    figures = {"alone_s": round(alone, 2), "behind_s": round(behind, 2), "times": round(behind / alone, 2)}
    return {"many": many, **figures, "others_meanwhile": meanwhile, "others_left": left, "failed": failed}


def waited(subs: list[cb.SubmissionHandle]) -> list[Run]:
    if wrong := [sub for sub in subs if sub.wait(300).status is not Status.FINISHED]:
        raise RuntimeError(f"{len(wrong)} submissions did not finish: {wrong[0].problem}")
    return [sub.run.record for sub in subs]


def ended(rows: list[Run]) -> datetime:
    return max(row.finished_at for row in rows if row.finished_at is not None)
