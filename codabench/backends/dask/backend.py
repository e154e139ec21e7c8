"""`DaskBackend`: work on the workers of a Dask cluster.

Work is fired and forgotten: nothing that a worker answers is ever unpickled here. What becomes of it comes as JSON on
a topic of its own, and a task that is gone without having told what came of it is lost: `WorkLost`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from codabench.backends.backend import BackendInfo, Handle, Needs, Work
from codabench.backends.dask.handle import DaskHandle
from codabench.backends.dask.link import LOST, Link
from codabench.backends.dask.offers import slots_of, wanted, worker_info
from codabench.backends.dask.preflight import Asked, Preflight, looked, looking
from codabench.backends.dask.security import TLS
from codabench.backends.dask.wire import STOP, Message, Order
from codabench.backends.engine import ContainerEngine, Emit
from codabench.backends.local import function_named
from codabench.core.errors import EngineUnavailable, NoRoom, UsageError, WorkLost

log = logging.getLogger("codabench.backends")

LOOK_SECONDS = 1.0
"""Between two looks at what the scheduler knows of our work."""

GRACE_SECONDS = 3.0
"""After which work that the scheduler does not know any more is lost: its last message may be on its way."""

BEHIND = 32 << 20
"""Characters that may wait to be handed to observers; beyond that output is left out."""

_CLOSE_PATIENCE = 60.0
_FRESH_SECONDS = 1.0


class DaskBackend:
    """Runs work on a Dask cluster.

    Parameters
    ----------
    cluster
        An address (``"tls://host:8786"``, ``"dask://host:8786?engine=podman"``), or a `distributed.Client` or a Dask
        cluster, which is used as it is and left open.
    engine
        The container engine on the workers: a word, or an engine of this process that has one; None: what each worker
        was started with, else the first one that answers there.
    tls
        Certificates, or the directory that ``codabench certs`` wrote; None: that of ``CODABENCH_DASK_CERTS``, else
        ``~/.config/codabench/certs``.
    timeout
        Seconds to reach the scheduler.

    Raises
    ------
    EngineUnavailable
        ``CB601``: no scheduler answers, or it has no workers.
    UsageError
        The address is none, or a scheduler beyond this machine would be reached without encryption.
    """

    def __init__(
        self,
        cluster: Any,
        *,
        engine: str | ContainerEngine | None = None,
        tls: TLS | str | os.PathLike[str] | None = None,
        timeout: float = 10.0,
    ) -> None:
        self._link = Link(cluster, tls, timeout, self._hear)
        self._engine = self._link.engine if engine is None else engine if isinstance(engine, str) else _word_of(engine)
        self.address = self._link.address
        self._topic, self._mark = self._link.topic(), uuid.uuid4().hex[:6]
        self._numbers = itertools.count()
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._came = self._went = 0
        self._handles: dict[str, DaskHandle] = {}
        self._keys: set[str] = set()
        self._seen: tuple[float, dict[str, Any]] = (-_FRESH_SECONDS, {})
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._link.subscribe(self._topic)
        self._threads = [
            threading.Thread(target=target, name=f"codabench-dask-{name}", daemon=True)
            for name, target in (("listen", self._listen), ("watch", self._watch))
        ]
        for thread in self._threads:
            thread.start()

    # ------------------------------------------------------------------ the seam
    def submit(
        self,
        work: Work,
        *,
        key: str,
        needs: Needs | None = None,
        on_event: Emit | None = None,
        on_done: Callable[[Handle], None] | None = None,
    ) -> DaskHandle:
        """As `Backend.submit`.

        Raises
        ------
        UsageError
            If `work` names no function of this library, or `key` is in flight.
        EngineUnavailable
            ``CB657``: no worker of the cluster has what it needs.
        """
        return self._submit(work, key, needs or Needs(), on_event, on_done)

    def _submit(
        self,
        work: Work,
        key: str,
        needs: Needs,
        on_event: Emit | None = None,
        on_done: Callable[[Handle], None] | None = None,
        *,
        worker: str | None = None,
    ) -> DaskHandle:
        """As `submit`; with `worker`, there and nowhere else, whatever is under way there."""
        from distributed import fire_and_forget

        from codabench.backends.dask.tasks import carry_out

        function_named(work.function)
        if self._closed.is_set():
            raise UsageError("this backend is closed")
        where: dict[str, Any] = {"workers": [worker]} if worker else {"resources": self._resources(needs)}
        number = next(self._numbers)
        task = f"codabench-run-{key}-{self._mark}{number}"

        def done() -> None:
            with self._lock:
                self._handles.pop(task, None)
                self._keys.discard(key)
            if on_done is not None:
                on_done(handle)

        stop_there = partial(self._stop_there, task)
        handle = DaskHandle(key, on_event, done, stop_there=stop_there, drop=partial(self._drop, task))
        order = Order(key=task, topic=self._topic, function=work.function, payload=work.payload, engine=self._engine)
        with self._lock:
            if self._closed.is_set():
                raise UsageError("this backend is closed")
            if key in self._keys:
                raise UsageError(f"work with the key {key!r} is already in flight")
            self._keys.add(key)
            self._handles[task] = handle
        try:
            future = self._link.client.submit(
                carry_out, order.model_dump_json(), key=task, pure=False, priority=-number, **where
            )
        except LOST as error:
            with self._lock:
                self._handles.pop(task, None)
                self._keys.discard(key)
            raise NoRoom(f"the Dask scheduler at {self.address} takes no work: {error}") from error
        # Both leave with the submission itself: from its first moment on this client is told nothing of the task.
        fire_and_forget(future)
        future.release()
        return handle

    def info(self) -> BackendInfo:
        workers = self._workers()
        slots = sum(map(slots_of, workers.values()))
        details = {
            "address": self.address,
            "workers": len(workers),
            "encrypted": self.address.startswith("tls://"),
        }
        return BackendInfo(name="dask", slots=slots, engine=self._engine or "auto", details=details)

    def described(self) -> BackendInfo:
        """As `info`, with every worker, and the dashboard if it answers: that is looked at, and takes longer."""
        self._link.see()
        found = [worker_info(address, said) for address, said in self._workers().items()]
        return self.info().model_copy(update={"workers": tuple(found), "dashboard": self._link.dashboard()})

    def preflight(
        self,
        image: str | None = None,
        *,
        pull: str = "never",
        storage: str | None = None,
        witness: dict[str, Any] | None = None,
        reads: Callable[[Any], None] | None = None,
        timeout: float = 60.0,
    ) -> Preflight:
        """Look at every worker: engine, image, storage, clock, versions; see `Workspace.preflight`.

        Parameters
        ----------
        image
            Has to be there, or be pulled if `pull` is ``"missing"``.
        storage
            A URL that workers have to reach.
        witness, reads
            A blob there that they have to read, and what reads here what they wrote.
        timeout
            Seconds; a worker that is busy answers when a slot is free.
        """
        payload = {"image": image, "pull": pull, "storage": storage, "witness": witness}
        workers = self._workers()

        def asked(worker: str) -> Asked:
            key = f"look-{uuid.uuid4().hex}"
            return Asked(lambda done: self._submit(looking(payload), key, Needs(), None, done, worker=worker))

        names = {address: str(said["name"]) for address, said in workers.items() if said["name"] != address}
        return looked({worker: asked(worker) for worker in workers}, names, reads, timeout)

    def close(self) -> None:
        """As `Backend.close`."""
        with self._lock:
            self._closed.set()
            handles = list(self._handles.values())
        for handle in reversed(handles):  # or what ends would make room for what waits
            handle.cancel("the backend is closed")
        end = time.monotonic() + _CLOSE_PATIENCE
        for handle in handles:
            if not handle.over.wait(max(0.0, end - time.monotonic())):
                handle.fail(WorkLost(f"nothing was heard of {handle.key} after it was cancelled"))
        self._inbox.put(None)
        for thread in self._threads:
            thread.join()
        self._link.close()

    def __enter__(self) -> DaskBackend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        link = self._link.dashboard()
        return f"<DaskBackend {self.address}{f'  dashboard {link}' if link else ''}>"

    # ------------------------------------------------------------------ the cluster
    def _workers(self, *, fresh: bool = False) -> dict[str, Any]:
        """What workers there are; asked once a second at most: it takes longer than to hand out work."""
        at, found = self._seen
        if fresh or time.monotonic() - at > _FRESH_SECONDS or not found:
            found = self._link.ask("identity", n_workers=-1)["workers"]
            self._seen = (time.monotonic(), found)
        return found

    def _resources(self, needs: Needs) -> dict[str, float]:
        """What a worker must have free for this; what nobody has would be waited for without end."""
        for fresh in (False, True):  # nothing is refused for a worker that has come this very moment
            workers = self._workers(fresh=fresh)
            resources, there = wanted(needs, workers.values())
            if there:
                return resources
        if not workers:
            hint = "start one: codabench worker"
            raise NoRoom(f"the Dask scheduler {self.address} has no workers", hint=hint)
        lacking = ", ".join(f"{name}={much:g}" for name, much in resources.items())
        hint = "start a worker that has it (codabench worker --slots, --gpus), or ask for less"
        raise EngineUnavailable(f"no worker of the cluster has {lacking}", code="CB657", hint=hint)

    def _stop_there(self, task: str, workers: list[str] | None, reason: str) -> bool:
        """Tell workers, or all of them, to stop a task; whether one of them has begun it. The others never will."""
        message = {"op": STOP, "key": task, "reason": reason}
        try:
            # Whoever is gone is not waited for: each question to nobody takes ten seconds.
            if workers is not None and not (workers := [w for w in workers if w in self._workers(fresh=True)]):
                return False
            answers = self._link.ask("broadcast", msg=message, workers=workers, on_error="ignore")
        except EngineUnavailable as error:
            log.warning("workers could not be told to stop %s: %s", task, error)
            return False
        return any(answer is True for answer in answers.values())

    def _drop(self, task: str) -> None:
        """Take a task back that no worker has begun."""
        from distributed import Future

        client = self._link.client
        with contextlib.suppress(*LOST):
            client.cancel([Future(task, client)], force=True)

    # ------------------------------------------------------------------ what comes back
    def _hear(self, event: tuple[float, Any]) -> None:
        """In the event loop of the client: nothing is done here."""
        if isinstance(event[1], dict) and "action" in event[1]:
            return  # the scheduler tells on this topic of the client itself
        try:
            message = Message.model_validate(event[1])
        except ValueError:
            log.warning("a worker sent what is no message")
            return
        if message.kind != "output" or self._came - self._went < BEHIND:
            self._came += len(message.text)
            self._inbox.put(message)

    def _listen(self) -> None:
        for message in iter(self._inbox.get, None):
            self._went += len(message.text)
            handle = self._handles.get(message.key)
            if handle is None:
                continue
            try:
                handle.take(message)
            except Exception as error:  # the outermost frame of a thread; an observer's fault, or a message that lies
                log.exception("a message of %s could not be taken", message.key)
                handle.fail(error)

    def _watch(self) -> None:
        """Find work that is gone without having told what came of it: its worker, or the scheduler, was lost."""
        gone: dict[str, float] = {}
        while not self._closed.wait(LOOK_SECONDS):
            with self._lock:
                tasks = list(self._handles)
            now = time.monotonic()
            try:
                self._link.mend()
                states = self._link.ask("get_task_status", keys=tasks)
            except EngineUnavailable as error:
                log.warning("%s", error)
                states = {}
            for task in tasks:
                if states.get(task) in ("processing", "queued", "no-worker", "waiting"):
                    gone.pop(task, None)
                elif now - gone.setdefault(task, now) > GRACE_SECONDS:
                    if (handle := self._handles.get(task)) is not None:
                        handle.lost()
                    gone.pop(task, None)


def _word_of(engine: ContainerEngine) -> str:
    url = getattr(engine, "url", None)
    return f"{engine.name}:{url}" if url else engine.name
