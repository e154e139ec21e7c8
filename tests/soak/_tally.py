"""What kills come to: recovered, looked at, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import _oracle
from _lab import Lab
from _scenarios import recovered


class Tally:
    """What was tried, and what was found.

    Attributes
    ----------
    killed
        Kills, by who was killed.
    counted
        What callers were told, by kind.
    """

    def __init__(self) -> None:
        self.killed: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.failed: list[str] = []

    def found(self, where: str, findings: list[tuple[str, str]]) -> None:
        """What the oracle says."""
        for kind, text in findings:
            self.kinds[kind] += 1
            self.failed.append(f"{where}: {kind}: {text}")

    def figures(self) -> dict[str, Any]:
        """What a soak returns."""
        return {
            "tried": self.killed.total(),
            **{kind: self.kinds[kind] for kind in _oracle.KINDS},
            "killed": dict(sorted(self.killed.items())),
            "acknowledged": dict(sorted(self.counted.items())),
            "failed": self.failed[:50],
        }


def fresh_labs(folder: Path, database: Callable[[], str | None], engine: str = "process") -> Iterator[Lab]:
    """One after the other."""
    number = 0
    while True:
        yield Lab(folder / str(number), database(), engine)
        number += 1


def looked_at(where: str, lab: Lab, tally: Tally) -> bool:
    """Have another process carry everything to its end, and the oracle look; whether all is well."""
    again = lab.carry_out(lambda: recovered(lab))
    if not again.well:
        tally.found(where, [("lost", f"the recovery failed: {again.said[-1500:]}")])
        return False
    looked = lab.carry_out(lambda: _oracle.findings(lab))
    if not looked.well:
        raise RuntimeError(f"the oracle failed: {looked.said[-2000:]}")
    tally.found(where, [tuple(each) for each in looked.value])
    return not looked.value
