"""What a workspace keeps in storage: who uses how much of it, and what nobody needs any more."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from codabench.core.base import Record
from codabench.core.errors import UsageError
from codabench.core.text import human_size, parse_duration, preformatted, printable
from codabench.db.naming import busy_since, known_attempts, named_digests, named_parts
from codabench.storage.sweep import Reachable, Sweep, sweep

if TYPE_CHECKING:
    import pandas as pd

    from codabench.workspace.workspace import Workspace


class Use(Record):
    """Bytes of one kind of one user in one competition.

    Attributes
    ----------
    user
        The participant; empty for what belongs to the competition.
    kind
        ``data`` (programs and data), ``submission``, ``output``, ``log``.
    objects
        Different archives and blobs.
    """

    competition: str
    user: str
    kind: str
    objects: int
    size: int


class Usage(Record):
    """Who uses how much.

    Attributes
    ----------
    rows
        Largest first. What two rows name is stored once and counted in both.
    size
        Bytes of all that is named, each once.
    """

    rows: tuple[Use, ...]
    size: int

    def to_frame(self) -> pd.DataFrame:
        """One row for each competition, user and kind; sizes in bytes."""
        import pandas as pd

        return pd.DataFrame([row.model_dump() for row in self.rows], columns=[*Use.model_fields])

    def __str__(self) -> str:
        lines = [
            f"{human_size(row.size):>10}  {row.objects:6}  {row.kind:10}  {printable(row.competition)}"
            + (f" · {printable(row.user)}" if row.user else "")
            for row in self.rows
        ]
        return "\n".join([*lines, f"{human_size(self.size):>10}  in all, each part counted once"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self), "cb-usage")


def usage(workspace: Workspace) -> Usage:
    """What `Workspace.usage` returns."""
    found: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for part in named_parts(workspace.db):
        found[part.competition, part.user, part.kind][part.sha256] = part.size
    rows = [
        Use(competition=competition, user=user, kind=kind, objects=len(parts), size=sum(parts.values()))
        for (competition, user, kind), parts in found.items()
    ]
    once = {sha256: size for parts in found.values() for sha256, size in parts.items()}
    return Usage(rows=tuple(sorted(rows, key=lambda row: -row.size)), size=sum(once.values()))


def collect_garbage(workspace: Workspace, *, dry_run: bool, verify: bool, older_than: float | str) -> Sweep:
    """What `Workspace.gc` does."""
    try:
        seconds = parse_duration(older_than)
    except ValueError as error:
        raise UsageError(str(error), code="CB353") from None
    if not dry_run and workspace.forgets:
        raise UsageError(
            f"the database of {workspace.url} is in memory: it names nothing of what others stored there",
            code="CB356",
            hint="open the workspace with the database that its runs are in (db=...)",
        )
    busy = busy_since(workspace.db)
    if busy is not None:
        # What runs under way have written is named by no row before they end.
        seconds = max(seconds, time.time() - busy.timestamp() + 60)

    def reachable() -> Reachable:
        return Reachable(named_digests(workspace.db), known_attempts(workspace.db))

    return sweep(workspace.storage, reachable, older_than=seconds, dry_run=dry_run, verify=verify)
