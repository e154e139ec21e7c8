"""What a run reports goes to other processes, too, while somebody there listens: in numbered pieces in the storage.

Who listens says so in the database. The process that drives the run looks there once a second and stores what came
since; where nobody listens, nothing is stored. When the run is over its pieces go: then everything is in the storage.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from codabench.core.errors import StorageError
from codabench.core.live import AnyEvent, LogWritten, StatusChanged, live_event
from codabench.core.records import Run
from codabench.db.database import Database
from codabench.storage.store import Storage
from codabench.workspace.live import Feed, Gaps

log = logging.getLogger("codabench.workspace")

LOOK_SECONDS = 1.0
"""Between two looks at who listens."""

LISTEN_SECONDS = 10.0
"""After which a listener that is not heard of again has gone."""


class Relay:
    """Stores what runs of this process report for those who listen elsewhere.

    Parameters
    ----------
    feeds
        By run; of those that go on.
    """

    def __init__(self, db: Database, storage: Storage, feeds: Mapping[str, Feed]) -> None:
        self._db, self._storage, self._feeds = db, storage, feeds
        self._sent: dict[str, _Sent] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """There is a new feed."""
        with self._lock:
            if self._thread is None and not self._db.in_memory:
                self._thread = threading.Thread(target=self._go_on, name="codabench-relay", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End, and remove what was stored."""
        self._closed.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _go_on(self) -> None:
        while True:
            over = self._closed.wait(LOOK_SECONDS)
            try:
                self._clear(everything=over)
                if not over:
                    self._look()
            except StorageError as error:
                log.warning("what runs report does not reach who listens elsewhere: %s", error.message)
            with self._lock:
                if over or not (self._feeds or self._sent):
                    self._thread = None
                    return

    def _look(self) -> None:
        for run in self._db.watched(self._db.now()):
            feed = self._feeds.get(run)
            if feed is None:
                continue
            sent = self._sent.get(run)
            if sent is None or sent.feed is not feed:
                sent = _Sent(feed)
            events, place = feed.since(sent.place)
            sent.attempt = sent.attempt or next((event.attempt for event in events if event.attempt), None)
            # Before its attempt reports anything there are only statuses, which the database has.
            if sent.attempt is not None and events:
                self._sent[run] = sent
                sent.place, sent.pieces = place, sent.pieces + 1
                self._storage.put_piece(sent.attempt, sent.pieces, _lines(events))

    def _clear(self, *, everything: bool) -> None:
        """Remove the pieces of runs that are over, or in other hands."""
        for run, sent in list(self._sent.items()):
            if everything or self._feeds.get(run) is not sent.feed:
                del self._sent[run]
                self._storage.drop_pieces(str(sent.attempt), sent.pieces)


class _Sent:
    """How much of a feed was stored."""

    def __init__(self, feed: Feed) -> None:
        self.feed, self.place, self.pieces = feed, 0, 0
        self.attempt: str | None = None


class Listener:
    """Hears a run that another process drives."""

    def __init__(self, db: Database, storage: Storage, run: str) -> None:
        self._db, self._storage, self._run = db, storage, run
        self._name = uuid.uuid4().hex
        self._attempt: str | None = None
        self._next, self._gaps = 1, Gaps()
        self._renew_at = self._look_at = 0.0

    def hear(self, row: Run) -> tuple[bool, list[AnyEvent]]:
        """Whether that is from the beginning of another attempt, and what came since the last time."""
        now = time.monotonic()
        begins = row.attempt != self._attempt
        if begins:
            self._attempt, self._next, self._gaps = row.attempt, 1, Gaps()
        if row.attempt is None:
            return begins, []
        if now >= self._renew_at:
            self._db.watch(self._run, self._name, now=self._db.now(), seconds=LISTEN_SECONDS)
            self._renew_at = now + LISTEN_SECONDS / 3
        found: list[AnyEvent] = []
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS / 2
            while (piece := self._piece(row.attempt)) is not None:
                self._next += 1
                found += map(self._gaps.told, _events(piece, self._run))
        return begins, found

    def _piece(self, attempt: str) -> bytes | None:
        try:
            return self._storage.get_piece(attempt, self._next)
        except StorageError as error:
            log.warning("what run %s reports cannot be heard now: %s", self._run, error.message)
            return None


class Told:
    """What one reader was told of a run, whichever way it came: each event once; a status as soon as anybody has it.

    Parameters
    ----------
    after
        The number of the last event that is known already.
    """

    def __init__(self, after: int) -> None:
        self._after, self._statuses = after, 0
        self._last: dict[str | None, int] = {}

    def stream(self) -> Callable[[AnyEvent], bool]:
        """Says of each event of a source, which begins with the first status of the run, whether it is new."""
        counted = 0

        def news(event: AnyEvent) -> bool:
            nonlocal counted
            if isinstance(event, StatusChanged):
                counted += 1
                known, self._statuses = counted <= self._statuses, max(self._statuses, counted)
                return not known and event.sequence > self._after
            if event.sequence <= self._last.get(event.attempt, self._after):
                return False
            self._last[event.attempt] = event.sequence
            return True

        return news


def _lines(events: Iterable[AnyEvent]) -> bytes:
    return "".join(f"{json.dumps(_plain(event))}\n" for event in events).encode()


def _plain(event: AnyEvent) -> dict[str, Any]:
    if not isinstance(event, LogWritten):
        return event.model_dump(mode="json", exclude={"run"})
    data = base64.b64encode(event.data).decode()
    return {**event.model_dump(mode="json", exclude={"run", "data", "missing"}), "data": data}


def _events(piece: bytes, run: str) -> Iterable[AnyEvent]:
    for line in piece.splitlines():
        data = {**json.loads(line), "run": run}
        if data["type"] == "log":
            data["data"] = base64.b64decode(data["data"])
        yield live_event(data)
