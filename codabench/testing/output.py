"""What programs print: complete, byte by byte, in order."""

from __future__ import annotations

import hashlib
import time
import tracemalloc
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest

from codabench.backends.engine import Deadline, StopSignal
from codabench.core.policy import MIB
from codabench.testing.bench import Bench, Sink, alive


class _Digest:
    """Counts and hashes, and keeps nothing."""

    def __init__(self) -> None:
        self.size = 0
        self.hash = hashlib.sha256()

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        self.size += len(data)
        self.hash.update(data)


class _Clock:
    """Keeps when something came."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        self.at.append(time.monotonic())


class _Full:
    """Fails as a full disk does."""

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        raise OSError(28, "No space left on device")


class Output:
    def test_both_streams_complete_and_in_order(self, bench: Bench) -> None:
        lines = 50_000
        program = (
            "import sys\n"
            f"for i in range({lines}):\n"
            "    sys.stdout.write(f'out {i}\\n')\n"
            "    sys.stderr.write(f'err {i}\\n')\n"
            "    if i % 7 == 0: sys.stdout.flush()\n"
        )
        ran = bench.python(program)
        assert ran.out == b"".join(b"out %d\n" % i for i in range(lines))
        assert ran.err == b"".join(b"err %d\n" % i for i in range(lines))

    def test_bytes_that_are_no_text(self, bench: Bench) -> None:
        ran = bench.python("import os\nfor fd in (1, 2): os.write(fd, bytes(range(256)) * 100 + b'\\xff\\xfe\\x00')")
        assert ran.out == ran.err == bytes(range(256)) * 100 + b"\xff\xfe\x00"

    def test_the_last_bytes_before_the_end(self, bench: Bench) -> None:
        for _ in range(5):
            assert bench.run("sh", "-c", "echo first; echo last; exit 5").out == b"first\nlast\n"

    def test_nothing(self, bench: Bench) -> None:
        ran = bench.run("true")
        assert (ran.out, ran.err) == (b"", b"")

    def test_one_endless_line(self, bench: Bench) -> None:
        ran = bench.python("import sys; sys.stdout.write('x' * 3_000_000)")
        assert ran.out == b"x" * 3_000_000

    def test_fifty_megabytes_in_constant_memory(self, bench: Bench) -> None:
        size, block = 50 * MIB, hashlib.sha256(b"codabench").digest() * 2048
        program = (
            "import hashlib, os\nblock = hashlib.sha256(b'codabench').digest() * 2048\n"
            f"for _ in range({size} // len(block)):\n"
            "    view = memoryview(block)\n"
            "    while view: view = view[os.write(1, view):]"
        )
        expected = hashlib.sha256()
        for _ in range(size // len(block)):
            expected.update(block)
        sink = _Digest()
        tracemalloc.start()
        try:
            end = bench.engine.run(bench.spec("python3", "-c", program), sink, StopSignal(), Deadline(120))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert end.ok
        assert (sink.size, sink.hash.digest()) == (size, expected.digest())
        assert peak < 32 * MIB

    def test_a_line_comes_while_the_program_runs(self, bench: Bench) -> None:
        sink = _Clock()
        bench.engine.run(
            bench.spec("python3", "-u", "-c", "import time; print('first'); time.sleep(2); print('last')"),
            sink,
            StopSignal(),
            Deadline(60),
        )
        assert sink.at[-1] - sink.at[0] > 1.5

    def test_what_a_program_uses_while_it_runs(self, bench: Bench) -> None:
        busy = "import time\nx = b'x' * (64 << 20)\nend = time.time() + 3\nwhile time.time() < end: pass"
        container = bench.engine.create(bench.spec("python3", "-c", busy))
        assert container.usage() is None
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(container.run, Sink(), StopSignal(), Deadline(60))
            time.sleep(2)
            used = container.usage()
            assert running.result().ok
        assert container.usage() is None
        if used is None:
            # An engine that cannot count what a program uses cannot limit it either.
            assert not bench.info.enforced["memory"]
            return
        assert 64 * MIB < used.memory < 512 * MIB
        assert 0.1 < used.cpu_seconds < 30

    def test_a_sink_that_fails_ends_the_program(self, bench: Bench) -> None:
        token = uuid.uuid4().hex
        spec = bench.spec("python3", "-c", "import time; print('x', flush=True); time.sleep(600)", token)
        with pytest.raises(OSError, match="No space left"):
            bench.engine.run(spec, _Full(), StopSignal(), Deadline(60))
        assert not alive(token)
