"""The directory of one run on its host: what is copied, what is mounted, what is thrown away."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from codabench.backends.engine import Mount
from codabench.core.records import Role, StepName
from codabench.runner.contract import PLACES, SCORER_INPUT_DATA, Place
from codabench.runner.plan import RunPlan, StepsPlan
from codabench.storage.cache import Held
from codabench.storage.sources import remove_tree
from codabench.storage.store import Storage

_SHARED_TREES = ("input_data", "reference_data")
_EMPTY = (
    "prediction_output",
    "prediction_shared",
    "scoring_output",
    "scoring_shared",
    "scoring_input",
    "ingestion_output",
    "ingested_predictions",
)


def mounts_of(plan: StepsPlan, step: StepName, role: Role) -> Iterator[tuple[Place, bool]]:
    """The places that a program sees, and whether it may write there."""
    places = PLACES[step, role]
    if (step, role) == ("scoring", "program") and plan.during_scoring:
        places = (*places, SCORER_INPUT_DATA)
    for place in places:
        if place.only_if is None or place.only_if in plan.trees:
            yield place, place.writable == "always" or getattr(plan.policy, place.writable)


class RunDirectory:
    """A private directory (0700) with everything that the containers of one attempt see.

    Parameters
    ----------
    root
        Made by this class; must not exist.
    owner
        uid and gid that directories need which a program writes to, or None where ours are right.
    enforced
        Whether the engine makes a read-only mount one that nobody can write to.
    """

    def __init__(
        self, root: Path, plan: RunPlan, storage: Storage, owner: tuple[int, int] | None, *, enforced: bool = False
    ) -> None:
        self.root, self._plan, self._storage, self._owner, self._enforced = root, plan, storage, owner, enforced
        # Both steps are prepared at the same time and may name the same directory.
        self._lock = threading.Lock()
        self._held: list[Held] = []
        root.mkdir(parents=True, mode=0o700)

    def path(self, name: str) -> Path:
        """Where the directory of that name is."""
        return self.root / name

    def prepare(self, step: StepName) -> None:
        """Make every directory that the programs of a step mount."""
        for program in self._plan.step(step).programs:
            for place, writable in mounts_of(self._plan, step, program.role):
                with self._lock:
                    self._prepare(place.host, writable)
        if step == "scoring":
            self._prepare("scoring_input", writable=True)
            for name in ("ref", "res"):
                self._make(self.path("scoring_input") / name)

    def _prepare(self, name: str, writable: bool) -> None:
        place = self.path(name)
        if place.exists():
            return
        if name in _EMPTY:
            self._make(place)
        elif name in _SHARED_TREES and not writable:
            # One read-only copy on this host serves every run.
            shared = self._storage.cached(self._plan.trees[name], mounted=self._enforced)
            self._held.append(shared)
            place.symlink_to(shared.path, target_is_directory=True)
        else:
            self._make(place)
            self._storage.materialise(self._plan.trees[name], place, owner=self._owner, read_only=not writable)

    def _make(self, place: Path) -> None:
        if not place.exists():
            place.mkdir(mode=0o755)
            if self._owner:
                os.chown(place, *self._owner)

    def mounts(self, step: StepName, role: Role) -> tuple[Mount, ...]:
        """What a container of that step and role mounts."""
        return tuple(
            Mount(source=str(self.path(place.host).resolve()), target=place.target, read_only=not writable)
            for place, writable in mounts_of(self._plan, step, role)
        )

    def writable(self, step: StepName) -> list[Path]:
        """The directories that the programs of a step may write to, each once."""
        found = {
            self.path(place.host)
            for program in self._plan.step(step).programs
            for place, writable in mounts_of(self._plan, step, program.role)
            if writable
        }
        return sorted(found)

    def release(self) -> None:
        """Say that no program uses the shared copies any more."""
        for held in self._held:
            held.release()

    def remove(self) -> None:
        """Throw everything away."""
        self.release()
        remove_tree(self.root)
