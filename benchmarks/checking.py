"""Checking a bundle, against reading its YAML, walking its folder, and hashing what must be compared."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import competition
from measure import Benchmark, CannotMeasureError, Side, milliseconds

FILES, MANY = 40, 1000
_PAGES = 8
_COPIES = 10
"""Files of the large bundle that have the size of an answer: all of these must be compared."""


def write(folder: Path, files: int = FILES) -> Path:
    """A bundle of that many files: 5, the pages, and data."""
    return competition.write(folder, pages=_PAGES, parts=files - 5 - _PAGES)[0]


def write_many(folder: Path) -> Path:
    """A bundle of 1,000 files, half of them input data; some are as large as a file of answers, and none is one."""
    bundle = write(folder, MANY - 500)
    text = (bundle / "competition.yaml").read_text()
    (bundle / "competition.yaml").write_text(text.replace("reference_data: ", "input_data: input, reference_data: "))
    (bundle / "input").mkdir()
    for n in range(500):
        size = 600 if n < _COPIES else 1000 + n  # 600 bytes are what each file of answers has
        (bundle / "input" / f"part_{n}.csv").write_bytes(b"%05d" % n + b"," * (size - 5))
    return bundle


def compared(bundle: Path) -> list[Path]:
    """The files that have the size of one on the other side."""
    sides = [[each for each in (bundle / name).iterdir() if each.suffix == ".csv"] for name in ("reference", "input")]
    sizes = [{each.stat().st_size for each in side} for side in sides]
    return [each for side in sides for each in side if each.stat().st_size in sizes[0] & sizes[1]]


def _sides(make: Callable[[Path], Path], files: int) -> Callable[[], AbstractContextManager[tuple[Side, Side]]]:
    @contextmanager
    def sides() -> Iterator[tuple[Side, Side]]:
        import yaml

        from codabench.bundle.load import read_bundle

        with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as folder:
            bundle = make(Path(folder))
            equal_sized = compared(bundle) if (bundle / "input").is_dir() else []

            def check() -> None:
                with read_bundle(bundle) as read:
                    if read.report.problems or read.report.files != files:
                        raise CannotMeasureError(f"the bundle is not as it should be: {read.report}")

            def bare() -> None:
                yaml.safe_load((bundle / "competition.yaml").read_text())
                for _, _, names in os.walk(bundle):
                    len(names)
                for each in equal_sized:
                    hashlib.sha256(each.read_bytes()).digest()

            yield lambda: milliseconds(check), lambda: milliseconds(bare)

    return sides


check = Benchmark(
    name="check_40_files",
    about="all checks of a bundle of 40 files, against yaml.safe_load and os.walk",
    unit="ms",
    sides=_sides(write, FILES),
    must=("value", 60),
)
check_many = Benchmark(
    name="check_1000_files",
    about="all checks of a bundle of 1,000 files, against yaml.safe_load, os.walk and sha256 of what must be compared",
    unit="ms",
    sides=_sides(write_many, MANY),
    must=("above", 500),
)
