"""A program that refuses to end is gone two seconds after its limit, or after a cancel, and nothing of it survives.

Twenty-two shapes of refusal on each engine, each once at a limit and once cancelled. That it is gone is asserted by the
engine's own command line and by the processes of this machine. The clock begins with the program's first word.
"""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path
from typing import Any, Literal

from _engines import NAMES, containers, engine_of, image_of

from codabench.backends.engine import ContainerSpec, Deadline, StopSignal
from codabench.core.policy import MIB, Limits
from codabench.core.records import ExitReason
from codabench.testing.bench import alive

ALONE = True
NEEDS = ("docker", "podman", "rootless")
LIMIT = 300
SECONDS, GRACE = 1.0, 2.0

SLEEP = "time.sleep(600)"
FOREVER = f"while True: {SLEEP}"
SHAPES = {
    "sleeps": FOREVER,
    "ignores what can be ignored": f"[signal.signal(s, signal.SIG_IGN) for s in (1, 2, 3, 13, 14, 15)]\n{FOREVER}",
    "blocks every signal": f"signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\n{FOREVER}",
    "has children": f"for _ in range(4): os.fork()\n{FOREVER}",
    "daemonises": f"if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n{FOREVER}",
    "sessions of its own": f"for _ in range(5):\n    if os.fork() == 0: os.setsid(), {SLEEP}\n{FOREVER}",
    "closes its output": f"for fd in (0, 1, 2): os.close(fd)\n{FOREVER}",
    "floods stdout": "while True: os.write(1, b'x' * 65536)",
    "floods stderr": "while True: os.write(2, b'x' * 65536)",
    "floods with newlines": "while True: os.write(1, b'\\n' * 65536)",
    "one endless line": "while True: os.write(1, b'y')",
    "stops itself": "while True: os.kill(os.getpid(), signal.SIGSTOP)",
    "many threads": f"for _ in range(200): threading.Thread(target=time.sleep, args=(600,)).start()\n{FOREVER}",
    "burns": "while True: pass",
    "sleeps in a child": "while True: subprocess.run(['sleep', '600'])",
    "a grandchild holds the output": f"if os.fork() == 0:\n    if os.fork() == 0: {SLEEP}\n    os._exit(0)\n{FOREVER}",
    "eats memory to the brink": f"x = bytearray(100 << 20); x[::4096] = b'x' * len(x[::4096])\n{FOREVER}",
    "writes without end": (
        "while True:\n"
        "    try:\n"
        "        with open('/tmp/x', 'wb', buffering=0) as f:\n"
        "            while True: f.write(bytes(1 << 20))\n"
        "    except OSError: pass"
    ),
    "deletes where it is": f"os.mkdir('/tmp/here'); os.chdir('/tmp/here'); os.rmdir('/tmp/here')\n{FOREVER}",
    "becomes itself again": "time.sleep(0.01); os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])",
    "makes zombies": "while True:\n    for _ in range(20): os.fork() or os._exit(0)\n    time.sleep(0.05)",
    "reads without end": "f = open('/dev/zero', 'rb')\nwhile True: f.read(1 << 20)",
}
HEAD = "import os, signal, subprocess, sys, threading, time\nprint('begun', flush=True)\n"


class First:
    """Knows when the first word came."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.at = 0.0

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        if not self.came.is_set():
            self.at = time.monotonic()
            self.came.set()


def soak(scale: float, folder: Path) -> dict[str, object]:
    """Every shape on every engine, at full size."""
    step = max(1, round(1 / scale))
    shapes = list(SHAPES.items())[::step]
    figures: dict[str, object] = {"shapes": len(shapes), "ends": 0, "survivors": 0}
    failed: list[str] = []
    for name in NAMES:
        engine = engine_of(name)
        image = engine.resolve(image_of(name))
        for how in ("limit", "cancel"):
            worst = 0.0
            for shape, program in shapes:
                late, left, why = end(engine, image, name, program, how)
                worst = max(worst, late)
                figures["ends"] = int(str(figures["ends"])) + 1
                figures["survivors"] = int(str(figures["survivors"])) + left
                if late > GRACE or left or why:
                    failed.append(f"{name}: {shape}, {how}: gone after {late:.2f} s, {left} left {why}")
            figures[f"slowest_{how}_{name}_s"] = round(worst, 2)
        engine.close()
    return {**figures, "failed": failed}


def end(engine: Any, image: Any, name: str, program: str, how: str) -> tuple[float, int, str]:
    """Seconds from when it had to be gone to when it was, what was left after that, and anything odd."""
    token = f"soak-{uuid.uuid4().hex}"
    bounded = engine.probe(image).enforced["memory"]
    spec = ContainerSpec(
        image=image,
        argv=("python3", "-c", HEAD + program, token),
        limits=Limits(memory=128 * MIB if bounded else None, tmp=64 * MIB),
        labels={"codabench.soak": token},
    )
    first, stop = First(), StopSignal()
    ends: list[Any] = []
    limit = SECONDS if how == "limit" else 60.0
    runner = threading.Thread(target=lambda: ends.append(engine.run(spec, first, stop, Deadline(limit))))
    runner.start()
    if not first.came.wait(30):
        stop.set()
        runner.join()
        return 0.0, 0, f"it did not begin: {ends}"
    due = first.at + SECONDS
    if how == "cancel":
        time.sleep(max(0.0, due - time.monotonic()))
        due = time.monotonic()
        stop.set()
    runner.join(30)
    # Asked of the machine and of the engine, not of us.
    label = f"codabench.soak={token}"
    left = alive(token) or containers(name, label, running=True)
    late = time.monotonic() - due
    deadline = time.monotonic() + 20
    while (containers(name, label, running=False) or alive(token)) and time.monotonic() < deadline:
        time.sleep(0.1)
    survivors = {*alive(token), *(containers(name, label, running=False) or ())}
    expected = ExitReason.TIMEOUT if how == "limit" else ExitReason.CANCELLED
    odd = "" if ends and ends[0].reason is expected else f"it ended otherwise: {ends}"
    return late, len(survivors), odd or (f"it still ran: {left}" if left else "")
