"""Quotas: what people may store, what they do store, and what of it they need no more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from codabench.core.errors import Invalid
from codabench.core.text import human_size
from codabench.site.actors import Actor
from codabench.site.facts import AccountFacts
from codabench.site.part import Part
from codabench.site.policy import Action

if TYPE_CHECKING:
    from codabench.site.site import Site

_REMEMBERED = 200_000
"""Runs whose bytes are remembered."""


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


class Quota(Part):
    """Bytes of people."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._known: dict[str, int] = {}
        self._lock = threading.Lock()

    def usage(self, actor: Actor, account: int | None = None) -> Used:
        """What an account uses; None: the actor's own."""
        whose = account if account is not None else actor.account or 0
        self.site.policy.require(actor, Action.ACCOUNT_SEE_USE, AccountFacts(whose))
        return Used(self._quota(whose), self.db.dataset_bytes(whose), self._results(whose))

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
