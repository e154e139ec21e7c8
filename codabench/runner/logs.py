"""What programs print: head and tail kept, everything counted, passed on live."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any, Literal

from codabench.core.records import LogRecord, Role, StepName
from codabench.runner.contract import log_name
from codabench.storage.store import Storage

Stream = Literal["stdout", "stderr"]

PASSED_ON = 64 * 1024
"""Bytes of a stream that are passed on at a time."""
LONGEST_LINE = 64 * 1024
MOST_OBJECTS, MOST_OF_OBJECTS = 10_000, 4 << 20
"""Plots and messages of one stream, and their bytes; what comes later is in the log only."""


def left_out(count: int) -> bytes:
    """The line that stands for what was not kept."""
    return f"\n[... {count} bytes left out ...]\n".encode()


class KeptStream:
    """The beginning and the end of a stream in bounded memory; its length is exact."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._head = bytearray()
        self._end = bytearray()
        self.total = 0

    def write(self, data: bytes) -> None:
        self.total += len(data)
        room = self._keep - len(self._head)
        self._head += data[:room]
        self._end += data[room:] if len(data) - room <= self._keep else data[len(data) - self._keep :]
        # Cut now and then, not at each write: what is moved stays in proportion to what was written.
        if len(self._end) > 2 * self._keep:
            del self._end[: -self._keep or None]

    @property
    def _tail(self) -> bytearray:
        return self._end[max(0, len(self._end) - self._keep) :]

    @property
    def truncated(self) -> bool:
        return self.total > len(self._head) + min(len(self._end), self._keep)

    def bytes(self) -> bytes:
        """What was kept, with one line that says how much was left out."""
        missing = self.total - len(self._head) - len(self._tail)
        gap = left_out(missing) if missing else b""
        return bytes(self._head) + gap + self._tail

    def last_lines(self, count: int = 20) -> list[str]:
        """The last lines as text, for messages."""
        text = (b"" if self.truncated else self._head) + self._tail
        return text[-16384:].decode("utf-8", "replace").rstrip().splitlines()[-count:]


class Unsent:
    """What of a stream was not passed on yet: all of the beginning that is kept, beyond it only the last part."""

    def __init__(self, head: int) -> None:
        self._head = head
        self._sent = self._total = 0
        self._beginning, self._rest = bytearray(), bytearray()

    def write(self, data: bytes) -> None:
        room = max(0, self._head - self._total)
        self._total += len(data)
        self._beginning += data[:room]
        self._rest += data[max(room, len(data) - PASSED_ON) :]
        if len(self._rest) > 2 * PASSED_ON:
            del self._rest[:-PASSED_ON]

    def take(self) -> list[tuple[int, bytes]]:
        """(offset, bytes) of what is to be passed on, in pieces, in order; once."""
        rest = bytes(self._rest[-PASSED_ON:])
        parts = [
            *((self._sent + at, bytes(self._beginning[at : at + PASSED_ON])) for at in _steps(len(self._beginning))),
            *((self._total - len(rest) + at, rest[at : at + PASSED_ON]) for at in _steps(len(rest))),
        ]
        self._sent = self._total
        self._beginning.clear()
        self._rest.clear()
        return parts


def _steps(size: int) -> range:
    return range(0, size, PASSED_ON)


class JsonLines:
    """Finds the lines that are objects for whoever watches: plots and messages."""

    def __init__(self) -> None:
        self._line = b""
        self._skip = False
        self._found = self._size = 0

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The objects that end in these bytes."""
        first, newline, rest = data.partition(b"\n")
        if not newline:
            self._begin(self._line + first)
            return []
        lines = [] if self._skip else [self._line + first]
        self._skip = False
        whole, _, last = rest.rpartition(b"\n")
        if b'"type"' in whole:  # a flood of other things costs one search
            lines += whole.split(b"\n")
        self._line = b""
        self._begin(last)
        return [found for line in lines if (found := self._object(line)) is not None]

    def _begin(self, line: bytes) -> None:
        """Remember a line that has not ended, unless it cannot be one of ours."""
        self._skip = self._skip or len(line) > LONGEST_LINE
        self._line = b"" if self._skip else line

    def _object(self, line: bytes) -> dict[str, Any] | None:
        if len(line) > LONGEST_LINE or not line.lstrip().startswith(b"{") or self._found >= MOST_OBJECTS:
            return None
        if self._size + len(line) > MOST_OF_OBJECTS:
            return None
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or found.get("type") not in ("plot", "message"):
            return None
        self._found += 1
        self._size += len(line)
        return found


class ProgramLog:
    """The log sink of one program of a step.

    What it takes is passed on by `flush`, which somebody calls often: a program that writes many small pieces costs
    little, and one that floods its output is passed on in parts.
    """

    def __init__(self, step: StepName, role: Role, keep: int, emit: Callable[[dict[str, Any]], None]) -> None:
        self.step, self.role, self._emit = step, role, emit
        self.stdout, self.stderr = KeptStream(keep), KeptStream(keep)
        self._unsent = {"stdout": Unsent(keep), "stderr": Unsent(keep)}
        self._lines = {"stdout": JsonLines(), "stderr": JsonLines()}
        self._objects: list[dict[str, Any]] = []
        self._lock, self._order = threading.Lock(), threading.Lock()

    def write(self, stream: Stream, data: bytes) -> None:
        with self._lock:
            (self.stdout if stream == "stdout" else self.stderr).write(data)
            self._unsent[stream].write(data)
            for found in self._lines[stream].feed(data):
                self._objects.append({"type": found["type"], "name": self._name(stream), "data": found})

    def _name(self, stream: str) -> str:
        return log_name(self.step, self.role, stream)

    def flush(self) -> None:
        """Pass on what was not passed on yet."""
        with self._order:  # two callers must not overtake each other
            with self._lock:
                parts = [(self._name(stream), unsent.take()) for stream, unsent in self._unsent.items()]
                objects, self._objects = self._objects, []
            for name, pieces in parts:
                for offset, data in pieces:
                    text = base64.b64encode(data).decode()
                    self._emit({"type": "log", "name": name, "offset": offset, "data": text})
            for found in objects:
                self._emit(found)

    def store(self, storage: Storage) -> tuple[LogRecord, ...]:
        """Keep both streams; an empty one too, so that 'printed nothing' can be told from 'not kept'."""
        return tuple(
            LogRecord(
                name=log_name(self.step, self.role, name),
                blob=storage.put(kept.bytes()),
                total=kept.total,
                truncated=kept.truncated,
            )
            for name, kept in (("stdout", self.stdout), ("stderr", self.stderr))
        )
