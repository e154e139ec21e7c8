"""Frames of the attach protocol, in any pieces."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.backends.attach import Demultiplexer, Pump
from codabench.core.errors import EngineError

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=20)


def frames(*pairs: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack(">B3xL", stream, len(data)) + data for stream, data in pairs)


class Sink:
    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        self.calls.append((stream, data))

    def read(self, stream: str) -> bytes:
        return b"".join(data for name, data in self.calls if name == stream)


@given(FRAMES, st.lists(st.integers(1, 30), min_size=1))
def test_any_frames_in_any_pieces(sent: list[tuple[int, bytes]], sizes: list[int]) -> None:
    sink, data, turn = Sink(), frames(*sent), 0
    demultiplexer = Demultiplexer(sink.write)
    while data:
        size = sizes[turn % len(sizes)]
        demultiplexer.feed(memoryview(data[:size]))
        data, turn = data[size:], turn + 1
    for number, name in ((1, "stdout"), (2, "stderr")):
        assert sink.read(name) == b"".join(d for stream, d in sent if stream == number)
    assert all(data for _, data in sink.calls)


def test_neighbours_come_together_and_the_order_stays() -> None:
    sink = Sink()
    Demultiplexer(sink.write).feed(memoryview(frames((1, b"a"), (1, b"b"), (2, b"c"), (1, b""), (1, b"d"))))
    assert sink.calls == [("stdout", b"ab"), ("stderr", b"c"), ("stdout", b"d")]


def test_a_frame_is_passed_on_before_it_is_complete() -> None:
    sink = Sink()
    Demultiplexer(sink.write).feed(memoryview(struct.pack(">B3xL", 1, 1 << 31) + b"begun"))
    assert sink.calls == [("stdout", b"begun")]


def test_what_is_no_frame() -> None:
    with pytest.raises(EngineError, match="72"):
        Demultiplexer(Sink().write).feed(memoryview(b"HTTP/1.1 200 OK"))


def test_a_pump_gives_up_on_a_silent_stream() -> None:
    near, far = socket.socketpair()
    sink = Sink()
    pump = Pump(near, sink, lambda: None)
    pump.start()
    far.sendall(frames((1, b"all there is")))
    began = time.monotonic()
    pump.finish(0.2)
    assert time.monotonic() - began < 2
    assert sink.read("stdout") == b"all there is"
    assert not pump.is_alive()
    assert pump.failure is None


def test_a_pump_waits_for_a_slow_sink() -> None:
    class Slow(Sink):
        def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
            time.sleep(0.6)
            super().write(stream, data)

    near, far = socket.socketpair()
    sink = Slow()
    pump = Pump(near, sink, lambda: None)
    pump.start()
    far.sendall(frames((1, b"one")))
    time.sleep(0.1)
    far.sendall(frames((2, b"two")))
    far.close()
    pump.finish(0.2)
    assert sink.calls == [("stdout", b"one"), ("stderr", b"two")]


def test_a_pump_tells_of_a_sink_that_fails() -> None:
    class Full:
        def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
            raise OSError(28, "No space left on device")

    near, far = socket.socketpair()
    told = threading.Event()
    pump = Pump(near, Full(), told.set)
    pump.start()
    far.sendall(frames((1, b"x")))
    assert told.wait(5)
    assert isinstance(pump.failure, OSError)
    far.close()
    pump.close()
