"""The expected permissions: `permissions.txt` as sections, for every test that holds something against it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("permissions.txt")
CELLS = "y-s0"


@dataclass(frozen=True)
class Section:
    """A state of a thing.

    Attributes
    ----------
    kind
        ``competition``, ``board``, ``submission``, ``dataset``, ``task``, ``account``, ``site``.
    given
        What is so: words, and ``name=value``.
    cells
        Action -> role -> cell.
    """

    kind: str
    state: str
    given: tuple[str, ...]
    cells: dict[str, dict[str, str]]

    def __str__(self) -> str:
        return f"{self.kind}: {self.state}"

    @property
    def words(self) -> set[str]:
        return {word for word in self.given if "=" not in word}

    @property
    def values(self) -> dict[str, str]:
        return dict(word.split("=", 1) for word in self.given if "=" in word)


def _lines() -> list[str]:
    lines = (line.split("#")[0].rstrip() for line in FILE.read_text().splitlines())
    return [line for line in lines if line]


def reads() -> set[str]:
    """The actions that change nothing."""
    return {action for line in _lines() if line.startswith("reads:") for action in line.split()[1:]}


def sections() -> list[Section]:
    """Every section, whole: with the rows of the one that it is like."""
    found: dict[str, Section] = {}
    head: list[str] = []
    current: Section | None = None
    for line in _lines():
        if line.startswith("reads:"):
            continue
        if line.startswith("["):
            name, _, like = line.partition("]")
            kind, _, state = name[1:].partition(": ")
            before = found[like.removeprefix(" like ")] if like else None
            cells = {action: dict(row) for action, row in before.cells.items()} if before else {}
            assert str(Section(kind, state, (), {})) not in found, f"{line} is there twice"
            current, head = Section(kind, state, (), cells), []
        elif line.startswith("given:"):
            assert current is not None
            current = Section(current.kind, current.state, tuple(line.split()[1:]), current.cells)
            found[str(current)] = current
        elif not head:
            head = line.split()
        else:
            action, *row = line.split()
            assert current is not None
            assert set("".join(row)) <= set(CELLS), line
            current.cells[action] = dict(zip(head, row, strict=True))
    return list(found.values())
