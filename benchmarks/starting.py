"""What a process pays before it does anything: `import codabench`, and `codabench --help`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import Benchmark, Side, milliseconds, python

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
