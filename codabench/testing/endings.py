"""How programs end, and how they are ended."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from codabench.backends.engine import Deadline, StopSignal
from codabench.core.errors import ImageNotFound, RegistryError, UsageError
from codabench.core.policy import MIB, Limits
from codabench.core.records import ExitReason
from codabench.testing.bench import Bench, Sink, alive

GRACE = 2.0
"""Seconds after the limit within which nothing may be left."""

STUBBORN = {
    "sleeps": "import time; print('begun', flush=True); time.sleep(600)",
    "ignores every signal": (
        "import signal, time\n"
        "for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)\n"
        "print('begun', flush=True)\n"
        "while True: time.sleep(600)"
    ),
    "has children": ("import os, time\nfor _ in range(3): os.fork()\nprint('begun', flush=True)\ntime.sleep(600)"),
    "closes its output": (
        "import os, time\nprint('begun', flush=True)\nfor fd in (0, 1, 2): os.close(fd)\ntime.sleep(600)"
    ),
    "forks twice into a session of its own": (
        "import os, time\n"
        "print('begun', flush=True)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "time.sleep(600)"
    ),
    "floods its output": "print('begun', flush=True)\nwhile True: print('x' * 1000)",
    "burns": "print('begun', flush=True)\nwhile True: pass",
}


class Endings:
    pulls = True
    """Whether this engine gets images from registries."""

    @pytest.mark.parametrize("code", [0, 1, 3, 42, 124, 125, 126, 127, 128, 255])
    def test_exit_code_of_the_program(self, bench: Bench, code: int) -> None:
        ran = bench.run("sh", "-c", f"exit {code}")
        assert (ran.end.reason, ran.end.code) == (ExitReason.EXITED, code)
        assert ran.end.ok is (code == 0)

    @pytest.mark.parametrize("number", [6, 9, 11, 15])
    def test_signal_of_the_program_itself(self, bench: Bench, number: int) -> None:
        ran = bench.python(f"import os; os.kill(os.getpid(), {number})")
        assert (ran.end.reason, ran.end.code) == (ExitReason.EXITED, 128 + number)

    def test_a_program_that_says_what_an_init_would_say(self, bench: Bench) -> None:
        ran = bench.run("sh", "-c", "echo out; echo '[FATAL tini (7)] exec x failed: No such file' >&2; exit 127")
        assert (ran.end.reason, ran.end.code) == (ExitReason.EXITED, 127)

    def test_command_that_is_not_there(self, bench: Bench) -> None:
        end = bench.run("there-is-no-such-program").end
        assert (end.reason, end.code) == (ExitReason.NOT_STARTED, 127)
        assert end.detail

    def test_command_that_is_no_program(self, bench: Bench) -> None:
        end = bench.run("/etc/passwd").end
        assert (end.reason, end.code) == (ExitReason.NOT_STARTED, 126)
        assert end.detail

    def test_image_that_is_not_there(self, bench: Bench) -> None:
        if not bench.isolated:
            assert bench.engine.resolve("codabench/there-is-none:1").id.startswith("host:")
            return
        with pytest.raises(ImageNotFound, match="codabench/there-is-none:1"):
            bench.engine.resolve("codabench/there-is-none:1", pull="never")
        away = RegistryError if self.pulls else ImageNotFound
        with pytest.raises(away, match=r"127\.0\.0\.1:9/.*refused" if self.pulls else r"127\.0\.0\.1:9/"):
            bench.engine.resolve("127.0.0.1:9/there-is-none:1", timeout=8)

    @pytest.mark.parametrize("name", ["UPPER/case:1", "two words", "x:y:z"])
    def test_names_that_no_image_can_have(self, bench: Bench, name: str) -> None:
        if bench.isolated:
            with pytest.raises(ImageNotFound, match=name):
                bench.engine.resolve(name, timeout=60)

    def test_image_that_is_there_is_not_pulled(self, bench: Bench) -> None:
        events: list[object] = []
        found = bench.engine.resolve(bench.image.name, emit=events.append)
        assert found == bench.image
        assert not events
        assert found.platform

    @pytest.mark.parametrize("program", STUBBORN.values(), ids=STUBBORN)
    def test_deadline(self, bench: Bench, program: str) -> None:
        token = uuid.uuid4().hex
        ran = bench.python(program, token, limit=1)
        assert ran.end.reason is ExitReason.TIMEOUT
        assert ran.end.code is None
        assert 0.9 < ran.end.seconds < 1 + GRACE
        assert ran.out.startswith(b"begun")
        assert not alive(token)

    def test_a_deadline_is_shared_and_starts_with_the_first_container(self, bench: Bench) -> None:
        deadline = Deadline(1.5)
        first = bench.engine.run(bench.spec("sleep", "1"), Sink(), StopSignal(), deadline)
        second = bench.engine.run(bench.spec("sleep", "60"), Sink(), StopSignal(), deadline)
        assert first.reason is ExitReason.EXITED
        assert second.reason is ExitReason.TIMEOUT
        assert second.seconds < 1.5

    @pytest.mark.parametrize("limit", [2147483647, 1e12, None])
    def test_limits_beyond_any_patience(self, bench: Bench, limit: float | None) -> None:
        assert bench.run("true", limit=limit).end.ok

    def test_children_end_with_their_program(self, bench: Bench) -> None:
        token = uuid.uuid4().hex
        program = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\nprint('parent')"
        ran = bench.python(program, token)
        assert ran.end.ok
        assert ran.seconds < 30
        assert not alive(token)

    def test_stop_signal(self, bench: Bench) -> None:
        token, stop = uuid.uuid4().hex, StopSignal()
        threading.Timer(1, stop.set).start()
        ran = bench.python(STUBBORN["ignores every signal"], token, stop=stop)
        assert ran.end.reason is ExitReason.CANCELLED
        assert ran.end.code is None
        assert ran.seconds < 1 + 2 * GRACE
        assert not alive(token)

    def test_stop_before_the_start(self, bench: Bench) -> None:
        stop = StopSignal()
        stop.set()
        ran = bench.run("sh", "-c", "echo ran", stop=stop)
        assert ran.end.reason is ExitReason.CANCELLED
        assert not ran.out

    def test_a_container_runs_once(self, bench: Bench) -> None:
        container = bench.engine.create(bench.spec("true"))
        assert container.run(Sink(), StopSignal(), Deadline(60)).ok
        with pytest.raises(UsageError):
            container.run(Sink(), StopSignal(), Deadline(60))

    def test_out_of_memory(self, bench: Bench) -> None:
        if "memory" in bench.info.reasons:
            pytest.skip(f"declared: {bench.info.reasons['memory']}")
        eat = f"x = bytearray({256 * MIB}); x[::4096] = b'x' * len(x[::4096]); print('all eaten')"
        assert bench.python(eat).end.ok
        ran = bench.python(eat, limits=Limits(memory=64 * MIB))
        assert ran.end.reason is ExitReason.OUT_OF_MEMORY
        assert not ran.out

    def test_out_of_memory_of_a_child(self, bench: Bench) -> None:
        if "memory" in bench.info.reasons:
            pytest.skip(f"declared: {bench.info.reasons['memory']}")
        program = (
            "import os, sys\n"
            "pid = os.fork()\n"
            f"if pid == 0: x = bytearray({256 * MIB}); x[::4096] = b'x' * len(x[::4096]); os._exit(0)\n"
            "died = os.waitpid(pid, 0)[1] == 9\n"
            "sys.exit(int(sys.argv[1]) if died else 99)"
        )
        limits = Limits(memory=64 * MIB)
        assert bench.python(program, "0", limits=limits).end.ok  # a program may live with the loss of a child
        end = bench.python(program, "3", limits=limits).end
        assert end.code == 3
        reported = bench.info.enforced["memory_report"]
        assert (end.reason is ExitReason.OUT_OF_MEMORY) is reported
        assert reported or bench.info.reasons["memory_report"]

    def test_latency_is_not_polled(self, bench: Bench) -> None:
        began = time.monotonic()
        seconds = [bench.run("true").end.seconds for _ in range(3)]
        assert min(seconds) < 1
        assert time.monotonic() - began < 15
