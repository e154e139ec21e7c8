"""Two sides measured in turn, and what comes of it: shared by every benchmark."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

Side = Callable[[], float]
"""Does the thing once and returns one sample, in the unit of its benchmark."""


class CannotMeasureError(Exception):
    """A benchmark cannot be run here; the message says what it needs."""


@dataclass(frozen=True)
class Benchmark:
    """Something that is measured against something else.

    Attributes
    ----------
    sides
        Opens both sides: what the library does, and the baseline. What they need lives as long as the context.
    must
        What must hold: this figure ("value", "ratio", "above": value - baseline) is at most so much; with "least" the
        ratio is at least so much. None: it is reported only.
    pause
        Seconds between samples, so that what one side leaves to the background does not slow the other down.
    most
        Samples of each side at most, one more not counted before them: where each takes long.
    beside
        Another figure, reported in the table only: its unit, and the samples that `sides` puts there.
    """

    name: str
    about: str
    unit: str
    sides: Callable[[], AbstractContextManager[tuple[Side, Side]]]
    must: tuple[Literal["value", "ratio", "above", "least"], float] | None = None
    pause: float = 0.0
    most: int | None = None
    beside: tuple[str, list[float]] = ("", [])

    def measure(self, rounds: int, warm_up: int) -> Measured:
        """Both sides in turn; which one is first alternates, so that neither always has the warmer machine."""
        values: list[float] = []
        baselines: list[float] = []
        self.beside[1].clear()
        if self.most is not None:
            rounds, warm_up = min(rounds, self.most), min(warm_up, 1)
        with self.sides() as (ours, baseline):
            for n in range(warm_up + rounds):
                for side, into in ((ours, values), (baseline, baselines))[:: 1 if n % 2 else -1]:
                    into.append(side())
                    time.sleep(self.pause)
        return Measured(self, values[warm_up:], baselines[warm_up:])


@dataclass(frozen=True)
class Measured:
    """The samples of a benchmark."""

    benchmark: Benchmark
    values: Sequence[float]
    baselines: Sequence[float]

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def baseline(self) -> float:
        return statistics.median(self.baselines)

    @property
    def ratio(self) -> float:
        return self.value / self.baseline

    @property
    def above(self) -> float:
        return self.value - self.baseline

    @property
    def holds(self) -> bool:
        """Whether what must hold does."""
        must = self.benchmark.must
        if must is not None and must[0] == "least":
            return self.ratio >= must[1]
        return must is None or float(getattr(self, must[0])) <= must[1]

    def to_json(self) -> dict[str, str | float]:
        """One line of ``--json``."""
        return {
            "name": self.benchmark.name,
            "value": round(self.value, 4),
            "unit": self.benchmark.unit,
            "baseline": round(self.baseline, 4),
            "ratio": round(self.ratio, 4),
        }

    def text(self) -> str:
        """For people: medians, with the 10th and the 90th percentile in brackets."""
        of = self.benchmark
        more = [_row("also", *of.beside)] if of.beside[1] else []
        rows = [_row("library", of.unit, self.values), _row("baseline", of.unit, self.baselines), *more]
        last = f"  {'ratio':<10}{self.ratio:9.3f}      above: {self.above:.2f} {of.unit}      {self._verdict()}"
        return "\n".join([f"{of.name}: {of.about}", *rows, last.rstrip(), ""])

    def _verdict(self) -> str:
        if self.benchmark.must is None:
            return ""
        figure, most = self.benchmark.must
        if figure == "least":
            return f"must: ratio >= {most:g}: {'holds' if self.holds else 'MISSED'}"
        unit = "" if figure == "ratio" else f" {self.benchmark.unit}"
        return f"must: {figure} <= {most:g}{unit}: {'holds' if self.holds else 'MISSED'}"


def _row(label: str, unit: str, samples: Sequence[float]) -> str:
    low, high = spread(samples)
    return f"  {label:<10}{statistics.median(samples):9.2f} {unit:<4} [{low:.2f} .. {high:.2f}]  n={len(samples)}"


def spread(samples: Sequence[float]) -> tuple[float, float]:
    """The 10th and the 90th percentile."""
    if len(samples) == 1:
        return samples[0], samples[0]
    cuts = statistics.quantiles(samples, n=10, method="inclusive")
    return cuts[0], cuts[-1]


def milliseconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def python(*arguments: str, env: dict[str, str]) -> None:
    """Run this interpreter; what goes wrong there goes wrong here."""
    subprocess.run([sys.executable, *arguments], env=env, check=True, stdout=subprocess.DEVNULL)
