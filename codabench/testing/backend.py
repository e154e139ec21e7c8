"""The suite that every backend runs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from codabench.backends.backend import Backend, Handle, HandleStatus, Work
from codabench.core.errors import EngineError, Interrupted, UsageError


def _work(name: str, **payload: Any) -> Work:
    return Work(function=f"codabench.testing.works:{name}", payload=payload)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "nothing happened within 30 s"
        time.sleep(0.01)


class BackendContract:
    """What a `codabench.backends.backend.Backend` promises. Subclass it and provide one fixture.

    ``make_backend``
        A callable ``make_backend(jobs)`` that gives a new backend of that many slots.
    """

    @pytest.fixture
    def make_backend(self) -> Callable[[int], Backend]:
        raise NotImplementedError("provide a fixture that gives a callable that makes a backend")

    @pytest.fixture
    def backend(self, make_backend: Callable[[int], Backend]) -> Iterator[Backend]:
        backend = make_backend(2)
        yield backend
        backend.close()

    def test_result(self, backend: Backend) -> None:
        handle = backend.submit(_work("echo", x=[1, None, "é"]), key="a")
        found = handle.result(60)
        assert found == {"payload": {"x": [1, None, "é"]}, "scratch": True, "engine": found["engine"]}
        assert handle.status() is HandleStatus.DONE
        assert handle.key == "a"

    def test_error(self, backend: Backend) -> None:
        handle = backend.submit(_work("fail", what="it"), key="a")
        with pytest.raises(EngineError, match="no luck with it"):
            handle.result(60)
        assert handle.status() is HandleStatus.ERROR

    @pytest.mark.parametrize(
        "name",
        [
            "os:system",
            "subprocess:run",
            "codabenchx.testing.works:echo",
            "codabench.testing.works",
            "codabench.testing.works:_work",
            "codabench.testing.works:none",
            "codabench.testing.works:GATE.set",
            "codabench.none:echo",
            "",
        ],
    )
    def test_only_functions_of_this_library(self, backend: Backend, name: str) -> None:
        with pytest.raises(UsageError):
            backend.submit(Work(function=name, payload={}), key="a").result(60)

    def test_events_come_in_order_and_can_be_read_again(self, backend: Backend) -> None:
        seen: list[dict[str, Any]] = []
        handle = backend.submit(_work("count", to=500), key="a", on_event=seen.append)
        live = list(handle.events())
        handle.result(60)
        expected = [{"type": "number", "i": i} for i in range(500)]
        assert live == seen == list(handle.events()) == expected

    def test_done_is_told_once(self, backend: Backend) -> None:
        told: list[tuple[str, HandleStatus]] = []
        ready = threading.Event()

        def on_done(handle: Handle) -> None:
            told.append((handle.key, handle.status()))
            ready.set()

        backend.submit(_work("echo"), key="a", on_done=on_done).result(60)
        assert ready.wait(30)
        assert told == [("a", HandleStatus.DONE)]

    def test_slots_bound_what_runs_and_the_rest_waits_in_order(self, backend: Backend) -> None:
        running = [backend.submit(_work("until_stopped"), key=f"r{i}") for i in range(2)]
        _wait_for(lambda: all(h.status() is HandleStatus.RUNNING for h in running))
        order: list[str] = []
        waiting = [backend.submit(_work("echo"), key=f"w{i}", on_done=lambda h: order.append(h.key)) for i in range(3)]
        time.sleep(0.2)
        assert [h.status() for h in waiting] == [HandleStatus.WAITING] * 3
        running[0].cancel()
        for handle in waiting:
            handle.result(60)
        _wait_for(lambda: len(order) == 3)
        assert order == ["w0", "w1", "w2"]
        assert running[1].status() is HandleStatus.RUNNING

    def test_cancel_what_runs(self, backend: Backend) -> None:
        handle = backend.submit(_work("until_stopped"), key="a")
        assert next(handle.events()) == {"type": "waiting"}
        handle.cancel("because")
        assert handle.result(60) == {"stopped": True, "reason": "because"}

    def test_cancel_what_waits(self, make_backend: Callable[[int], Backend]) -> None:
        backend, told = make_backend(1), []
        first = backend.submit(_work("until_stopped"), key="first")
        second = backend.submit(_work("echo"), key="second", on_done=lambda h: told.append(h.key))
        second.cancel()
        with pytest.raises(Interrupted):
            second.result(10)
        assert second.status() is HandleStatus.CANCELLED
        assert list(second.events()) == []
        assert first.status() in (HandleStatus.WAITING, HandleStatus.RUNNING)
        backend.close()
        assert told == ["second"]

    def test_a_key_is_taken_while_its_work_is_in_flight(self, backend: Backend) -> None:
        first = backend.submit(_work("until_stopped"), key="a")
        with pytest.raises(UsageError, match="'a'"):
            backend.submit(_work("echo"), key="a")
        first.cancel()
        with contextlib.suppress(Interrupted):  # it may not have begun yet
            first.result(60)
        _wait_for(lambda: _submits(backend, "a"))

    def test_result_in_time(self, backend: Backend) -> None:
        handle = backend.submit(_work("until_stopped"), key="a")
        with pytest.raises(TimeoutError):
            handle.result(0.05)

    def test_close_cancels_and_waits(self, make_backend: Callable[[int], Backend]) -> None:
        backend = make_backend(1)
        running = backend.submit(_work("until_stopped"), key="a")
        waiting = backend.submit(_work("echo"), key="b")
        _wait_for(lambda: running.status() is HandleStatus.RUNNING)
        backend.close()
        assert running.status() is HandleStatus.DONE
        assert waiting.status() is HandleStatus.CANCELLED
        with pytest.raises(UsageError):
            backend.submit(_work("echo"), key="c")

    def test_info(self, backend: Backend) -> None:
        info = backend.info()
        assert info.slots == 2
        assert info.name
        assert info.engine


def _submits(backend: Backend, key: str) -> bool:
    try:
        backend.submit(_work("echo"), key=key).result(60)
    except UsageError:
        return False
    return True
