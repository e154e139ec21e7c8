"""A cluster whose processes are killed and cut off: no run is lost, none is scored twice.

Scheduler, two workers and client are separate processes in separate network namespaces, with TLS, with directories that
only they see; they share an object store (SeaweedFS), and the client has a database (PostgreSQL). 1,000 runs, each a
real container that writes a random number. In some of them the client is killed when half are over; in some a worker is
cut off for 5 s, in some for 60 s (not in a tenth); in most, processes are killed at random moments. Then an oracle
looks at all rows, all bytes and what the client was told; the engine's own events say which containers it started. What
was under way when a disturbance ends is over within one lease and 10 s.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "dask"))

from _lab import Lab, schemas
from _storm import Storm, as_the_client, containers_counted
from apart import apart

NEEDS = ("docker", "s3", "postgres")
LIMIT = 240
RUNS = 1000
SEED = 20261123
CUT_OFF = {"cut off for 5 s": 5.0, "cut off for 60 s": 60.0}


def soak(scale: float, folder: Path) -> dict[str, Any]:
    """1,000 runs."""
    count = max(60, round(RUNS * scale))
    with schemas(os.environ["CODABENCH_TEST_POSTGRES"]) as schema, apart(folder / "machines") as here:
        lab = Lab(folder / "lab", schema(), "docker")
        lab.allowed = count
        as_the_client(here)
        with containers_counted(here.storage, folder / "containers") as containers:
            storm = Storm(here, lab, containers, random.Random(SEED))
            storm.stage("client killed at half", count // 5, half)
            for name, seconds in CUT_OFF.items():
                if scale >= 1 or seconds < 10:
                    storm.stage(name, count // 10, lambda storm, runs: cut_off(storm, runs, seconds))  # noqa: B023
            storm.stage("killed at random", count - sum(each["runs"] for each in storm.stages.values()), at_random)
            storm.over()
    return storm.figures()


def half(storm: Storm, runs: int) -> int:
    """The client is killed when half of the runs are over, and started again."""
    storm.wait_for(lambda: storm.left() <= runs // 2, 10 + runs)
    storm.kill("client")
    in_flight = len(storm.rows.in_flight())
    time.sleep(1)
    storm.start("client")
    return in_flight


def cut_off(storm: Storm, runs: int, seconds: float) -> None:
    """A worker is neither seen nor heard for a while."""
    storm.wait_for(lambda: storm.left() <= 0.8 * runs, 10 + runs)
    machine = storm.here.workers["worker1"]
    machine.cut()
    time.sleep(seconds)
    machine.heal()


def at_random(storm: Storm, runs: int) -> None:
    """One process after the other is killed while runs are under way, and started again after a while."""
    roles = ["client", "scheduler", *storm.here.workers]
    for number in range(max(len(roles), runs // 8)):
        before = storm.left()
        storm.wait_for(lambda: storm.left() < before, 15)  # noqa: B023 - called at once
        time.sleep(storm.draw.uniform(0, 1.5))
        if storm.left() < 0.1 * runs:
            break
        role = roles[number] if number < len(roles) else storm.draw.choice(roles)
        storm.kill(role)
        time.sleep(storm.draw.uniform(0, 1))
        storm.start(role)
