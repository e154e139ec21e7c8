"""Server-sent events: what one source tells goes to any number of readers, who go on where they were cut off.

A source is an iterator that waits between two events, so it has a thread; readers have none. However many look at the
same thing, it is asked once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from typing import Any, NamedTuple

from starlette.responses import Response, StreamingResponse

from codabench.core.errors import CodabenchError, TooMany

log = logging.getLogger("codabench.web")

HEARTBEAT = 15.0
"""Seconds without an event after which a comment is sent, so that nobody between takes the connection for dead."""
LONGEST = 900.0
"""Seconds of one connection: then the browser comes again, and is asked again who it is."""
PACE = 0.2
"""Seconds between two pieces for one reader: what a program prints line by line goes out together."""
_REST = 0.01
LINGER = 10.0
"""Seconds for which a source goes on that nobody reads: a browser that was cut off comes back to it."""
KEPT = 16 << 20
"""Bytes kept of one source, for readers that come later or are slow. It waits for the fastest of them."""
PIECE = 64 << 10
"""Bytes that go to a reader together, unless one event has more."""
SOURCES, READERS = 200, 2000
OVER = "over"
"""The id of the last event of what has ended. A browser that comes again with it is told to come no more."""

Source = Iterator["tuple[str, str, Any] | None"]
"""``(id, kind, data)`` as they come; None where nothing came for a while. It ends when nothing more will come."""


class _Event(NamedTuple):
    """`end` counts the bytes of the source so far."""

    id: str
    sent: bytes
    end: int


def encoded(id: str, kind: str, data: Any) -> bytes:
    """An event as it is sent. JSON has no line breaks, so the data is one line."""
    return f"id: {id}\nevent: {kind}\ndata: {json.dumps(data, separators=(',', ':'), default=str)}\n\n".encode()


class Channel:
    """The events of one source. Everything but `pump` belongs to the thread of the event loop.

    Parameters
    ----------
    after
        The id of the event after which the source begins; None: the beginning.
    """

    def __init__(self, after: str | None, kept: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._after, self._kept = after, kept
        self._events: deque[_Event] = deque()
        self._first = self._size = self._handed = self._read = 0
        self.changed, self.over, self.readers = asyncio.Event(), False, 0
        self._lock = threading.Lock()
        self._inbox: list[_Event] = []
        self._unread_since = time.monotonic()
        self._stopped = False

    # ------------------------------------------------------------------ the source
    def pump(self, source: Callable[[], Source], says_over: bool) -> None:
        """Take over what a source tells until it ends, fails, or nobody reads any more; for a thread of its own."""
        try:
            for each in source():
                if self._stopped:
                    break
                if each is not None:
                    self._hand_over(*each)
                while self._far_ahead() and not self._unread():
                    time.sleep(_REST)
                if self._unread():
                    break
            else:
                if says_over:
                    self._hand_over(OVER, OVER, {})
        except CodabenchError as error:
            # Readers come again, and are told then.
            log.info("live events ended: %s", error)
        finally:
            self._tell(self.stop)

    def _unread(self) -> bool:
        return not self.readers and time.monotonic() - self._unread_since > LINGER

    def _far_ahead(self) -> bool:
        """Whether even the fastest reader would lose something; a history is told faster than it is sent."""
        return self._handed - self._read > self._kept // 2 and not self._stopped

    def _hand_over(self, id: str, kind: str, data: Any) -> None:
        sent = encoded(id, kind, data)
        self._handed += len(sent)
        with self._lock:
            self._inbox.append(_Event(id, sent, self._handed))
            if len(self._inbox) > 1:
                return  # the loop was told, and has not come yet
        self._tell(self._take)

    def _tell(self, what: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)

    # ------------------------------------------------------------------ readers
    def _take(self) -> None:
        with self._lock:
            came, self._inbox = self._inbox, []
        for event in came:
            self._events.append(event)
            self._size += len(event.sent)
        while self._size > self._kept and len(self._events) > 1:
            self._size -= len(self._events.popleft().sent)
            self._first += 1
        self._ring()

    def _ring(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def stop(self) -> None:
        """Nothing more comes; readers get what is there, and are let go."""
        self._take()
        self.over = self._stopped = True
        self._ring()

    def place(self, after: str | None) -> int | None:
        """Where a reader goes on who knows that event and all before it; None: that is not here any more.

        Several events may have one id, where a later one only follows from the first: it is told again.
        """
        if after == self._after and self._first == 0:
            return 0
        found = next((n for n, event in enumerate(self._events, 1) if event.id == after), None)
        return None if found is None else self._first + found

    def since(self, place: int) -> tuple[bytes, int] | None:
        """What came from there on, and where that ends; None: it is not here any more."""
        if place < self._first:
            return None
        fresh, size, at = list[bytes](), 0, place - self._first
        while at < len(self._events) and size < PIECE:
            fresh.append(self._events[at].sent)
            size, at = size + len(fresh[-1]), at + 1
        if fresh:
            self._read = max(self._read, self._events[at - 1].end)
        return b"".join(fresh), self._first + at

    async def read(self, place: int, may_go_on: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """What one reader is sent.

        Parameters
        ----------
        may_go_on
            Asked now and then: whether the reader may still see this.
        """
        self.readers += 1
        end = time.monotonic() + LONGEST
        try:
            yield b"retry: 2000\n\n"
            while time.monotonic() < end:
                changed, over = self.changed, self.over
                found = self.since(place)
                if found is None:
                    return  # too slow: it comes again, and gets what it lacks from another channel
                sent, place = found
                if sent:
                    yield sent
                    if len(sent) < PIECE:
                        await asyncio.sleep(PACE)
                elif over:
                    return
                elif not await _within(HEARTBEAT, changed):
                    if not await may_go_on():
                        return
                    yield b": \n\n"
        finally:
            self.readers -= 1
            self._unread_since = time.monotonic()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


class Hub:
    """The sources that are read now, each once. For the thread of the event loop, but for `close`."""

    def __init__(self, *, kept: int = KEPT, sources: int = SOURCES, readers: int = READERS) -> None:
        self._kept, self._most, self._most_readers = kept, sources, readers
        self._channels: dict[Hashable, list[Channel]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def stream(
        self,
        key: Hashable,
        source: Callable[[str | None], Source],
        after: str | None,
        *,
        may_go_on: Callable[[], Awaitable[bool]],
        says_over: bool,
    ) -> Response:
        """The answer to a reader.

        Parameters
        ----------
        key
            Readers of the same key are told the same.
        source
            Begins after the event of an id.
        after
            The last id that the reader has; None: none.
        says_over
            Whether the end of the source is told as an event.

        Raises
        ------
        TooMany
            ``CB804``: there are too many readers or sources in this process.
        """
        if after == OVER:
            return Response(status_code=204)  # a browser then asks no more
        channel, place = self._at(key, source, after, says_over)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(channel.read(place, may_go_on), media_type="text/event-stream", headers=headers)

    def _at(
        self, key: Hashable, source: Callable[[str | None], Source], after: str | None, says_over: bool
    ) -> tuple[Channel, int]:
        self._sweep()
        for channel in self._channels.get(key, ()):
            if (place := channel.place(after)) is not None:
                return channel, place
        if self._closed or sum(map(len, self._channels.values())) >= self._most:
            raise TooMany("too much is watched here at the moment", seconds=10)
        self._loop = asyncio.get_running_loop()
        channel = Channel(after, self._kept)
        self._channels.setdefault(key, []).append(channel)
        work = (lambda: source(after), says_over)
        threading.Thread(target=channel.pump, args=work, name="codabench-live", daemon=True).start()
        return channel, 0

    def _sweep(self) -> None:
        """Forget what has ended: a run that is over is read from its storage by whoever comes later."""
        readers = 0
        for key, channels in list(self._channels.items()):
            channels[:] = [each for each in channels if not each.over]
            readers += sum(each.readers for each in channels)
            if not channels:
                del self._channels[key]
        if readers >= self._most_readers:
            raise TooMany("too many read live events here at the moment", seconds=10)

    def close(self) -> None:
        """Let all readers go; for any thread."""
        self._closed = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        for channels in self._channels.values():
            for each in channels:
                each.stop()
