"""Checking a bundle of 40 files, against reading its YAML and walking its folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import competition
from measure import Benchmark, CannotMeasureError, Side, milliseconds

FILES = 40
_PAGES = 8


def write(folder: Path) -> Path:
    """A bundle of that many files: 5, the pages, and data."""
    return competition.write(folder, pages=_PAGES, parts=FILES - 5 - _PAGES)[0]


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    import yaml

    from codabench.bundle.load import read_bundle

    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as folder:
        bundle = write(Path(folder))

        def check() -> None:
            with read_bundle(bundle) as read:
                if not read.report.ok:
                    raise CannotMeasureError(f"the bundle is not as it should be: {read.report}")

        def bare() -> None:
            yaml.safe_load((bundle / "competition.yaml").read_text())
            for _, _, files in os.walk(bundle):
                len(files)

        yield lambda: milliseconds(check), lambda: milliseconds(bare)


check = Benchmark(
    name="check_40_files",
    about="all checks of a bundle of 40 files, against yaml.safe_load and os.walk",
    unit="ms",
    sides=_sides,
    must=("value", 60),
)
