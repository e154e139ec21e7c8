"""Whether the workers of a cluster can carry out the runs of a workspace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from codabench.core.errors import UsageError
from codabench.core.trees import BlobRef
from codabench.workspace.places import on_cluster

PULLS = ("missing", "always", "never")

if TYPE_CHECKING:
    from codabench.backends.dask.preflight import Preflight
    from codabench.workspace.workspace import Workspace


def preflight(workspace: Workspace, backend: Any, image: str | None, pull: str, timeout: float) -> Preflight:
    """See `Workspace.preflight`."""
    if pull not in PULLS:
        raise UsageError(f"pull is {', '.join(PULLS)}, not {pull!r}", code="CB353")
    place = workspace.places.get(backend)
    if not on_cluster(place):
        message = f"the backend {place.info().name!r} is this machine"
        raise UsageError(message, code="CB353", hint="codabench doctor looks at it; name a cluster: dask://host:8786")
    storage = workspace.storage

    def reads(written: Any) -> None:
        storage.get(BlobRef.model_validate(written))

    witness = storage.put(os.urandom(32)).model_dump(mode="json")
    look: Any = place
    options = {"storage": storage.url, "witness": witness, "reads": reads, "timeout": timeout}
    found: Preflight = look.preflight(image, pull=pull, **options)
    return found
