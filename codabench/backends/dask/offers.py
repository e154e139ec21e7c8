"""What the workers of a cluster offer, by what its scheduler tells of them, and who has what some work needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codabench.backends.backend import Needs, WorkerInfo
from codabench.backends.dask.wire import CARD

SLOTS, GPUS = "slots", "GPU"


def slots_of(said: Mapping[str, Any]) -> int:
    """How many runs a worker carries out at the same time; of one that was not started by us, its threads."""
    return int(said["resources"].get(SLOTS, said["nthreads"]))


def worker_info(address: str, said: Mapping[str, Any]) -> WorkerInfo:
    """A worker by what its scheduler tells of it; one that was not started by us says less."""
    card = said.get(CARD) or {}
    return WorkerInfo(
        name=str(said["name"]),
        address=address,
        slots=slots_of(said),
        gpus=int(said["resources"].get(GPUS, 0)),
        engine=str(card.get("engine", "")),
        version=str(card.get("version", "")),
    )


def wanted(needs: Needs, workers: Iterable[Mapping[str, Any]]) -> tuple[dict[str, float], bool]:
    """What a worker must have free for some work, and whether one of these has so much at all."""
    offered = [worker["resources"] for worker in workers]
    found = {SLOTS: float(needs.slots)} if any(SLOTS in each for each in offered) else {}
    if needs.gpus:
        found[GPUS] = float(_devices(needs.gpus))
    return found, any(all(each.get(name, 0) >= much for name, much in found.items()) for each in offered)


def _devices(gpus: str) -> int:
    """How many GPUs of a worker a request takes: a number, or names; ``all`` counts as one."""
    return int(gpus) if gpus.isdigit() else len(gpus.split(","))
