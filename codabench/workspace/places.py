"""Where runs are carried out: one backend for each word, engine or `Backend` that somebody asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from codabench.backends.backend import Backend, BackendInfo
from codabench.backends.local import LocalBackend, available_cores
from codabench.backends.local_data import LocalData
from codabench.core.errors import EngineError, UsageError
from codabench.core.policy import Policy
from codabench.core.records import Run
from codabench.runner.inline import NAME as INLINE
from codabench.runner.inline import InlineBackend, warn_not_isolated

BackendLike = Any
"""A word (``"auto"``, ``"docker"``), an engine, or a `Backend`."""


def on_cluster(place: Backend) -> bool:
    """Whether runs are carried out by workers, which may be on other machines."""
    return hasattr(place, "preflight")


def _asked(place: Backend) -> dict[str, Any]:
    """A `BackendInfo` as JSON, with the workers of a cluster; ``error`` where it does not answer."""
    try:
        info: BackendInfo = getattr(place, "described", place.info)()
    except EngineError as error:
        address = getattr(place, "address", None)
        return {
            "name": "dask" if address else type(place).__name__,
            "details": {"address": address},
            "error": error.message,
        }
    return info.model_dump(mode="json")


class Places:
    """The backends of one workspace.

    Parameters
    ----------
    default
        Where runs are carried out unless a submission says otherwise.
    jobs
        Runs at the same time on this host; None: as many as it has cores.
    nudge
        Called when there is work that only the thread that waits can do.
    """

    def __init__(
        self,
        default: BackendLike,
        *,
        jobs: int | None,
        scratch: Path,
        ceiling: Policy,
        local_data: LocalData,
        nudge: Callable[[], None],
    ) -> None:
        self.default = default
        self._jobs, self._scratch, self._nudge = jobs, scratch, nudge
        self._ceiling, self._local_data = ceiling, local_data
        self._known: dict[Any, Backend] = {}
        self._own: list[Backend] = []
        self._assigned: dict[str, Backend] = {}
        self._lock = threading.Lock()

    def get(self, value: BackendLike = None, jobs: int | None = None, *, image: str | None = None) -> Backend:
        """The backend that a word, an engine or a `Backend` stands for; None: the default. One for each number of jobs.

        Raises
        ------
        UsageError, EngineError
            There is no such backend, or it does not answer.
        """
        from codabench.backends.select import word_for

        value = word_for(self.default if value is None else value, image)
        jobs = None if value == INLINE else self._jobs if jobs is None else jobs
        key = (value if isinstance(value, str) else id(value), jobs)
        with self._lock:
            if any(value is known for known in self._known.values()):
                return cast("Backend", value)
            if key not in self._known:
                place = self._made(value, jobs)
                self._known[key] = place
                if place is not value:
                    self._own.append(place)
            return self._known[key]

    def _made(self, value: BackendLike, jobs: int | None) -> Backend:
        from codabench.backends.select import backend_from

        if value == INLINE:
            warn_not_isolated()
            inline: Backend = InlineBackend(self._scratch, self._nudge, self._ceiling)
            return inline
        return backend_from(value, jobs=jobs, scratch=self._scratch, ceiling=self._ceiling, local_data=self._local_data)

    def word_of(self, value: BackendLike, place: Backend) -> tuple[Any, bool]:
        """What a run says of its backend, and whether only this process has that: an object, or functions.

        None is the default of whichever workspace takes the run. A place that was made of a word has it.
        """
        if isinstance(place, InlineBackend):
            return INLINE, True
        if value is None or isinstance(value, str):
            return value, False
        asked = [value for (value, _), known in self._known.items() if known is place]
        if any(value in (self.default, id(self.default)) for value in asked):
            return None, False
        word = next((value for value in asked if isinstance(value, str)), None)
        return (word, False) if word else ({"object": type(value).__name__}, True)

    @staticmethod
    def check(value: BackendLike) -> None:
        """For who only queues: whether it is a word that other processes may know.

        Raises
        ------
        UsageError
            ``CB693``: it lives in this process, which carries out nothing. Or there is no such engine.
        """
        from codabench.backends.select import engine_named, is_cluster

        if value is not None and (not isinstance(value, str) or value == INLINE):
            name = value if isinstance(value, str) else f"a {type(value).__name__}"
            hint = "name a backend by a word ('docker'), or open the workspace without dispatch=False"
            raise UsageError(f"{name} lives in this process, which only queues", code="CB693", hint=hint)
        if isinstance(value, str) and is_cluster(value):
            from codabench.backends.dask.security import Address

            Address.of(value)
        elif value not in (None, "auto"):
            engine_named(value).close()

    def reap(self) -> None:
        """Remove the containers of processes that have died, while work goes on."""
        for place in tuple(self._own):
            if isinstance(place, LocalBackend):
                place.reap()

    def about(self) -> dict[str, Any]:
        """What this process has to carry out runs, for others: its default, and each backend that was asked for."""
        default = self.default if isinstance(self.default, str) else type(self.default).__name__
        return {"default": default, "backends": [_asked(place) for place in tuple(self._known.values())]}

    def cluster(self) -> dict[str, Any] | None:
        """What the default says of itself now, if it is a cluster; ``error`` if it does not answer."""
        from codabench.backends.select import is_cluster

        if isinstance(self.default, str) and not is_cluster(self.default):
            return None
        if not isinstance(self.default, str) and not hasattr(self.default, "described"):
            return None
        try:
            return _asked(self.get())
        except (EngineError, UsageError) as error:
            return {"name": "dask", "error": error.message}

    def slots(self) -> int:
        """How many runs go on at the same time where nobody says otherwise; no engine is asked."""
        info = getattr(self.default, "info", None)
        return int(info().slots) if info is not None else self._jobs or available_cores()

    def assign(self, run: str, place: Backend) -> None:
        """Say where a run of this process is carried out."""
        self._assigned[run] = place

    def forget(self, run: str) -> None:
        """A run is over."""
        self._assigned.pop(run, None)

    def of(self, run: Run, *, image: str | None) -> Backend:
        """Where a run is carried out."""
        return self._assigned.get(run.id) or self.get(run.backend, image=image)

    def take(self) -> Callable[[], None] | None:
        """The next work that only the thread that waits can do, if there is any."""
        inline = self._known.get((INLINE, None))
        return inline.take() if isinstance(inline, InlineBackend) else None

    def close(self) -> None:
        """Close every backend that was made here; one that was given belongs to its caller."""
        for place in self._own:
            place.close()
        self._own.clear()
        self._known.clear()
