"""What programs print: head and tail kept, everything counted, passed on live."""

from __future__ import annotations

import base64
import threading
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
        gap = f"\n[... {missing} bytes left out ...]\n".encode() if missing else b""
        return bytes(self._head) + gap + self._tail

    def last_lines(self, count: int = 20) -> list[str]:
        """The last lines as text, for messages."""
        text = (b"" if self.truncated else self._head) + self._tail
        return text[-16384:].decode("utf-8", "replace").rstrip().splitlines()[-count:]


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
