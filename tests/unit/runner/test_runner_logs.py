"""Kept output: the beginning, the end, and how much there was."""

from __future__ import annotations

import base64
import random
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.runner.logs import MOST_OBJECTS, PASSED_ON, JsonLines, KeptStream, ProgramLog, Unsent
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
    log.write("stdout", b"two\n")
    log.flush()
    storage = Storage("memory://logs")
    out, err = log.store(storage)
    assert (out.name, out.total, out.truncated) == ("prediction_ingestion_stdout", 8, False)
    assert storage.get(out.blob) == b"one\ntwo\n"
    assert storage.get(err.blob) == b"\xff" * 5000
    assert [(e["name"], e["offset"], base64.b64decode(e["data"])) for e in events] == [
        ("prediction_ingestion_stdout", 0, b"one\ntwo\n"),
        ("prediction_ingestion_stderr", 0, b"\xff" * 5000),
    ]
    log.flush()
    assert len(events) == 2


@given(st.integers(0, 300_000), st.lists(st.integers(0, 100_000) | st.none(), max_size=30))
def test_what_is_passed_on_is_in_order_and_has_the_whole_beginning(head: int, moves: list[int | None]) -> None:
    """Sizes are written, None is a flush."""
    unsent, written, got, end = Unsent(head), bytearray(), bytearray(), 0
    for move in [*moves, None]:
        if move is not None:
            data = random.Random(len(written)).randbytes(move)
            written += data
            unsent.write(data)
            continue
        for offset, piece in unsent.take():
            assert offset >= end
            assert piece == written[offset : offset + len(piece)]
            assert 0 < len(piece) <= PASSED_ON
            got += piece
            end = offset + len(piece)
        assert end == len(written), "the newest bytes are always passed on"
    assert got[:head] == written[:head]
    if len(written) <= head:
        assert got == written


PLOT = b'{"type": "plot", "x": 1}'


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([PLOT + b"\n"], 1),
        ([PLOT], 0),
        ([PLOT[:5], PLOT[5:] + b"\n"], 1),
        ([b"a\n" + PLOT + b"\nb\n" + PLOT + b"\n"], 2),
        ([b"a\n" + PLOT[:9], PLOT[9:20], PLOT[20:] + b"\nrest"], 1),
        ([b"  " + PLOT + b"  \r\n"], 1),
        ([b'{"type": "message", "text": "hello"}\n'], 1),
        ([b'{"type": "other"}\n{"type": 3}\n["type"]\n{"type": "plot"\n'], 0),
        ([b"x" * 70_000, PLOT + b"\n", PLOT + b"\n"], 1),
        ([b'{"type": "plot", "x": "' + b"x" * 70_000 + b'"}\n'], 0),
        ([b'{"type": ' + b"[" * 50_000 + b"\n"], 0),
        ([b"\n\n", b"\n", PLOT + b"\n"], 1),
        ([(PLOT + b"\n") * (MOST_OBJECTS + 5)], MOST_OBJECTS),
    ],
    ids=range(13),
)
def test_plots_and_messages_among_the_lines(pieces: list[bytes], found: int) -> None:
    lines = JsonLines()
    assert sum(len(lines.feed(piece)) for piece in pieces) == found


@given(st.lists(st.sampled_from([b"a\n", PLOT + b"\n", b"\n", b'{"type"\n'])), st.randoms())
def test_where_the_pieces_are_cut_does_not_matter(lines: list[bytes], random: random.Random) -> None:
    text, whole, cut, got = b"".join(lines), JsonLines(), JsonLines(), 0
    place = 0
    while place < len(text):
        size = random.randint(1, 9)
        got += len(cut.feed(text[place : place + size]))
        place += size
    assert got == len(whole.feed(text)) == lines.count(PLOT + b"\n")


def test_a_silent_program_has_empty_logs() -> None:
    log = ProgramLog("scoring", "program", 5, lambda event: None)
    assert [(r.name, r.total) for r in log.store(Storage("memory://logs"))] == [
        ("scoring_stdout", 0),
        ("scoring_stderr", 0),
    ]
