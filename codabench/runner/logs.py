"""What programs print: head and tail kept, everything counted, passed on live."""

from __future__ import annotations

import base64
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from codabench.core.records import LogRecord, Role, StepName
from codabench.runner.contract import log_name
from codabench.storage.store import Storage

Stream = Literal["stdout", "stderr"]


class KeptStream:
    """The beginning and the end of a stream in bounded memory; its length is exact."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.total = 0

    def write(self, data: bytes) -> None:
        self.total += len(data)
        room = self._keep - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail.append(bytes(data[-self._keep :]))
            self._tail_size += len(self._tail[-1])
            while self._tail_size - len(self._tail[0]) >= self._keep:
                self._tail_size -= len(self._tail.popleft())

    @property
    def truncated(self) -> bool:
        return self.total > len(self._head) + self._tail_size or self._tail_size > self._keep

    def bytes(self) -> bytes:
        """What was kept, with one line that says how much was left out."""
        tail = b"".join(self._tail)[-self._keep :]
        missing = self.total - len(self._head) - len(tail)
        gap = f"\n[... {missing} bytes left out ...]\n".encode() if missing else b""
        return bytes(self._head) + gap + tail

    def last_lines(self, count: int = 20) -> list[str]:
        """The last lines as text, for messages."""
        text = (b"".join(self._tail) or bytes(self._head))[-16384:].decode("utf-8", "replace")
        return text.rstrip().splitlines()[-count:]


class ProgramLog:
    """The log sink of one program of a step."""

    def __init__(self, step: StepName, role: Role, keep: int, emit: Callable[[dict[str, Any]], None]) -> None:
        self.step, self.role, self._emit = step, role, emit
        self.stdout, self.stderr = KeptStream(keep), KeptStream(keep)
        self._lock = threading.Lock()

    def write(self, stream: Stream, data: bytes) -> None:
        with self._lock:
            (self.stdout if stream == "stdout" else self.stderr).write(data)
        # Live chunks are bounded: who wants everything reads the stored log.
        shown = data[-4096:]
        self._emit(
            {
                "type": "log",
                "name": log_name(self.step, self.role, stream),
                "data": base64.b64encode(shown).decode(),
                "size": len(data),
            }
        )

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
