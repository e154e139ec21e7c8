"""`Site`: people around one workspace."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from codabench.core.errors import CodabenchError, StorageError
from codabench.db.connection import passing
from codabench.site.accounts import Accounts
from codabench.site.boards import Boards
from codabench.site.competitions import Competitions
from codabench.site.credentials import Credentials
from codabench.site.datasets import Datasets
from codabench.site.jobs import Jobs
from codabench.site.links import Links
from codabench.site.mail import Outbox
from codabench.site.numbers import Numbers
from codabench.site.policy import Policy
from codabench.site.quota import Quota
from codabench.site.registrations import Registrations
from codabench.site.settings import SiteSettings
from codabench.site.status import Status
from codabench.site.submissions import Submissions
from codabench.site.tasks import Tasks
from codabench.workspace.dispatcher import utc_now

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace

log = logging.getLogger("codabench.site")

TICK_SECONDS = 60.0
_PAUSE, _REST = 2.0, 10.0
_LEASE, _LEASE_SECONDS = "site.tick", 600.0


class Site:
    """The rules by which people use a workspace. Web and command line call its parts, and nothing else.

    Parameters
    ----------
    workspace
        Stays its maker's: `close` does not close it.
    settings
        None: what suits a site on one machine.
    now
        The clock; every point in time is aware and in UTC.

    Attributes
    ----------
    policy
        What decides who may do what.
    accounts, credentials, mail, numbers, jobs, links, quota, datasets, tasks, competitions, registrations, submissions,
    boards, status
        The parts; each asks the policy before it does anything.
    """

    def __init__(
        self, workspace: Workspace, settings: SiteSettings | None = None, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self.workspace, self.db = workspace, workspace.db
        self.settings = settings or SiteSettings()
        self.now = now or utc_now
        self.policy = Policy()
        self.credentials = Credentials(self)
        self.mail = Outbox(self)
        self.accounts = Accounts(self)
        self.numbers = Numbers(self)
        self.jobs = Jobs(self)
        self.links = Links(self)
        self.quota = Quota(self)
        self.datasets = Datasets(self)
        self.tasks = Tasks(self)
        self.competitions = Competitions(self)
        self.registrations = Registrations(self)
        self.submissions = Submissions(self)
        self.boards = Boards(self)
        self.status = Status(self)

    # ------------------------------------------------------------------ scheduled work
    def tick(self, now: datetime | None = None) -> bool:
        """Do what is due by the clock, unless another process does; returns whether this one did.

        Parameters
        ----------
        now
            Which time it is for the phases of competitions; None: by the clock of the site.
        """
        holder, token, at = socket.gethostname(), secrets.token_hex(16), now or self.now()
        if not self.db.take_lease(_LEASE, holder=holder, token=token, now=at, seconds=_LEASE_SECONDS):
            return False
        works: tuple[Callable[[], object], ...] = (
            lambda: self.workspace.tick(at),
            self.db.post_copies,
            self.jobs.resume,
            self.accounts.purge,
            self.credentials.purge,
            self.datasets.purge,
            self.mail.purge,
            self.mail.deliver,
            self.status.sweep,
        )
        try:
            for work in works:
                self._done(work)
        finally:
            self.db.release_lease(_LEASE, token=token)
        return True

    def attend(self, stop: threading.Event) -> None:
        """Send mails as they come, and `tick` every minute, until told to stop; for a thread of whoever serves.

        A database that is away is waited for; whatever else fails is written to the log, and tried again.
        """
        due = time.monotonic()
        while not stop.is_set():
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + TICK_SECONDS
                    self.tick()
                self.mail.deliver()
            except CodabenchError as error:
                log.warning("scheduled work failed: %s", error)
                stop.wait(_REST)
            # A mail of this process ends the pause; those of others are found after it.
            self.mail.waiting.wait(_PAUSE)

    def _done(self, work: Callable[[], object]) -> None:
        """Carry out a piece of scheduled work; one that fails keeps nobody from the next."""
        try:
            work()
        except CodabenchError as error:
            if isinstance(error, StorageError) and passing(error):
                raise
            log.warning("scheduled work failed: %s", error)

    def alive(self) -> None:
        """Ask the database something.

        Raises
        ------
        StorageError
            It does not answer.
        """
        self.db.account_named("")

    # ------------------------------------------------------------------ its end
    def close(self) -> None:
        """Let go of what is its own, and take on no more work; the workspace stays open."""
        self.jobs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
