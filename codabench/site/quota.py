"""Quotas: what people may store, what they do store, and what of it they need no more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from codabench.core.competition import DataRole
from codabench.core.errors import Invalid, NotSignedIn
from codabench.core.records import Status
from codabench.core.text import human_size
from codabench.db.postings import Sought
from codabench.db.resources import WantedDatasets
from codabench.db.shared_tasks import WantedTasks
from codabench.site.actors import Actor
from codabench.site.facts import AccountFacts
from codabench.site.numbers import Kind
from codabench.site.part import Part
from codabench.site.policy import Action

if TYPE_CHECKING:
    from codabench.site.site import Site

_REMEMBERED = 200_000
"""Runs whose bytes are remembered."""
_SUBMITTED = (DataRole.SUBMISSION,)
_DATA = tuple(role for role in DataRole if role not in (DataRole.SUBMISSION, DataRole.COMPETITION_BUNDLE))
"""Bundles stay until somebody deletes them by hand: they are what competitions are made of again."""


class Used(NamedTuple):
    """What an account uses of its quota, in bytes.

    Attributes
    ----------
    quota
        What it may have.
    datasets
        What it uploaded, or announced; and what came with its bundles.
    results
        What its submissions put out: outputs and logs.
    """

    quota: int
    datasets: int
    results: int

    @property
    def used(self) -> int:
        return self.datasets + self.results


class Unneeded(NamedTuple):
    """How many things an account has that nothing needs (platform.md P31).

    Attributes
    ----------
    tasks
        That no competition has.
    datasets
        Programs, data and kits that no competition and no task has.
    submissions
        Uploaded for submissions that nobody made, or that were deleted.
    failed
        Submissions that failed.
    """

    tasks: int
    datasets: int
    submissions: int
    failed: int


class Quota(Part):
    """Bytes of people. What a competition has that was deleted is not in use."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._known: dict[str, int] = {}
        self._lock = threading.Lock()

    def usage(self, actor: Actor, account: int | None = None) -> Used:
        """What an account uses; None: the actor's own."""
        whose = account if account is not None else actor.account or 0
        self.site.policy.require(actor, Action.ACCOUNT_SEE_USE, AccountFacts(whose))
        return Used(self._quota(whose), self.db.dataset_bytes(whose), self._results(whose))

    # ------------------------------------------------------------------ clean-up
    def cleanup(self, actor: Actor) -> Unneeded:
        """How much there is to clean up."""
        me = self._me(actor, Action.ACCOUNT_SEE_USE)
        counts = self._tasks(me), self._datasets(me, _DATA), self._datasets(me, _SUBMITTED), self._failed(me)
        return Unneeded(*map(len, counts))

    def delete_unused_tasks(self, actor: Actor) -> int:
        """Delete the actor's tasks that no competition has; returns how many."""
        keys = set(self._tasks(self._me(actor)))
        return _as_many_as_possible(self.db.drop_tasks, keys, self.site.now())

    def delete_unused_datasets(self, actor: Actor) -> int:
        """Delete the actor's programs, data and kits that nothing has; returns how many."""
        keys = set(self._datasets(self._me(actor), _DATA))
        return _as_many_as_possible(self.db.drop_datasets, keys, self.site.now())

    def delete_unused_submissions(self, actor: Actor) -> int:
        """Delete the actor's uploads that are no submission; returns how many (platform.md section 6, 13)."""
        keys = set(self._datasets(self._me(actor), _SUBMITTED))
        return _as_many_as_possible(self.db.drop_datasets, keys, self.site.now())

    def delete_failed_submissions(self, actor: Actor) -> int:
        """Take the actor's submissions away that failed: they count against limits as before; returns how many."""
        failed = self._failed(self._me(actor))
        numbers = self.site.numbers.many(Kind.SUBMISSION, failed)
        for id in failed:
            self.site.submissions.soft_delete(actor, numbers[id])
        return len(failed)

    def _me(self, actor: Actor, action: Action = Action.ACCOUNT_EDIT) -> int:
        if actor.account is None:
            raise NotSignedIn("Authentication credentials were not provided.")
        self.site.policy.require(actor, action, AccountFacts(actor.account))
        return actor.account

    def _tasks(self, account: int) -> list[str]:
        mine = [task.key for task in self.db.wanted_tasks(WantedTasks(account=account, owned=True))[0]]
        return sorted(set(mine) - set(self.db.competitions_naming(mine)))

    def _datasets(self, account: int, types: tuple[DataRole, ...]) -> list[str]:
        """What is on its way is left alone."""
        wanted = WantedDatasets(owner=account, types=types, uploaded=True)
        mine = [dataset.key for dataset in self.db.wanted_datasets(wanted)[0]]
        return sorted(set(mine) - self.db.needed_datasets(mine))

    def _failed(self, account: int) -> list[str]:
        failed = self.db.sought(Sought(owner=account, status=Status.FAILED))
        return [posting.submission.id for posting in failed]

    # ------------------------------------------------------------------ room
    def admission(self, account: int, size: int) -> Callable[[int], None]:
        """What decides whether so many bytes more may be stored, told what the data sets of the account have by then.

        It raises `Invalid`, ``CB802``: ``data_file``.
        """
        room = self._quota(account) - self._results(account)

        def admit(used: int) -> None:
            if used + size > room:
                free = human_size(max(0, room - used))
                raise Invalid(
                    {"data_file": f"Insufficient space. This takes {human_size(size)}, and you have {free} left."},
                    hint="remove what you do not need",
                )

        return admit

    def _quota(self, account: int) -> int:
        own = self.db.account(account).quota
        return self.site.settings.quota if own is None else own

    def _results(self, account: int) -> int:
        """What a run put out never changes: it is read once."""
        runs = self.db.runs_with_results(Actor(account).participant)
        new = self.db.result_bytes([run for run in runs if run not in self._known])
        with self._lock:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            self._known |= new
            known = dict(new) | {run: self._known[run] for run in runs if run in self._known}
        return sum(known.get(run, 0) for run in runs)


class _Drop(Protocol):
    def __call__(self, keys: set[str], *, at: datetime) -> set[str]: ...


def _as_many_as_possible(drop: _Drop, keys: set[str], at: datetime) -> int:
    """Delete what is not in use; what was taken into use meanwhile is left out."""
    while keys and (used := drop(keys, at=at)):
        keys -= used
    return len(keys)
