"""What is heard of runs: events for observers, and one `Feed` for each run that this process drives."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from codabench.core.live import AnyEvent
from codabench.core.records import Outcome, Run, RunOptions, Status
from codabench.db.database import Database
from codabench.storage.store import Storage
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.live import Feed, Gaps, statuses, stored_events
from codabench.workspace.relay import Listener, Relay, Told

log = logging.getLogger("codabench.workspace")

_LOOK = 0.1
"""Seconds between two looks at a run that this process does not drive."""

Observer = Callable[[dict[str, Any]], None]


class Reader:
    """Somebody who hears what a run reports, whoever drives it: each event once, and none is waited for.

    Attributes
    ----------
    over
        The run has ended, and everything was told.
    """

    def __init__(self, db: Database, storage: Storage, feeds: Mapping[str, Feed], run: str, after: int) -> None:
        self._db, self._storage, self._feeds, self._run = db, storage, feeds, run
        self._told, self._listener = Told(after), Listener(db, storage, run)
        self._there = self._told.stream()
        self._feed: Feed | None = None
        self._place, self._gaps, self._here = 0, Gaps(), self._there
        self.over = False

    def fresh(self, *, listens: bool = True) -> list[AnyEvent]:
        """What came since the last time.

        Parameters
        ----------
        listens
            Have the process that drives the run send what it reports; False: only the statuses of what others drive.
        """
        feed = self._feeds.get(self._run)
        if feed is not None:
            return self._of(feed)
        row, history = self._db.run(self._run), statuses(self._db.events(self._run))
        if row.status.is_final:
            self.over = True
            return list(filter(self._told.stream(), stored_events(self._storage, row, history)))
        # It waits, or another process drives it.
        found: list[AnyEvent] = list(filter(self._told.stream(), history))
        if not listens:
            return found
        begins, heard = self._listener.hear(row)
        self._there = self._told.stream() if begins else self._there
        return found + list(filter(self._there, heard))

    def _of(self, feed: Feed) -> list[AnyEvent]:
        if feed is not self._feed:
            self._feed, self._place, self._gaps, self._here = feed, 0, Gaps(), self._told.stream()
        self.over = feed.over
        events, self._place = feed.since(self._place)
        return list(filter(self._here, map(self._gaps.told, events)))

    def wait(self, check: Callable[[], None]) -> None:
        """Until there may be something new; `check` is asked now and then, and may raise."""
        feed = self._feeds.get(self._run)
        if feed is not None and feed is self._feed:
            feed.wait(self._place, check)
        else:
            time.sleep(_LOOK)


class Feeds:
    """Takes events in and hands them on."""

    def __init__(self, db: Database, storage: Storage, options: Callable[[str], RunOptions]) -> None:
        self._db, self._storage, self._options = db, storage, options
        self._observers: list[Observer] = []
        self._feeds: dict[str, Feed] = {}
        self._relay = Relay(db, storage, self._feeds)

    def close(self) -> None:
        """Nothing more comes."""
        self._relay.close()

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with every event from now on; what is returned ends that."""
        self._observers.append(observer)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._observers.remove(observer)

        return end

    def listen(self, run: str, after: int = 0) -> Reader:
        """Somebody who hears of a run what comes after the event of that number."""
        return Reader(self._db, self._storage, self._feeds, run, after)

    def read(self, run: str, *, after: int, follow: bool, check: Callable[[], None]) -> Iterator[AnyEvent]:
        """The events of a run, each once; see `RunHandle.events`. `check` raises if nothing more will come."""
        reader = self.listen(run, after)
        while True:
            yield from reader.fresh(listens=follow)
            if reader.over or not follow:
                return
            reader.wait(check)

    def live(self, run: str) -> Feed | None:
        """What a run that this process drives has reported so far; None for others."""
        return self._feeds.get(run)

    def notify(self, event: dict[str, Any]) -> None:
        """Keep an event for readers and tell the observers."""
        self._keep(event)
        for observer in list(self._observers):
            try:
                observer(event)
            except Exception:  # the outermost frame of foreign code: a bad observer must not end the work
                log.exception("an observer failed and is not called again")
                with contextlib.suppress(ValueError):
                    self._observers.remove(observer)

    def _keep(self, event: dict[str, Any]) -> None:
        """From the first status on that this process gives the run."""
        run, again = event["run"], event["type"] == "status" and event["status"] is Status.SUBMITTED
        feed = self._feeds.get(run)
        if feed is None and again:
            return
        if feed is None:
            if event["type"] != "status" or event["status"].is_final:
                return
            keep = self._options(event["submission"]).policy.log_keep
            feed = Feed(run, keep, utc_now)
            for status, at in self._before(event):
                feed.add({"type": "status", "status": status, "at": at})
            self._feeds[run] = feed
            self._relay.start()
        feed.add(event)
        if again:
            del self._feeds[run]
            feed.release()
        elif event["type"] == "status" and event["status"].is_final:
            del self._feeds[run]

    def _before(self, event: dict[str, Any]) -> list[tuple[Status, datetime]]:
        """The statuses that a run had before the first one that is told here."""
        if "queued_at" in event:
            return [(Status.SUBMITTED, event["queued_at"])]
        return [(known.status, known.at) for known in statuses(self._db.events(event["run"]))[:-1]]

    def seal(self, run: Run, outcome: Outcome) -> Outcome:
        """Before an outcome is recorded: store what was heard of the run."""
        feed = self._feeds.get(run.id)
        events = None if feed is None else feed.seal(self._storage)
        return outcome if events is None else outcome.model_copy(update={"events": events})
