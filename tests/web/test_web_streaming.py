"""Live events: once for all readers, resumed, bounded, let go."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse

from codabench.core.errors import NotFound, TooMany
from codabench.web import streaming
from codabench.web.streaming import OVER, Hub


class Told:
    """A source that tells what a test tells it, and counts how often it was begun."""

    END, FAIL = object(), object()

    def __init__(self) -> None:
        self.told: queue.Queue[Any] = queue.Queue()
        self.begun: list[str | None] = []
        self.all: list[tuple[str, str, Any]] = []
        self.ended = threading.Event()

    def __call__(self, after: str | None) -> Iterator[tuple[str, str, Any] | None]:
        self.begun.append(after)
        known = [id for id, _, _ in self.all]
        yield from self.all[0 if after is None else known.index(after) + 1 :]
        try:
            while True:
                try:
                    each = self.told.get(timeout=0.02)
                except queue.Empty:
                    yield None
                    continue
                if each is self.END:
                    return
                if each is self.FAIL:
                    raise NotFound("it is gone")
                self.all.append(each)
                yield each
        finally:
            self.ended.set()

    def tell(self, *ids: int, data: Any = "x") -> None:
        for id in ids:
            self.told.put((str(id), "log", data))


async def yes() -> bool:
    return True


def answer(hub: Hub, source: Told, after: str | None = None, key: str = "k", **more: Any) -> Response:
    options = {"may_go_on": yes, "says_over": True, **more}
    return hub.stream(key, source, after, **options)


def opened(hub: Hub, source: Told, after: str | None = None, **more: Any) -> AsyncIterator[bytes]:
    made = answer(hub, source, after, **more)
    assert isinstance(made, StreamingResponse)
    return made.body_iterator  # type: ignore[return-value]


async def heard(reader: AsyncIterator[bytes], until: str) -> list[str]:
    """The ids up to one, as they come."""
    ids: list[str] = []
    async with asyncio.timeout(5):
        async for sent in reader:
            ids += [line[4:] for line in sent.decode().splitlines() if line.startswith("id: ")]
            if until in ids:
                break
    return ids


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PACE", 0.001)


def test_an_event_is_one_message() -> None:
    made = streaming.encoded("7", "log", {"text": "a\nb\r\n\ndata: x", "é": 1})
    assert made == b'id: 7\nevent: log\ndata: {"text":"a\\nb\\r\\n\\ndata: x","\\u00e9":1}\n\n'


def test_many_readers_are_told_the_same_by_one_source() -> None:
    async def scenario() -> None:
        hub, source = Hub(), Told()
        readers = [opened(hub, source) for _ in range(20)]
        source.tell(1, 2, 3)
        assert await asyncio.gather(*(heard(r, "3") for r in readers)) == [["1", "2", "3"]] * 20
        late = opened(hub, source)
        assert await heard(late, "3") == ["1", "2", "3"]
        assert source.begun == [None]

    run(scenario)


def test_who_was_cut_off_goes_on_where_it_was() -> None:
    async def scenario() -> None:
        hub, source = Hub(), Told()
        first = opened(hub, source)
        source.tell(1, 2, 3)
        await heard(first, "2")
        again = opened(hub, source, "2")
        source.tell(4)
        assert await heard(again, "4") == ["3", "4"]
        assert source.begun == [None], "it is still kept here"

    run(scenario)


def test_what_is_not_kept_any_more_is_asked_for_again() -> None:
    async def scenario() -> None:
        hub, source = Hub(kept=1000), Told()
        first = opened(hub, source)
        source.tell(*range(100), data="x" * 50)
        assert await heard(first, "99") == [str(n) for n in range(100)], "it waits for the fastest reader"
        again = opened(hub, source, "3")
        assert (await heard(again, "99"))[0] == "4"
        assert source.begun == [None, "3"]

    run(scenario)


def test_who_is_too_slow_is_let_go() -> None:
    async def scenario() -> None:
        hub, source = Hub(kept=1000), Told()
        reader = opened(hub, source)
        await anext(reader)
        source.tell(1)
        assert await anext(reader)
        source.tell(*range(2, 300), data="x" * 50)
        other = opened(hub, source, "1")
        await heard(other, "299")
        assert [each async for each in reader] == []

    run(scenario)


def test_the_end_is_told_and_nobody_has_to_come_again() -> None:
    async def scenario() -> None:
        hub, source = Hub(), Told()
        reader = opened(hub, source)
        source.tell(1)
        source.told.put(Told.END)
        assert await heard(reader, "never") == ["1", OVER]
        assert answer(hub, source, OVER).status_code == 204

    run(scenario)


@pytest.mark.parametrize("how", [Told.END, Told.FAIL])
def test_a_source_that_fails_or_has_no_end_lets_its_readers_come_again(how: object) -> None:
    async def scenario() -> None:
        hub, source = Hub(), Told()
        reader = opened(hub, source, says_over=False)
        source.tell(1)
        source.told.put(how)
        assert await heard(reader, "never") == ["1"]
        source.tell(2)
        assert await heard(opened(hub, source, "1"), "2") == ["2"]
        assert source.begun == [None, "1"]

    run(scenario)


def test_a_source_that_nobody_reads_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LINGER", 0.05)

    async def scenario() -> None:
        hub, source = Hub(), Told()
        reader = opened(hub, source)
        source.tell(1)
        await heard(reader, "1")
        await asyncio.sleep(0.2)
        assert not source.ended.is_set()
        await reader.aclose()  # type: ignore[attr-defined]
        await asyncio.to_thread(source.ended.wait, 5)
        assert source.ended.is_set()

    run(scenario)


def test_silence_is_filled_and_rights_are_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.02)
    asked: list[float] = []

    async def may_go_on() -> bool:
        asked.append(time.monotonic())
        return len(asked) < 4

    async def scenario() -> None:
        hub, source = Hub(), Told()
        sent = [each async for each in opened(hub, source, may_go_on=may_go_on)]
        assert sent == [b"retry: 2000\n\n", *[b": \n\n"] * 3]

    run(scenario)


def test_a_connection_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.02)
    monkeypatch.setattr(streaming, "LONGEST", 0.1)

    async def scenario() -> None:
        assert len([each async for each in opened(Hub(), Told())]) < 10

    run(scenario)


def test_there_is_room_for_so_many() -> None:
    async def scenario() -> None:
        hub, source = Hub(sources=1, readers=2), Told()
        readers = [opened(hub, source) for _ in range(2)]
        with pytest.raises(TooMany):
            answer(hub, source, key="other")
        source.tell(1)
        await asyncio.gather(*(heard(each, "1") for each in readers))
        with pytest.raises(TooMany):
            answer(hub, source)

    run(scenario)


def test_at_the_end_of_the_server_everybody_is_let_go() -> None:
    async def scenario() -> None:
        hub, source = Hub(), Told()
        reader = opened(hub, source)
        source.tell(1)
        await heard(reader, "1")
        threading.Thread(target=hub.close).start()
        assert [each async for each in reader] == []
        with pytest.raises(TooMany):
            answer(hub, source, key="other")
        await asyncio.to_thread(source.ended.wait, 5)

    run(scenario)
