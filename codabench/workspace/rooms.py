"""What the methods of a `Workspace` work with, whichever module they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from codabench.db.database import Database
from codabench.storage.store import Storage
from codabench.workspace.places import Places
from codabench.workspace.plans import Plans
from codabench.workspace.stored import StoredTrees

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace


class Rooms:
    """The parts of a workspace. Its methods are in modules by subject, whose classes `Workspace` joins."""

    db: Database
    storage: Storage
    trees: StoredTrees
    plans: Plans
    places: Places

    def _wake(self) -> None:
        """There is work: see to it that somebody looks, if this process carries out any."""
        raise NotImplementedError

    @property
    def _whole(self) -> Workspace:
        return cast("Workspace", self)
