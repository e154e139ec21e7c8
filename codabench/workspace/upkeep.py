"""What a workspace keeps in storage: how much it is, what may go, copies of all of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from codabench.core.errors import UsageError
from codabench.workspace.addresses import FORGETFUL, plain_url, usual_database
from codabench.workspace.rooms import Rooms

if TYPE_CHECKING:
    from codabench.storage.sweep import Sweep
    from codabench.workspace.backup import Backup
    from codabench.workspace.housekeeping import Usage


class Upkeep(Rooms):
    """Storage: counted, swept, backed up, restored."""

    def usage(self) -> Usage:
        """Who uses how much storage: bytes by competition, user and kind; ``.to_frame()`` for more."""
        from codabench.workspace.housekeeping import usage

        return usage(self._whole)

    def gc(self, *, dry_run: bool = True, verify: bool = False, older_than: float | str = "24h") -> Sweep:
        """Find, and unless `dry_run` remove, what no competition, submission or run needs: in storage and in the cache.

        One storage belongs to one database: what only another one names would go.

        Parameters
        ----------
        verify
            Also read every stored and cached byte and compare it with its digest.
        older_than
            Seconds, or words such as ``"7 d"``, since it was written or used. Below an hour only while nobody else
            writes there.

        Raises
        ------
        UsageError
            ``CB356``: the database is in memory and would forget what is stored.
        StorageError
            Something cannot be listed or removed.
        """
        from codabench.workspace.housekeeping import collect_garbage

        return collect_garbage(self._whole, dry_run=dry_run, verify=verify, older_than=older_than)

    def backup(self, dest: str | os.PathLike[str], *, options: dict[str, Any] | None = None) -> Backup:
        """Copy everything to an empty directory, or a place at any fsspec URL, while work goes on.

        The rows are those of one moment; then every stored byte that they name is copied, and hashed on the way.

        Parameters
        ----------
        options
            Passed to the file system of `dest`.

        Returns
        -------
        Backup
            How much there is. What the storage lacks is in ``missing``; the rest is in the backup all the same.

        Raises
        ------
        StorageError
            ``CB732``: the place is not empty. ``CB704``, ``CB707``: it cannot be written.
        """
        from codabench.workspace.backup import back_up

        return back_up(self._whole, dest, options)

    @classmethod
    def restore(
        cls,
        source: str | os.PathLike[str],
        url: str | os.PathLike[str],
        *,
        db: str | None = None,
        options: dict[str, Any] | None = None,
        storage_options: dict[str, Any] | None = None,
        **more: Any,
    ) -> Self:
        """Make a workspace of a backup, in an empty place and an empty database of either kind, and open it.

        Parameters
        ----------
        options
            Passed to the file system of `source`.
        more
            As for `Workspace`.

        Raises
        ------
        StorageError
            ``CB730``: there is no whole backup. ``CB731``: its rows were changed. ``CB732``, ``CB733``: the place, or
            the database, is not empty. ``CB702``: stored bytes were changed. ``CB721``: a later version made it.
        UsageError
            ``CB356``: the database would be in memory.
        """
        from codabench.workspace.backup import restore

        place = plain_url(url)
        into = db or usual_database(place)
        if into in FORGETFUL:
            hint = "name a database (db=...)"
            raise UsageError("what is restored would be forgotten: the database is in memory", code="CB356", hint=hint)
        restore(source, place, into, options=options, storage_options=storage_options)
        opened: Callable[..., Self] = cls  # its arguments are those of `Workspace`
        return opened(place, db=into, storage_options=storage_options, **more)
