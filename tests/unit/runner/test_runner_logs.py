"""Kept output: the beginning, the end, and how much there was."""

from __future__ import annotations

import base64
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.runner.logs import KeptStream, ProgramLog
from codabench.storage.store import Storage


def naive(keep: int, data: bytes) -> bytes:
    if len(data) <= 2 * keep:
        return data
    gap = f"\n[... {len(data) - 2 * keep} bytes left out ...]\n".encode()
    return data[:keep] + gap + data[len(data) - keep :]


@given(st.integers(0, 12), st.lists(st.binary(max_size=40)))
def test_a_stream_keeps_what_a_naive_one_keeps(keep: int, chunks: list[bytes]) -> None:
    stream, everything = KeptStream(keep), b""
    for chunk in chunks:
        stream.write(chunk)
        everything += chunk
        assert stream.bytes() == naive(keep, everything)
        assert stream.total == len(everything)
        assert stream.truncated == (len(everything) > 2 * keep)


@given(st.lists(st.text(alphabet="ab \n").map(str.encode)), st.integers(0, 5))
def test_the_last_lines_are_those_of_what_was_printed(chunks: list[bytes], count: int) -> None:
    stream = KeptStream(1000)
    for chunk in chunks:
        stream.write(chunk)
    lines = b"".join(chunks).decode().rstrip().splitlines()
    assert stream.last_lines(count + 1) == lines[-count - 1 :]


def test_the_last_line_may_lie_on_the_border_of_the_beginning() -> None:
    stream = KeptStream(10)
    stream.write(b"x\nValueError")
    assert stream.last_lines(1) == ["ValueError"]


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_a_flood_needs_little_memory_and_time(size: int) -> None:
    stream, chunk = KeptStream(1 << 20), bytes(range(256)) * (size // 256 + 1)
    count = min(100_000, (32 << 20) // size)
    tracemalloc.start()
    began = time.perf_counter()
    for _ in range(count):
        stream.write(chunk[:size])
    taken = time.perf_counter() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stream.total == count * size
    assert peak < 12 << 20
    assert taken < 10


def test_a_program_log_is_stored_whole_and_shown_live() -> None:
    events: list[dict[str, Any]] = []
    log = ProgramLog("prediction", "ingestion", 1 << 20, events.append)
    log.write("stdout", b"one\n")
    log.write("stderr", b"\xff" * 5000)
    storage = Storage("memory://logs")
    out, err = log.store(storage)
    assert (out.name, out.total, out.truncated) == ("prediction_ingestion_stdout", 4, False)
    assert storage.get(out.blob) == b"one\n"
    assert storage.get(err.blob) == b"\xff" * 5000
    assert base64.b64decode(events[0]["data"]) == b"one\n"
    assert (len(base64.b64decode(events[1]["data"])), events[1]["size"]) == (4096, 5000)


def test_a_silent_program_has_empty_logs() -> None:
    log = ProgramLog("scoring", "program", 5, lambda event: None)
    assert [(r.name, r.total) for r in log.store(Storage("memory://logs"))] == [
        ("scoring_stdout", 0),
        ("scoring_stderr", 0),
    ]
