"""Work that somebody waits for, carried out in the background of whichever process has time."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from codabench.core.errors import BundleError, CodabenchError, Interrupted
from codabench.core.hosting import Job, JobKind, JobState
from codabench.core.problems import Problem
from codabench.site.actors import Actor
from codabench.site.facts import AccountFacts
from codabench.site.part import Part
from codabench.site.policy import Action

if TYPE_CHECKING:
    from codabench.site.site import Site

log = logging.getLogger("codabench.site")

LEASE = timedelta(seconds=60)
"""After so long without a word a job is taken over by another process."""
_BEAT_SECONDS = 15.0
_SOON_SECONDS, _LOOK_SECONDS = 0.01, 0.2
"""Between two looks at a job that is waited for: at first, and in the end."""

Report = Callable[[float, str], None]
"""Told how far a job is, 0 to 1, and what it does; raises `Interrupted` where another process has taken it."""
Work = Callable[[Job, Report], "Done"]


class Done(NamedTuple):
    """What came of a job.

    Attributes
    ----------
    result
        The id of a competition, the key of a dump.
    details
        What somebody should know.
    competition
        That the job made.
    """

    result: str
    details: str = ""
    competition: str | None = None


class Jobs(Part):
    """Starts jobs, carries them out one after the other, and says how far they are."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._works: dict[JobKind, Work] = {}
        self._holder = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._thread: threading.Thread | None = None
        self._lock, self._closed = threading.Lock(), threading.Event()

    def define(self, kind: JobKind, work: Work) -> None:
        """Say how jobs of a kind are carried out. They may be carried out twice, where a process was killed."""
        self._works[kind] = work

    def start(
        self, actor: Actor, kind: JobKind, given: dict[str, str | bool], *, account: int, competition: str | None = None
    ) -> Job:
        """Have something done in the background; whoever starts it has asked the policy.

        Parameters
        ----------
        account
            Whose job it is: the actor's own, unless that is the operator.
        """
        owner = actor.account if actor.account is not None else account
        job = self.db.add_job(kind, owner, given, at=self.site.now(), competition=competition)
        self.resume()
        return job

    def get(self, actor: Actor, id: int) -> Job:
        """A job, and how far it is."""
        job = self.db.job(id)
        self.site.policy.require(actor, Action.JOB_READ, AccountFacts(job.account))
        return job

    def wait(self, actor: Actor, id: int, timeout: float = 600.0) -> Job:
        """A job when it is over, or when the time is: for a command line and tests."""
        until, pause = time.monotonic() + timeout, _SOON_SECONDS
        while not (job := self.get(actor, id)).state.is_final and time.monotonic() < until:
            self.resume()
            time.sleep(pause)
            pause = min(_LOOK_SECONDS, 1.5 * pause)
        return job

    # ------------------------------------------------------------------ carrying out
    def resume(self) -> None:
        """Carry out what waits, or was left by a process that is gone; returns at once."""
        with self._lock:
            if self._closed.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._drain, name="codabench-jobs", daemon=True)
            self._thread.start()

    def _drain(self) -> None:
        while not self._closed.is_set():
            try:
                job = self.db.claim_job(self._holder, now=self.site.now(), until=self.site.now() + LEASE)
            except CodabenchError as error:
                log.warning("jobs cannot be looked for: %s", error)
                return
            if job is None:
                return
            self._carry_out(job)

    def _carry_out(self, job: Job) -> None:
        try:
            with self._heard_of(job) as report:
                done = self._works[job.kind](job, report)
            state, details, result, competition = JobState.FINISHED, done.details, done.result, done.competition
        except Interrupted:
            return  # somebody else has it
        except CodabenchError as error:
            state, details, result, competition = JobState.FAILED, said(error), None, None
        except Exception:
            # The outermost frame of a thread: whoever waits is told, and those who run the site find the rest here.
            log.exception("job %s failed", job.id)
            state, details, result, competition = JobState.FAILED, "The site failed; it is not your fault.", None, None
        try:
            at = self.site.now()
            self.db.end_job(job.id, self._holder, state, at=at, details=details, result=result, competition=competition)
        except CodabenchError as error:
            # Another process takes it when its time is over.
            log.warning("what came of job %s cannot be kept: %s", job.id, error)

    @contextmanager
    def _heard_of(self, job: Job) -> Iterator[Report]:
        """Keep a job while it is carried out, also through steps that take long."""
        said, over, lost = [(0.0, "")], threading.Event(), threading.Event()

        def beat() -> None:
            done, details = said[-1]
            until = self.site.now() + LEASE
            if not self.db.beat_job(job.id, self._holder, until=until, done=done, details=details):
                lost.set()

        def keep_beating() -> None:
            while not over.wait(_BEAT_SECONDS):
                try:
                    beat()
                except CodabenchError as error:
                    log.warning("job %s cannot be kept: %s", job.id, error)

        def report(done: float, details: str) -> None:
            said.append((done, details))
            beat()
            if lost.is_set() or self._closed.is_set():
                raise Interrupted(f"job {job.id} is carried out by another process")

        beating = threading.Thread(target=keep_beating, name="codabench-job-beat", daemon=True)
        beating.start()
        try:
            yield report
        finally:
            over.set()
            beating.join()

    def close(self) -> None:
        """Carry out nothing more; what is under way is left to others after a minute."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=_BEAT_SECONDS)


def said(error: CodabenchError) -> str:
    """What somebody reads who waits for a job that failed: every problem of a bundle, with its place."""
    if isinstance(error, BundleError) and error.report is not None and error.report.errors:
        return "\n".join(_line(problem) for problem in error.report.errors)
    return f"{error.message}: {error.hint}" if error.hint else error.message


def _line(problem: Problem) -> str:
    where = f"{problem.file}:{problem.line}: " if problem.line else ""
    return f"{where}{problem.message} [{problem.code}]"
