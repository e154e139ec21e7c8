"""`Workspace`: storage, database and backend joined for one trust domain: a notebook, a script, a lab."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - see `_close_all`: it registers first
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codabench.backends.backend import Backend
from codabench.backends.local_data import LocalData
from codabench.backends.scratch import disown, make_scratch
from codabench.core.live import AnyEvent
from codabench.core.policy import UNBOUNDED, Policy, policy_named
from codabench.core.problems import Fault
from codabench.core.records import Run, RunOptions
from codabench.db.database import Database
from codabench.runner.execute import share_storage, unshare_storage
from codabench.storage.sources import remove_tree
from codabench.storage.store import Storage
from codabench.workspace import settings
from codabench.workspace.addresses import FORGETFUL, plain_url, usual_database
from codabench.workspace.boards import Boards
from codabench.workspace.dispatcher import LEASE_SECONDS, Dispatcher
from codabench.workspace.feeds import Feeds, Reader
from codabench.workspace.handles import SubmissionHandle
from codabench.workspace.handling import Handling
from codabench.workspace.known import KnownSubmissions
from codabench.workspace.leftovers import clear_left
from codabench.workspace.live import Feed
from codabench.workspace.organizing import Organizing
from codabench.workspace.overseeing import Overseeing
from codabench.workspace.places import BackendLike, Places
from codabench.workspace.planning import Submitted
from codabench.workspace.plans import Plans
from codabench.workspace.reevaluating import Reevaluating
from codabench.workspace.stored import StoredTrees
from codabench.workspace.submitting import admitted
from codabench.workspace.upkeep import Upkeep

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.leaderboard import Leaderboard


class Workspace(Organizing, Handling, Reevaluating, Overseeing, Upkeep):
    """Remembers competitions, submissions, runs and scores, and drives the work.

    Parameters
    ----------
    url
        Where files are kept: a directory or any fsspec URL. None: a temporary directory that goes with this object.
    db
        An SQLAlchemy URL. None: a file beside the storage if that is a local directory, else in memory.
    backend
        Where runs are carried out unless a submission says otherwise: ``"auto"``, ``"docker"``, ``"podman"``,
        ``"process"``, an engine, or a `Backend`.
    jobs
        Runs at the same time on this host; None: as many as it has cores.
    ceiling
        What runs on this host are granted at most, whatever they ask for.
    local_data
        Directories of this host that runs may ask for by name.
    cache
        Directory of this host for extracted data, and for archives of remote files. None: a folder beside the files if
        they are on this host, else a temporary directory that goes with this object.
    cache_bytes
        What the cache may have, in bytes or as ``"20 GiB"``; None: 50 GiB.
    dispatch
        Whether this object carries out runs, its own and those that others have queued; False: it only queues.
    lease
        Seconds after which others take over the runs of a process that the database does not hear of any more.

    Raises
    ------
    UsageError
        ``CB353``: that is no size.

    Examples
    --------
    >>> ws = cb.Workspace("./lab")                                  # doctest: +SKIP
    >>> ws.add(cb.load("iris.zip"))                                 # doctest: +SKIP
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        *,
        db: str | None = None,
        backend: BackendLike = "auto",
        jobs: int | None = None,
        storage_options: dict[str, Any] | None = None,
        ceiling: Policy = UNBOUNDED,
        local_data: Mapping[str, str | os.PathLike[str]] | None = None,
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int | str | None = None,
        dispatch: bool = True,
        lease: float = LEASE_SECONDS,
    ) -> None:
        cap = settings.cache_cap(cache_bytes)
        self.ceiling, self.local_data = ceiling, LocalData(local_data or {})
        self.scratch = make_scratch()
        clear_left(self.scratch.parent)
        # Also where nobody calls `close`; at the end of the process `_close_all` does, in its order.
        self._clear = weakref.finalize(self, remove_tree, self.scratch)
        self._clear.atexit = False
        self.url = plain_url(url) if url is not None else str(self.scratch / "storage")
        kept = Path(cache).absolute() if cache is not None else self.scratch / "cache" if "://" in self.url else None
        self.storage = Storage(self.url, cache=kept, cap=cap, options=storage_options)
        if db is None:
            db = "sqlite://" if url is None else usual_database(self.url)
        self.db = Database(db)
        self.forgets = url is not None and self.db.url in FORGETFUL
        share_storage(self.storage)
        self.trees = StoredTrees(self.db, self.storage)
        self._submissions = KnownSubmissions(self.db)
        self.plans = Plans(self.db, self.storage, self._submissions)
        self._feeds, self.boards = Feeds(self.db, self.storage, self._options), Boards(self.db)
        self.places = Places(
            backend,
            jobs=jobs,
            scratch=self.scratch,
            ceiling=ceiling,
            local_data=self.local_data,
            nudge=lambda: self._dispatcher.nudge(),
        )
        self._dispatcher = Dispatcher(
            self.db,
            planner=self.plans.planner,
            backend_of=self._place_of,
            notify=self._heard,
            seal=self._feeds.seal,
            stored=self.storage.get_result,
            reap=self.places.reap,
            about=self.places.about,
            seconds=lease,
            forgets=url is None or self.db.in_memory,
        )
        self._dispatches = dispatch
        _open_workspaces.add(self)

    # ------------------------------------------------------------------ submissions
    def submit(
        self,
        competition: Competition,
        submission: Submitted,
        *,
        phase: int | str | None = None,
        task: int | str | Sequence[int | str] | None = None,
        participant: str | None = None,
        name: str | None = None,
        fact_sheet: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        backend: BackendLike = None,
        policy: str | Policy = "standard",
        image: str | None = None,
        pull: Any = "missing",
        platform: str | None = None,
        time_limit: int | None = None,
        keep: bool = False,
        enforce: bool = True,
        limits: bool = True,
        now: datetime | None = None,
    ) -> SubmissionHandle:
        """Admit a submission and queue its runs, one for each task; returns at once.

        Parameters
        ----------
        submission
            A zip, a directory, or any fsspec URL of one; a solution of the competition, ``comp.solutions[0]``; a
            mapping of file names to values; a tree that the storage of this workspace has; an object, if `backend` is
            ``"inline"``.
        phase, task
            By index or name; without a phase: the one open now, else the last that began, else the first. A solution
            goes to the tasks it is for.
        fact_sheet
            Answers to the questions of the fact sheet.
        params
            What tells this submission from others, such as ``{"C": 10}``; columns of the board's frame.
        image
            Instead of the competition's.
        time_limit
            Seconds for each step, instead of the phase's.
        keep
            Leave the run directories where they are, to be looked at.
        enforce
            Whether dates and limits of the phase hold, and whether runs are held where ``auto_run_submissions`` is
            false: they wait for `start`.
        limits
            Whether also how many submissions the phase takes of one participant; False: any number.
        now
            The time by which dates and limits hold, and that it is made at; None: by the clock of this host.

        Raises
        ------
        NotFound
            No such phase or task.
        SubmissionRejected
            Not admitted: phase closed, limit reached, fact sheet incomplete. Nothing was stored.
        BundleError
            The submission cannot be read, or is not safe to unpack.
        EngineUnavailable
            No engine answers.
        """
        self._fresh(competition)
        options = RunOptions(
            policy=policy_named(policy) if isinstance(policy, str) else policy,
            image=image,
            pull=pull,
            platform=platform,
            time_limit=time_limit,
            keep=keep,
        )
        made, runs = admitted(
            self,
            competition,
            submission,
            phase=phase,
            task=task,
            participant=participant,
            name=name,
            fact_sheet=fact_sheet,
            params=params,
            backend=backend,
            options=options,
            enforce=enforce,
            limits=limits,
            now=now,
        )
        if keep:
            self._clear.detach()
            disown(self.scratch)
        self._wake()
        return SubmissionHandle(self, competition, made, runs)

    def leaderboard(self, competition: Competition, **options: Any) -> Leaderboard:
        """The leaderboard of a phase; see `Competition.leaderboard`."""
        from codabench.workspace.leaderboard import make_leaderboard

        return make_leaderboard(self, competition, **options)

    def cancel(self, runs: Sequence[str], reason: str = "cancelled", *, fault: Fault = Fault.PARTICIPANT) -> None:
        """Cancel runs that wait or are under way, in whichever process; returns at once.

        `SubmissionHandle.wait` returns when they are gone. A process hears within a second of what others want.

        Parameters
        ----------
        fault
            Who cancels. Runs that their participant has cancelled count against limits, others do not.
        """
        for run in runs:
            self._dispatcher.cancel(run, reason, fault)

    def dispatch(self, *, drain: bool = False, stop: threading.Event | None = None) -> None:
        """Carry out what is queued, also by other processes, until told to stop.

        Then nothing more is taken, and this returns when what is under way is over. `close` gives back at once what is
        not: others carry it out. Any number of processes and machines may do this at the same time. Unless it drains,
        it also calls `tick` every minute.

        Parameters
        ----------
        drain
            Return when nothing waits that this process could take.
        stop
            Ends it when set.

        Raises
        ------
        StorageError
            The database cannot be used. One that is only away for a while is waited for.
        """
        from codabench.workspace.serving import serve, with_ticks

        take = self.places.take if drain else with_ticks(self.places.take, self.tick)
        serve(self._dispatcher, take, drain=drain, stop=stop or threading.Event())

    def _wake(self) -> None:
        if self._dispatches:
            self._dispatcher.wake()

    def wait(self, runs: Sequence[str], timeout: float | None = None, *, work: bool = True) -> bool:
        """Wait until every one of these runs has a final status; False if the time is over first.

        Functions that were submitted with ``backend="inline"`` are called meanwhile, unless `work` is False.
        """
        pending = list(runs)

        def done() -> bool:
            while pending and self.db.run(pending[-1]).status.is_final:
                pending.pop()
            return not pending

        if done():
            return True
        with self._dispatcher.wanted() if self._dispatches else nullcontext():
            return self._dispatcher.wait(done, timeout, self.places.take if work else lambda: None)

    def work_until(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait, and drive what is queued, until `done` says so; it is asked again whenever a run has ended.

        False if the time is over first.
        """
        with self._dispatcher.wanted() if self._dispatches else nullcontext():
            return self._dispatcher.wait(done, timeout, self.places.take)

    def error_of(self, run: str) -> BaseException | None:
        """What made the machine fail during a run of this process, if anything did."""
        return self._dispatcher.errors.get(run)

    # ------------------------------------------------------------------ observers
    def observe(self, observer: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Call `observer` with every event: status changes, and live output, which may have gaps.

        Returns a function that ends it. Observers are called from threads of the workspace and must be quick.
        """
        return self._feeds.observe(observer)

    def events(self, run: str, *, after: int = 0, follow: bool = True) -> Iterator[AnyEvent]:
        """The live events of a run, each once; see `RunHandle.events`."""
        return self._feeds.read(run, after=after, follow=follow, check=self._dispatcher.check)

    def listen(self, run: str, *, after: int = 0) -> Reader:
        """The same for who does not want to wait: `Reader.fresh` is what came since the last time."""
        return self._feeds.listen(run, after)

    def live(self, run: str) -> Feed | None:
        """What a run that this process drives has reported so far; None for others."""
        return self._feeds.live(run)

    def drives(self, holder: str) -> bool:
        """Whether this object is the holder of that name."""
        return holder == self._dispatcher.holder

    def waits_for_slot(self, run: str) -> bool:
        """Whether this process drives a run that its backend has not begun."""
        return self._dispatcher.waits_for_slot(run)

    def _heard(self, event: dict[str, Any]) -> None:
        if event["type"] == "status" and event["status"].is_final:
            self.places.forget(event["run"])
        self._feeds.notify(event)

    def _options(self, submission: str) -> RunOptions:
        return self._submissions(submission).options

    def _place_of(self, run: Run) -> Backend:
        return self.places.of(run, image=self._options(run.submission).image)

    def place_for(self, backend: BackendLike, image: str | None, jobs: int | None = None) -> Backend | None:
        """Where a new run would be carried out, which has to answer; None: not here, this process only queues."""
        if self._dispatches:
            return self.places.get(backend, jobs, image=image)
        self.places.check(backend)
        return None

    def word_for(self, backend: BackendLike, place: Backend | None) -> tuple[Any, str | None]:
        """`backend` and `pinned` of a new run."""
        word, here = (backend, False) if place is None else self.places.word_of(backend, place)
        return word, self._dispatcher.holder if here else None

    # ------------------------------------------------------------------ the end
    def close(self) -> None:
        """Stop what is under way, wait until it is gone, let go of everything but a `Backend` that was given.

        In a database that stays, runs that others can do are given back to the queue; the others are cancelled.
        """
        _open_workspaces.discard(self)
        self._dispatcher.close()
        self._feeds.close()
        self.places.close()
        self.db.close()
        unshare_storage(self.storage)
        self.storage.close()
        self._clear()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Workspace {self.url} db={self.db.url}>"


_open_workspaces: weakref.WeakSet[Workspace] = weakref.WeakSet()


def _close_all() -> None:
    for workspace in list(_open_workspaces):
        workspace.close()


# Before the pools of threads are waited for, or the end of a program would wait for the end of its runs. They register
# in the same place when they are imported, and the last one to come is asked first.
getattr(threading, "_register_atexit", atexit.register)(_close_all)
