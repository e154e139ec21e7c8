"""20,000 inputs for every parser: no crash, no hang (2 s each), at most 256 MiB, every refusal in words.

What loads is shown, and a sample of it saved, read back equal and saved again to the same bytes. The inputs follow from
the seed. They are read in processes of their own, which die of an input that takes too long; an input that fails is
written to a file, whose name is printed:

    scripts/soak fuzz --replay FILE
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

INPUTS = 20_000
BATCH = 5000
SEED = 20_261_123
SECONDS = 2
"""Of CPU time for one input: how long it waits for a busy machine says nothing."""
WAITING = 60
MEMORY = 256 << 20
LIMIT = 240


# ---------------------------------------------------------------------- in a process of its own
class _Enough(BaseException):
    """As many inputs as were asked for have been read."""


class Batch:
    """The inputs of one batch, one after the other; what is known of them survives the death of the process."""

    def __init__(self, parser: str, batch: int, folder: Path) -> None:
        import _targets

        self.parser, self.batch, self.folder = parser, batch, folder
        self.target = _targets.PARSERS[parser]
        self.current, self.number = folder / "current", folder / "number"
        self.tried = 0
        self.counts = {"taken": 0, "refused": 0}
        self.failed: list[dict[str, str]] = []

    def run(self, skip: int, count: int) -> None:
        """Draws until there were so many; the first `skip` of them are not read."""
        from hypothesis import HealthCheck, Phase, given, seed, settings

        health = list(HealthCheck)
        drawn = settings(
            max_examples=count, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=health
        )

        def several(inputs: list[bytes]) -> None:
            for data in inputs:
                if self.tried == count:
                    raise _Enough
                self.tried += 1
                if self.tried > skip:
                    self.one(data)

        with contextlib.suppress(_Enough):
            drawn(seed(SEED + self.batch)(given(self.target.inputs())(several)))()

    def one(self, data: bytes) -> None:
        self.current.write_bytes(data)
        self.number.write_text(str(self.tried))
        why = self.read(data)
        if why:
            self.failed.append({"file": keep(self.parser, self.batch, self.tried, data), "why": why})

    def read(self, data: bytes) -> str | None:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WAITING)
        try:
            taken = self.target.read(data, self.folder)
        except Exception as error:  # noqa: BLE001 - that any at all comes out is what is looked for
            traceback.print_exc()
            return f"{type(error).__name__}: {str(error)[:500]}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.counts["taken" if taken else "refused"] += 1
        return None


def work(parser: str, batch: int, skip: int, count: int, folder: Path) -> None:
    import _fresh

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    found = Batch(parser, batch, folder)
    found.run(skip, count)
    print(json.dumps({"tried": found.tried - skip, **found.counts, "failed": found.failed, "peak_mib": _fresh.peak()}))


def keep(parser: str, batch: int, number: int, data: bytes) -> str:
    """Where an input that fails stays."""
    home = Path(os.environ.get("CODABENCH_FUZZ_FAILURES") or Path(tempfile.gettempdir()) / "codabench-fuzz")
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"{parser}-{SEED}-{batch}-{number}.input"
    path.write_bytes(data)
    return str(path)


# ---------------------------------------------------------------------- the processes
def batch_of(parser: str, batch: int, count: int, folder: Path) -> Iterator[dict[str, Any]]:
    """The figures of one batch; a process that dies is followed by one that goes on behind that input."""
    skip = 0
    while skip < count:
        argv = [sys.executable, "-B", __file__, "work", parser, *map(str, (batch, skip, count, folder))]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
        if ended.returncode == 0:
            yield json.loads(ended.stdout.splitlines()[-1])
            return
        number = folder / "number"
        if not number.exists() or int(number.read_text()) <= skip:
            raise RuntimeError(f"the process of {parser} did not begin:\n{ended.stderr[-2000:]}")
        why = {-signal.SIGPROF: f"more than {SECONDS} s", -signal.SIGALRM: f"still waiting after {WAITING} s"}
        said = why.get(ended.returncode, f"the process ended with {ended.returncode}: {ended.stderr[-300:]}")
        before, skip = skip, int(number.read_text())
        file = keep(parser, batch, skip, (folder / "current").read_bytes())
        yield {"tried": skip - before, "failed": [{"file": file, "why": said}]}


def soak(scale: float, folder: Path) -> dict[str, Any]:
    import _targets

    inputs = max(1, round(INPUTS * scale))
    jobs = [
        (parser, number, min(BATCH, inputs - first))
        for number, first in enumerate(range(0, inputs, BATCH))
        for parser in _targets.PARSERS
    ]
    figures: dict[str, Any] = {"seed": SEED, "inputs": inputs}
    failed: list[str] = []

    def run(job: tuple[str, int, int]) -> tuple[str, list[dict[str, Any]]]:
        parser, number, count = job
        own = folder / f"{parser}-{number}"
        own.mkdir()
        return parser, list(batch_of(parser, number, count, own))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for parser, found in pool.map(run, jobs):
            total = figures.setdefault(parser, {"tried": 0, "taken": 0, "refused": 0, "peak_mib": 0.0})
            for part in found:
                for key in ("tried", "taken", "refused"):
                    total[key] += part.get(key, 0)
                total["peak_mib"] = max(total["peak_mib"], part.get("peak_mib", 0.0))
                failed += [
                    f"{parser}: {each['why']} (scripts/soak fuzz --replay {each['file']})" for each in part["failed"]
                ]
    for parser in _targets.PARSERS:
        total = figures[parser]
        if not total["taken"] or not total["refused"]:
            failed.append(f"{parser}: {total['taken']} taken and {total['refused']} refused, which proves nothing")
    return {**figures, "failed": failed}


def replay(file: Path, folder: Path) -> str:
    """One input again, in this process; raises what it raises."""
    import _targets

    parser = next(name for name in sorted(_targets.PARSERS, key=len, reverse=True) if file.name.startswith(f"{name}-"))
    taken = _targets.PARSERS[parser].read(file.read_bytes(), folder)
    return f"{parser}: {'taken' if taken else 'refused'}, as it should be"


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    work(sys.argv[2], *map(int, sys.argv[3:6]), Path(sys.argv[6]))
