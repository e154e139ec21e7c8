"""The text of a program, read without running it."""

from __future__ import annotations

import dataclasses
import posixpath
import re

from codabench.bundle.checks.python import Facts, Sight, look_at
from codabench.bundle.checks.shell import fetches, script
from codabench.bundle.metadata import LITTER, METADATA
from codabench.core.problems import Location
from codabench.storage.sources import TreeSource

_FILE, _BUNDLE, _FILES = 1 << 17, 1 << 18, 200
_TEXTS = frozenset((".py", ".sh", ".bash", ".md", ".rst", ".txt", ".yaml", ".yml", ".json", ".toml", ".cfg", ".ini"))
_SHELL = frozenset((".sh", ".bash"))
_NEWLINE = re.compile(r"\r\n|\r|\n")
_NO_PART = frozenset(("__pycache__", ".ipynb_checkpoints", ".git", *LITTER))


@dataclasses.dataclass
class Budget:
    """How many bytes of sources are still read for one bundle: parsing takes up to 500 bytes of memory for each."""

    left: int = _BUNDLE


@dataclasses.dataclass
class ProgramText:
    """What the files of one program say.

    Attributes
    ----------
    path
        Of the program in the bundle.
    texts
        Its files, by their path inside the program.
    facts
        What stands in its Python files.
    fetch
        The first place that installs or downloads something, with its file.
    absent
        A script that a command starts and that is not there.
    complete
        Everything that could matter was read and understood.
    """

    path: str
    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    facts: dict[str, Facts] = dataclasses.field(default_factory=dict)
    fetch: tuple[str, Sight] | None = None
    absent: str | None = None
    complete: bool = True

    def place(self, file: str, sight: Sight) -> Location:
        """Where something stands, with its line."""
        lines = _NEWLINE.split(self.texts[file])
        excerpt = lines[sight.line - 1] if sight.line <= len(lines) else ""
        column = len(excerpt.encode()[: sight.column - 1].decode("utf-8", "ignore")) + 1
        name = posixpath.join(self.path, file)
        return Location(file=name, line=sight.line, column=column, end_line=sight.line, excerpt=excerpt)


def read_program(tree: TreeSource, path: str, commands: tuple[str, ...], budget: Budget) -> ProgramText:
    """Read the sources of a program; one that is too large is read in part, or not at all."""
    program = ProgramText(path)
    program.absent = next((name for c in commands if (name := script(c)) and not tree.exists(name)), None)
    entries = [e for e in tree.entries() if e.kind == "file" and not _NO_PART & set(e.path.split("/"))]
    if len(entries) > _FILES:
        program.complete = False
        return program
    for entry in entries:
        suffix = posixpath.splitext(entry.path)[1].lower()
        if (suffix not in _TEXTS and entry.path not in METADATA) or entry.size > min(_FILE, budget.left):
            program.complete = False
        else:
            budget.left -= entry.size
            _read(program, entry.path, suffix, tree.read_bytes(entry.path, _FILE))
    _find_fetch(program, commands)
    return program


def _read(program: ProgramText, name: str, suffix: str, data: bytes) -> None:
    try:
        program.texts[name] = text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        program.complete = False
        return
    if suffix == ".py":
        facts = look_at(text)
        if facts is None:
            program.complete = False
        else:
            program.facts[name] = facts


def _find_fetch(program: ProgramText, commands: tuple[str, ...]) -> None:
    for name, text in program.texts.items():
        sight = program.facts[name].fetch if name in program.facts else None
        if posixpath.splitext(name)[1].lower() in _SHELL:
            sight = _in_script(text)
        elif name in METADATA and (what := next(filter(None, map(fetches, commands)), None)):
            line = next((n for n, line in enumerate(text.split("\n"), 1) if fetches(line)), 1)
            sight = Sight(line, 1, what)
        if sight is not None:
            program.fetch = (name, sight)
            return


def _in_script(text: str) -> Sight | None:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.lstrip().startswith(("#", "echo ", "printf ")) and (what := fetches(line)):
            return Sight(number, 1, what)
    return None
