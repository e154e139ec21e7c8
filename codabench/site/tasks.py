"""Tasks of a site: programs and data that competitions use by one key; made, shared, edited, uploaded."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from codabench.core.errors import BundleError, Invalid, NotFound, NotSignedIn, Refused
from codabench.core.hosting import Dataset, SharedTask
from codabench.db.shared_tasks import WantedTasks
from codabench.db.uses import Naming
from codabench.site.actors import Actor
from codabench.site.credentials import actor_of
from codabench.site.editing import renewed
from codabench.site.lists import MOST, SHORT, Page
from codabench.site.offers import solutions_of, task_facts, used_by
from codabench.site.part import Part
from codabench.site.policy import Action
from codabench.site.receiving import spooled
from codabench.site.task_archives import task_of
from codabench.site.task_fields import checked
from codabench.site.unpacking import named

_CHUNK = 1 << 20
_TOLD_TO_NOBODY = frozenset({"is_public"})
"""Fields of which competitions that have a task know nothing."""


class Tasks(Part):
    """Every method that takes a task takes its number or its key."""

    # ------------------------------------------------------------------ looking
    def list(
        self, actor: Actor, wanted: WantedTasks | None = None, *, page: int = 1, size: int = SHORT
    ) -> Page[SharedTask]:
        """The actor's own tasks and those shared with it; with ``or_public`` also public ones.

        Raises
        ------
        NotSignedIn
            ``CB801``: nobody is signed in.
        """
        if actor.account is None:
            raise NotSignedIn("Authentication credentials were not provided.")
        page, size = max(1, page), max(1, min(size, MOST))
        asked = (wanted or WantedTasks()).model_copy(update={"account": actor.account})
        items, total = self.db.wanted_tasks(asked, offset=(page - 1) * size, limit=size)
        return Page(items, page, size, total)

    def get(self, actor: Actor, which: int | str) -> SharedTask:
        """One task."""
        return self._found(actor, which, Action.TASK_READ)

    def used_by(self, actor: Actor, keys: Collection[str]) -> dict[str, Sequence[Naming]]:
        """Keys -> the competitions that have them, as far as the actor may know of those."""
        return used_by(self.site, actor, keys)

    def solutions(self, actor: Actor, key: str) -> Sequence[Dataset]:
        """Sample submissions for a task, of competitions that give them to the actor (platform.md O77)."""
        return solutions_of(self.site, actor, key)

    # ------------------------------------------------------------------ making and changing
    def create(self, actor: Actor, fields: Mapping[str, Any]) -> SharedTask:
        """Make a task of data sets.

        Parameters
        ----------
        fields
            ``name``, ``description``, ``scoring_program`` (has to be there), ``ingestion_program``, ``input_data``,
            ``reference_data``: keys of data sets; ``ingestion_only_during_scoring``, ``is_public``, ``shared_with``.

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field.
        """
        self.site.policy.require(actor, Action.TASK_CREATE)
        if actor.account is None:
            raise Invalid("A task is somebody's: the operator of a host has none.")
        required = {"name": None, "scoring_program": None}
        values = checked(self.site, actor, {**required, **fields}, actor.account)
        accounts = values.pop("shared_with", frozenset())
        given: dict[str, Any] = {"key": str(uuid.uuid4()), "owner": actor.account, "created_at": self.site.now()}
        made = self.db.add_task(SharedTask(**given, **values))
        if accounts:
            self.db.share_task(made.id, accounts)
        return self.db.task_numbered(made.id)

    def edit(self, actor: Actor, which: int | str, changes: Mapping[str, Any]) -> SharedTask:
        """Change fields of a task; what is not named stays (platform.md section 6, 21).

        Competitions that the owner of the task organizes run new submissions on it as it is then. Those of others
        keep what they have: nobody else changes how they score.

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field; nothing was changed.
        """
        task = self._found(actor, which, Action.TASK_EDIT)
        values = checked(self.site, actor, changes, task.owner, before=task)
        accounts = values.pop("shared_with", None)
        if values:
            self.db.change_task(task.key, values)
        if accounts is not None:
            self.db.share_task(task.id, accounts)
        if any(values[name] != getattr(task, name) for name in values if name not in _TOLD_TO_NOBODY):
            self._renew(task)
        return self.db.task_numbered(task.id)

    def share(self, actor: Actor, which: int | str, accounts: Iterable[int]) -> SharedTask:
        """Have these accounts, and no others beside its owner, see and use a task."""
        return self.edit(actor, which, {"shared_with": [*accounts]})

    def set_public(self, actor: Actor, which: int | str, public: bool) -> SharedTask:
        """Have everybody who is signed in see and use a task, or not."""
        return self.edit(actor, which, {"is_public": public})

    def delete(self, actor: Actor, which: int | str) -> None:
        """Delete a task that no competition has.

        Raises
        ------
        Refused
            ``CB800``: a competition has it.
        """
        self.delete_many(actor, [which])

    def delete_many(self, actor: Actor, several: Sequence[int | str]) -> int:
        """The same of several: all of them, or none; returns how many."""
        found = [self._found(actor, each, Action.TASK_DELETE) for each in dict.fromkeys(several)]
        if self.db.drop_tasks([task.key for task in found], at=self.site.now()):
            raise Refused("It is in use.")
        return len(found)

    def _renew(self, task: SharedTask) -> None:
        owner = actor_of(self.db.account(task.owner))
        named = [each.id for each in self.db.competitions_naming([task.key]).get(task.key, ())]
        for hosted in self.db.hosted_many(named).values():
            if task.owner in {hosted.owner, *hosted.collaborators}:
                renewed(self.site, owner, hosted, task.key)

    # ------------------------------------------------------------------ uploading
    def upload(self, actor: Actor, file: BinaryIO, name: str = "task.zip") -> SharedTask:
        """Make a task of an archive with a ``task.yaml``, all of it or nothing (platform.md O72).

        Parameters
        ----------
        name
            For messages.

        Raises
        ------
        BundleError
            It cannot be used; ``.report`` holds every problem.
        Invalid
            ``CB802``: ``data_file``, where there is no room for it.
        """
        self.site.policy.require(actor, Action.TASK_CREATE)
        if actor.account is None:
            raise Invalid("A task is somebody's: the operator of a host has none.")
        with spooled(self.site, self.site.settings.upload) as (incoming, path):
            while chunk := file.read(_CHUNK):
                incoming.write(chunk)
            incoming.flush()
            try:
                return task_of(self.site, actor, actor.account, path)
            except BundleError as error:
                raise named(error, str(path), name) from error

    # ------------------------------------------------------------------ finding
    def _found(self, actor: Actor, which: int | str, action: Action) -> SharedTask:
        """A task, if the actor may do that with it; to who may not know of it, it is not there."""
        try:
            found = self.db.task_keyed(which) if isinstance(which, str) else self.db.task_numbered(which)
        except NotFound:
            raise NotFound("there is no such task, or not for you") from None
        in_use = action is Action.TASK_DELETE and bool(self.db.competitions_naming([found.key]))
        self.site.policy.require(actor, action, task_facts(found, in_use=in_use))
        return found
