"""Reads what the documents show: code blocks, commands, links."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import typer

from codabench.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`(codabench [^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    document: Path
    language: str
    text: str


def blocks(document: Path, *languages: str) -> list[Block]:
    found = [Block(document, *match) for match in _FENCE.findall(document.read_text(encoding="utf-8"))]
    return [block for block in found if block.language in languages] if languages else found


def commands(document: Path) -> list[list[str]]:
    """Every ``codabench`` command that stands in a block, complete, as words."""
    text = document.read_text(encoding="utf-8")
    lines = [line for block in blocks(document, "sh", "console", "") for line in block.text.splitlines()]
    lines += [line for line in text.splitlines() if line.startswith("    codabench ")]
    return _words(lines)


def mentions(document: Path) -> list[list[str]]:
    """Every ``codabench`` command that is mentioned within text; it may lack its arguments."""
    return _words(_INLINE.findall(document.read_text(encoding="utf-8")))


def _words(lines: list[str]) -> list[list[str]]:
    stripped = [line.strip().removeprefix("$ ").removeprefix("exec ") for line in lines]
    return [shlex.split(line, comments=True) for line in stripped if line.startswith("codabench ")]


def links(document: Path) -> list[Path]:
    """Files of this repository that a document links to."""
    found = (link.partition("#")[0] for link in _LINK.findall(document.read_text(encoding="utf-8")))
    return [document.parent / link for link in found if link and "://" not in link]


def parse(words: list[str]) -> str | None:
    """Parse a command as the program does, without carrying it out; the kind of error, if there is one."""
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    for option in command.params:
        option.callback = _ended  # or a shell that completes commands would be set up here
    try:
        context = command.make_context("codabench", words[1:])
        name, found, left = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        found.make_context(name, left, parent=context)
    except Exception as error:  # noqa: BLE001 - typer's own copy of click has no public names
        return type(error).__name__
    return None


def _ended(_context: object, _option: object, value: object) -> None:
    if value:
        raise typer.Exit
