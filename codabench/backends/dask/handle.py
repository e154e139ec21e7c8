"""`DaskHandle`: work on a cluster, by what its worker tells of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from codabench.backends.backend import HandleStatus
from codabench.backends.dask.wire import Message, error_of
from codabench.backends.engine import Emit
from codabench.backends.handle import WorkHandle
from codabench.core.errors import WorkLost


class DaskHandle(WorkHandle):
    """Work on the cluster.

    Parameters
    ----------
    stop_there
        Tells workers, or all of them, to stop it, and why; whether one of them has begun it. The others never will.
    drop
        Takes it back where no worker has begun it.
    """

    def __init__(
        self,
        key: str,
        on_event: Emit | None,
        on_finished: Callable[[], None],
        *,
        stop_there: Callable[[list[str] | None, str], bool],
        drop: Callable[[], None],
    ) -> None:
        super().__init__(key, on_event, on_finished)
        self._stop_there, self._drop = stop_there, drop
        self._execution: str | None = None
        self._worker, self._heard = "", -1
        self._parts: list[str] = []

    @property
    def over(self) -> threading.Event:
        """Set at the end."""
        return self._done

    def take(self, message: Message) -> None:
        """A message of the worker; of a second execution nothing counts."""
        if message.kind == "began":
            self._begun(message)
            return
        if message.execution != self._execution or message.number <= self._heard:
            return
        self._heard = message.number
        if message.kind in ("events", "output"):
            for event in json.loads(message.text):
                self.put_event(event)
        else:
            self._parts.append(message.text)
            if message.last:
                found = json.loads("".join(self._parts))
                self.finish(found) if message.kind == "result" else self.fail(error_of(found))

    def _begun(self, message: Message) -> None:
        worker = message.worker
        if message.execution == self._execution:
            return
        if self._execution is not None:
            # The scheduler lost the first worker, which may still be at it: only a new attempt can tell them apart.
            self._stop_there([worker], "it was begun on another worker")
            self.fail(WorkLost(f"the worker {self._worker} was lost while it had {self.key}"))
            return
        self._execution, self._worker = message.execution, worker
        begun = self.begin()
        if not begun or self.stop.is_set():
            self._stop_there([worker], self.stop.reason or "cancelled")

    def lost(self) -> None:
        """Its task is gone, and nothing was heard of what came of it."""
        begun = self.status() is not HandleStatus.WAITING
        message = f"the cluster does not know {self.key} any more: its worker was lost"
        self.fail(WorkLost(message, begun=begun))

    def forget(self) -> None:
        """Take it back without a word to workers, one of which may hang; nobody minds if it is done all the same."""
        self._drop()
        super().cancel("it is not waited for any more")

    def cancel(self, reason: str = "cancelled") -> None:
        if self.status() is HandleStatus.WAITING:
            # On its way, it may have begun already: then it ends as what runs does, with a result.
            self.stop.set(reason)
            if not self._stop_there(None, reason):
                self._drop()
                super().cancel(reason)
        else:
            self.stop.set(reason)
            self._stop_there([self._worker], reason)
