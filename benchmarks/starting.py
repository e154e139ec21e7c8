"""What is paid before anything is done: `import codabench`, `codabench --help`, the start of a sandbox."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import Benchmark, CannotMeasureError, Side, milliseconds, python

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def _sides(*arguments: str) -> Iterator[tuple[Side, Side]]:
    """This interpreter with these arguments against `python -c pass`, both with every module byte-compiled."""
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as folder:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env |= {"PYTHONPYCACHEPREFIX": folder, "PYTHONPATH": str(ROOT)}
        python(*arguments, env=env)
        yield (
            lambda: milliseconds(lambda: python(*arguments, env=env)),
            lambda: milliseconds(lambda: python("-c", "pass", env=env)),
        )


importing = Benchmark(
    name="import_codabench",
    about="`python -c 'import codabench'`, against `python -c pass`",
    unit="ms",
    sides=lambda: _sides("-c", "import codabench"),
    must=("above", 30),
)
help_ = Benchmark(
    name="help",
    about="`codabench --help`, against `python -c pass`",
    unit="ms",
    sides=lambda: _sides("-m", "codabench", "--help"),
    must=("value", 400),
)


@contextmanager
def _sandboxes() -> Iterator[tuple[Side, Side]]:
    """A container of the sandbox with every defence, made, run and removed, against `bwrap ... true`."""
    import bare_sandbox
    import competition

    from codabench.backends.engine import ContainerSpec, Deadline, StopSignal
    from codabench.core.policy import MIB, Limits

    class Nowhere:
        def write(self, stream: str, data: bytes) -> None:
            del stream, data

    engine: Any = competition.engine("sandbox")
    limits = Limits(memory=None if "memory" in engine.facts.unenforced else 256 * MIB)
    spec = ContainerSpec(image=engine.resolve("host"), argv=("true",), limits=limits)

    def once() -> None:
        if not engine.run(spec, Nowhere(), StopSignal(), Deadline(60)).ok:
            raise CannotMeasureError("the sandbox cannot run `true`")

    with engine:
        yield lambda: milliseconds(once), lambda: milliseconds(lambda: bare_sandbox.start("true"))


sandbox = Benchmark(
    name="sandbox_start",
    about="`true` in the sandbox with every defence and limit, against `bwrap ... true`",
    unit="ms",
    sides=_sandboxes,
)
