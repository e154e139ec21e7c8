"""A process is killed at every point that its calls to storage, database and engine pass; nothing is lost or doubled.

The points are derived: each public method of storage, database and engine is wrapped, and whatever the process asks of
the system outside of all wrapped calls fails the soak. Each story is told once to list its points; then, 200 times in
all, again by a fresh process that kills itself at one of them. Another process opens the workspace and carries on, and
an oracle looks at all rows, all bytes, the engine and what callers were told. On SQLite and PostgreSQL; every tenth
kill with containers of Docker, the others with plain processes.
"""

from __future__ import annotations

import os
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import _points
from _lab import Ended, Lab, schemas
from _scenarios import STORIES, WITH_ENGINE
from _tally import Tally, fresh_labs, looked_at

NEEDS = ("docker", "postgres")
LIMIT = 150
KILLS, WITH_CONTAINERS = 200, 20
SEED = 20261123
ROUND = 20
"""Kills before a workspace is left for a new one."""


class Kill(NamedTuple):
    """In which story, and at which passing of which point."""

    story: str
    point: str
    passing: int


def soak(scale: float, folder: Path) -> dict[str, Any]:
    """200 kills."""
    count, containers = max(12, round(KILLS * scale)), max(2, round(WITH_CONTAINERS * scale))
    tally, draw, points = Tally(), random.Random(SEED), set[str]()
    with schemas(os.environ["CODABENCH_TEST_POSTGRES"]) as schema:
        for engine, many in (("process", count - containers), ("docker", containers)):
            # Both kinds of databases are asked for the same.
            found = listed(Lab(folder / f"points-{engine}", None, engine), tally)
            for name, make in (("sqlite", lambda: None), ("postgres", schema)):
                labs = fresh_labs(folder / f"{name}-{engine}", make, engine)
                points |= carry_out(f"{name}, {engine}", labs, chosen(found, draw), many // 2, tally)
    return {"points": len(points), **tally.figures()}


# ---------------------------------------------------------------------- points
def told(lab: Lab, name: str, fatal: tuple[str, int] | None = None) -> Ended:
    """A story in a process of its own, killed at a point or told to its end; it returns what it passed."""
    word = f"w{uuid.uuid4().hex}"

    def work() -> dict[str, dict[str, int]]:
        points = _points.Points(lab.storage, fatal)
        _points.install(points)
        STORIES[name].tell(lab, word)
        return {"seen": points.seen, "uncovered": points.uncovered}

    before = STORIES[name].before
    if before is not None:
        told(lab, *before)
    return lab.carry_out(work)


def listed(lab: Lab, tally: Tally) -> dict[str, Counter[str]]:
    """The points of each story, and how often each is passed; what happens between points is a failure."""
    found: dict[str, Counter[str]] = {}
    for name in STORIES if lab.engine == "process" else WITH_ENGINE:
        ended = told(lab, name)
        if not ended.well:
            raise RuntimeError(f"{name} fails by itself: {ended.said[-2000:]}")
        found[name] = Counter(ended.value["seen"])
        tally.failed += [f"{name}: no point around {what}, {n} times" for what, n in ended.value["uncovered"].items()]
    return found


def chosen(points: dict[str, Counter[str]], draw: random.Random) -> list[Kill]:
    """Kills spread over all stories and points: first each point once, then more passings of them."""
    order: list[list[Kill]] = []
    for story, seen in points.items():
        each = [Kill(story, name, draw.randint(1, passed)) for name, passed in seen.items()]
        more = [Kill(story, name, n) for name, passed in seen.items() for n in range(1, passed + 1)]
        draw.shuffle(each)
        draw.shuffle(more)
        order.append(each + [kill for kill in more if kill not in set(each)])
    turns = max(map(len, order))
    return [kills[turn] for turn in range(turns) for kills in order if turn < len(kills)]


# ---------------------------------------------------------------------- kills
def carry_out(where: str, labs: Iterator[Lab], kills: Sequence[Kill], count: int, tally: Tally) -> set[str]:
    """Kill, recover, look, so many times; after a finding in another workspace. Returns the points of the kills."""
    points: set[str] = set()
    lab, done, here = next(labs), 0, 0
    for kill in kills:
        if STORIES[kill.story].once and here:
            lab, here = left(lab, labs, tally), 0
        ended = told(lab, kill.story, (kill.point, kill.passing))
        at = f"{where}, {kill.story}, {kill.point} ({kill.passing})"
        if ended.killed:
            tally.killed[where] += 1
            points.add(kill.point)
            done += 1
        elif not ended.well:
            tally.found(at, [("lost", f"it failed before it was killed: {ended.said[-500:]}")])
        well, here = looked_at(at, lab, tally), here + 1
        if done == count:
            break
        if not well or here == ROUND or STORIES[kill.story].once:
            lab, here = left(lab, labs, tally), 0
    left(lab, labs, tally)
    return points


def left(lab: Lab, labs: Iterator[Lab], tally: Tally) -> Lab:
    """Another lab, after what callers were told in this one is counted."""
    tally.counted += Counter({what: len(lab.acknowledged(what)) for what in lab.WHAT})
    return next(labs)
