"""What goes on in a workspace, asked from the database: it holds for every process that takes part, and for none."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from codabench.backends.backend import WorkerInfo
from codabench.core.records import Attempt, Run, Status
from codabench.core.text import printable
from codabench.db.standing import Ended, Presence, by_status
from codabench.workspace.explaining import driver_left, since_of, told
from codabench.workspace.holding import is_dead, shown
from codabench.workspace.rooms import Rooms
from codabench.workspace.status import HOUR, BackendNow, DispatcherNow, RunNow, WorkerNow, WorkspaceStatus

if TYPE_CHECKING:
    from codabench.backends.dask.preflight import Preflight
    from codabench.core.competition import CompetitionSpec
    from codabench.workspace.places import BackendLike
    from codabench.workspace.workspace import Workspace


class Overseeing(Rooms):
    """Looks at dispatchers, clusters and queues."""

    def status(self, *, limit: int = 20) -> WorkspaceStatus:
        """Who carries out what where, what waits since when and why, how much was done in the last hour.

        It is asked from the database, so it holds for all processes. If the backend of this workspace is a cluster,
        that is looked at, too.

        Parameters
        ----------
        limit
            Runs that are listed of those under way, and of those that wait; all are counted.

        Raises
        ------
        StorageError
            The database does not answer.
        """
        return _Look(self._whole).status(limit)

    def preflight(
        self, *, backend: BackendLike = None, image: str | None = None, pull: str = "never", timeout: float = 60.0
    ) -> Preflight:
        """Look at every worker of a cluster: its engine, image, storage, clock and versions.

        Parameters
        ----------
        backend
            A cluster; None: the backend of this workspace.
        image
            Has to be there; with ``pull="missing"`` it is pulled, which warms the workers up.
        timeout
            Seconds; a worker that is busy answers when a slot is free.

        Returns
        -------
        Preflight
            ``.ok``; ``.raise_for_errors()`` raises ``CB653``.

        Raises
        ------
        UsageError
            The backend is no cluster.
        """
        from codabench.workspace.preflight import preflight

        return preflight(self._whole, backend, image, pull, timeout)


class _Look:
    """One look at everything."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._db = workspace, workspace.db
        self._now = self._db.now()
        self._flights = self._db.in_flight()
        self._places = self._db.places()
        self._ended = self._db.ended_since(self._now - timedelta(seconds=HOUR))
        self._specs: dict[str, CompetitionSpec] = {}

    def status(self, limit: int) -> WorkspaceStatus:
        presences = self._db.presences()
        cluster = self._workspace.places.cluster()
        attempts = {run.id: attempt for run, attempt in self._flights}
        going = [run for run, _ in self._flights[:limit]]
        waiting = self._db.queued(limit)
        if room := limit - len(waiting):
            waiting += [run for run, _ in self._db.list_runs(statuses={Status.SUBMITTING}, last=room)]
        backends = [about for each in presences for about in _backends(each.about)] + ([cluster] if cluster else [])
        return WorkspaceStatus(
            url=self._workspace.url,
            db=self._db.url,
            at=self._now,
            runs=self._db.status_counts(),
            last_hour=dict(by_status(self._ended)),
            dispatchers=self._dispatchers(presences),
            cluster=_backend(cluster) if cluster else None,
            workers=self._workers(backends),
            under_way=tuple(self._run(run, attempts[run.id]) for run in going),
            waiting=tuple(self._run(run) for run in waiting),
        )

    # ------------------------------------------------------------------ who
    def _dispatchers(self, presences: Iterable[Presence]) -> tuple[DispatcherNow, ...]:
        running = Counter(attempt.holder for _, attempt in self._flights)
        leases = {attempt.holder: attempt.expires_at for _, attempt in self._flights}
        said = {each.holder: each for each in presences if each.expires_at > self._now or each.holder in running}
        found = []
        for holder in dict.fromkeys((*said, *(h for h in running if h))):
            until = said[holder].expires_at if holder in said else leases[holder]
            alive = until is not None and until > self._now
            found.append(
                DispatcherNow(
                    name=shown(holder),
                    state="dead" if is_dead(holder) else "alive" if alive else "silent",
                    here=self._workspace.drives(holder),
                    expires_at=until,
                    backends=tuple(map(_backend, _backends(said[holder].about))) if holder in said else (),
                    running=running[holder],
                    ended=dict(by_status([each for each in self._ended if each.holder == holder])),
                )
            )
        return tuple(found)

    def _workers(self, backends: Iterable[Mapping[str, Any]]) -> tuple[WorkerNow, ...]:
        """The workers that clusters have, and those that only runs of the last hour tell of."""
        said = [_worker(each) for about in backends for each in about.get("workers") or ()]
        known = {each.name: each for each in said if each is not None}
        running = Counter(str(place["worker"]) for place in self._places.values() if place.get("worker"))
        ended: dict[str, list[Ended]] = defaultdict(list)
        for each in self._ended:
            if each.place.get("worker"):
                ended[str(each.place["worker"])].append(each)
        return tuple(
            WorkerNow(
                **(known.get(name) or WorkerInfo(name=name, address="", slots=0)).model_dump(),
                running=running[name],
                ended=dict(by_status(ended[name])),
                present=name in known,
            )
            for name in dict.fromkeys((*sorted(known), *sorted(running), *sorted(ended)))
        )

    # ------------------------------------------------------------------ what
    def _run(self, run: Run, attempt: Attempt | None = None) -> RunNow:
        history, submission = self._db.events(run.id), self._db.submission(run.submission)
        why, then = told(self._workspace, run, history)
        place = self._places.get(run.id, {})
        who = f"{printable(submission.participant)}#{submission.number} {printable(submission.name)}"
        return RunNow(
            id=run.id,
            submission=who,
            task=self._task(submission.competition, run),
            status=run.status,
            since=since_of(history),
            why=why + (_left(attempt, self._now) if attempt else ""),
            next=then,
            dispatcher=shown(attempt.holder) if attempt else "",
            engine=str(place.get("engine", "")),
            worker=str(place.get("worker", "")),
        )

    def _task(self, competition: str, run: Run) -> str:
        if competition not in self._specs:
            self._specs[competition] = self._db.competition(competition)
        tasks = self._specs[competition].tasks
        return next((task.name for task in tasks if task.index == run.task), str(run.task))


def _backends(about: Any) -> list[dict[str, Any]]:
    """What a dispatcher said of its backends; one of another version may say it otherwise."""
    found = about.get("backends") if isinstance(about, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _backend(said: Mapping[str, Any]) -> BackendNow:
    known, details = {name: said[name] for name in BackendNow.model_fields if name in said}, said.get("details")
    address = details.get("address") if isinstance(details, dict) else None
    try:
        return BackendNow(**{**known, "address": address})
    except ValueError:
        return BackendNow(name=str(said.get("name")), error="another version of codabench says this otherwise")


def _worker(said: Any) -> WorkerInfo | None:
    """A worker, as far as this version knows what is said of it."""
    try:
        return WorkerInfo(**{name: said[name] for name in WorkerInfo.model_fields if name in said})
    except (TypeError, ValueError):
        return None


def _left(attempt: Attempt, now: datetime) -> str:
    said = driver_left(attempt, now)
    return f"; {shown(attempt.holder)} drove it{said}" if said else ""
