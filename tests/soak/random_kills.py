"""Processes that share a workspace are killed at random moments and started again; nothing is lost or doubled.

Two dispatchers and one submitter, who submits, runs again, re-evaluates and migrates, on SQLite and on PostgreSQL. 300
times one of them is killed with SIGKILL and another one is started in its place. After each round all are killed, one
process carries everything to its end, and an oracle looks at all rows, all bytes and what callers were told.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _lab import Lab, schemas
from _scenarios import dispatching, submitting
from _tally import Tally, fresh_labs, looked_at

NEEDS = ("postgres",)
LIMIT = 150
KILLS, ROUND = 300, 30
SEED = 20261123
LONGEST = 1.0
"""Seconds between two kills, at most."""
ROLES: dict[str, Callable[[Lab], None]] = {"dispatcher": dispatching, "other dispatcher": dispatching}
ROLES["submitter"] = submitting


def soak(scale: float, folder: Path) -> dict[str, Any]:
    """300 kills."""
    count, draw, tally = max(20, round(KILLS * scale)), random.Random(SEED), Tally()
    with schemas(os.environ["CODABENCH_TEST_POSTGRES"]) as schema:
        for name, make in (("sqlite", lambda: None), ("postgres", schema)):
            labs = fresh_labs(folder / name, make)
            left = count // 2
            while left > 0:
                kills = min(ROUND, left)
                killed_round(name, next(labs), kills, draw, tally)
                left -= kills
    return tally.figures()


def killed_round(where: str, lab: Lab, kills: int, draw: random.Random, tally: Tally) -> None:
    """So many kills, the last ones of all processes together; then everything is carried to its end and looked at."""
    living = {role: lab.start(lambda: work(lab)) for role, work in ROLES.items()}  # noqa: B023 - called at once
    for number in range(kills):
        # At the end of a round all are killed, and none comes back.
        ending = kills - number <= len(ROLES)
        if not ending or number == kills - len(ROLES):
            time.sleep(draw.uniform(0.01, LONGEST))
        role = draw.choice(sorted(living))
        pid = living.pop(role)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(status):
            tally.found(f"{where}, {role}", [("lost", f"it ended by itself: {lab.log.read_text()[-1500:]}")])
        tally.killed[f"{where}, {role}"] += 1
        if not ending:
            living[role] = lab.start(lambda: ROLES[role](lab))  # noqa: B023 - called at once
    looked_at(f"{where}, after {kills} kills", lab, tally)
    tally.counted += Counter({what: len(lab.acknowledged(what)) for what in lab.WHAT})
