"""The output of a container, drained from the socket of its attach call.

The engine sends frames: a byte that names the stream, three of padding, the length in four, then the bytes. They are
taken apart here in constant memory: a frame is passed on piece by piece as it arrives and never collected.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, Literal

from codabench.backends.engine import LogSink
from codabench.core.errors import EngineError

_HEADER = struct.Struct(">B3xL")
_BUFFER = 256 * 1024
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {0: "stdout", 1: "stdout", 2: "stderr", 3: "stderr"}


class Demultiplexer:
    """Takes the bytes of the socket in any pieces and passes on the bytes of the streams, in their order.

    Parameters
    ----------
    write
        Called with a stream and some of its bytes; neighbouring frames of one stream come together.
    """

    def __init__(self, write: Callable[[Literal["stdout", "stderr"], bytes], None]) -> None:
        self._write = write
        self._header = bytearray()
        self._left = 0
        self._stream: Literal["stdout", "stderr"] = "stdout"

    def feed(self, data: memoryview) -> None:
        """Take some bytes.

        Raises
        ------
        EngineError
            If they are no frames.
        """
        parts: list[memoryview] = []
        stream, position, end = self._stream, 0, len(data)
        while position < end:
            if not self._left:
                position = self._take_header(data, position)
                continue
            if self._stream != stream:
                self._flush(stream, parts)
                stream = self._stream
            size = min(self._left, end - position)
            parts.append(data[position : position + size])
            self._left -= size
            position += size
        self._flush(stream, parts)

    def _take_header(self, data: memoryview, position: int) -> int:
        stop = position + _HEADER.size - len(self._header)
        self._header += data[position:stop]
        if len(self._header) == _HEADER.size:
            number, self._left = _HEADER.unpack(self._header)
            self._header.clear()
            if number not in _STREAMS:
                raise EngineError(f"the engine sent output of a stream number {number}, which there is not")
            self._stream = _STREAMS[number]
        return min(stop, len(data))

    def _flush(self, stream: Literal["stdout", "stderr"], parts: list[memoryview]) -> None:
        if parts:
            self._write(stream, b"".join(parts))
            parts.clear()


class Pump(threading.Thread):
    """Drains one attached container into a `LogSink` until the engine closes the stream.

    Attributes
    ----------
    failure
        What the sink or the connection raised; draining stops there.
    """

    def __init__(self, sock: Any, sink: LogSink, on_failure: Callable[[], None]) -> None:
        super().__init__(name="codabench-output", daemon=True)
        self._socket = sock
        self._sink = sink
        self._on_failure = on_failure
        self._received = 0
        self._writing = False
        self._closed = False
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self._drain()
        except Exception as error:  # noqa: BLE001 - the outermost frame of a thread; whoever waits raises it
            if not self._closed:
                self.failure = error
                self._on_failure()

    def _drain(self) -> None:
        demultiplexer = Demultiplexer(self._sink.write)
        buffer = memoryview(bytearray(_BUFFER))
        while size := self._receive(buffer):
            self._received += size
            self._writing = True
            demultiplexer.feed(buffer[:size])
            self._writing = False

    def _receive(self, buffer: memoryview) -> int:
        if hasattr(self._socket, "recv_into"):
            return int(self._socket.recv_into(buffer))
        data = self._socket.recv(len(buffer))  # the channel of an ssh connection
        buffer[: len(data)] = data
        return len(data)

    def finish(self, patience: float) -> None:
        """Wait for the end of the stream, which the engine sends when the container is gone.

        Gives up when nothing has come for `patience` seconds: a program that hands its pipe to something outside must
        not hold us. A slow sink is waited for.
        """
        seen = -1
        while self.is_alive() and (self._writing or self._received != seen):
            seen = self._received
            self.join(patience)
        self.close()

    def close(self) -> None:
        """Let go of the connection and end the thread."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.ident is not None:
            self.join(5)
        with contextlib.suppress(OSError):
            self._socket.close()
