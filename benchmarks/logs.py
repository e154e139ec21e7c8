"""Memory while a program prints 2 GB, against one that prints nothing: each in a fresh process of this library."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import competition
from measure import Benchmark, CannotMeasureError, Side

SIZE = 2_000_000_000
_PRINTS = f"""\
import os
block = (b"x" * 99 + b"\\n") * 10_000
left = {SIZE}
while left:
    left -= os.write(1, block[:left])
"""


_speeds: list[float] = []


def peak() -> float:
    """The most memory this process has had so far, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise CannotMeasureError("this system does not say how much memory a process has had (VmHWM)")


def child(bundle: str, submission: str) -> None:
    """Run the submission once; print our own peak, what was counted of its output, and how long it took."""
    import codabench as cb

    comp = cb.load(bundle)
    run = comp.run(submission, backend="docker", progress="none").run
    if run.scores != {"score": 1.0}:
        raise CannotMeasureError(f"the submission did not run: {run}")
    step = run.outcome.step("prediction")
    print(peak(), run.logs.record("prediction_stdout").total, step.exits["program"].seconds)
    comp.close()


def _in_a_fresh_process(folder: Path, size: int) -> float:
    bundle, submission = folder / "bundle", folder / "submission"
    argv = [sys.executable, __file__, str(bundle), str(submission)]
    ended = subprocess.run(argv, check=False, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        raise CannotMeasureError("the process that runs the submission failed; what it said is above")
    memory, counted, seconds = (float(word) for word in ended.stdout.split())
    if counted != size:
        raise CannotMeasureError(f"the program printed {size} bytes and {counted:.0f} were counted")
    if size:
        _speeds.append(size / seconds / 1e6)
    return memory


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    peak()
    competition.engine("docker").close()
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text:
        loud, silent = Path(text, "loud"), Path(text, "silent")
        competition.write(loud, _PRINTS)
        competition.write(silent)
        yield lambda: _in_a_fresh_process(loud, SIZE), lambda: _in_a_fresh_process(silent, 0)


memory = Benchmark(
    name="log_memory",
    about="peak memory of this process while a program prints 2 GB, against one that prints nothing",
    unit="MiB",
    sides=_sides,
    must=("above", 64),
    beside=("MB/s", _speeds),
)

_SECONDS = 30
_STEADY = f"""\
import os, time
out = os.open({{target!r}}, os.O_WRONLY) if {{target!r}} else 1
block, began, written = (b"x" * 99 + b"\\n") * 2000, time.time(), 0
while (passed := time.time() - began) < {_SECONDS}:
    if written > passed * 20e6:
        time.sleep(0.002)
    else:
        written += os.write(out, block)
"""


def _step_seconds(bundle: Path, submission: Path) -> float:
    import codabench as cb

    with cb.load(bundle) as comp:
        run = comp.run(submission, backend="docker", progress="none").run
        step = run.outcome.step("prediction")
        if run.scores != {"score": 1.0}:
            raise CannotMeasureError(f"the submission did not run: {run}")
        return step.seconds


@contextmanager
def _rates() -> Iterator[tuple[Side, Side]]:
    competition.engine("docker").close()
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text:
        loud = competition.write(Path(text, "loud"), _STEADY.format(target=""))
        silent = competition.write(Path(text, "silent"), _STEADY.format(target="/dev/null"))
        yield lambda: _step_seconds(*loud), lambda: _step_seconds(*silent)


rate = Benchmark(
    name="log_rate",
    about=f"a program that prints 20 MB/s for {_SECONDS} s, against the same that writes to /dev/null; use --rounds 2",
    unit="s",
    sides=_rates,
    must=("ratio", 1.10),
)

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    child(*sys.argv[1:])
