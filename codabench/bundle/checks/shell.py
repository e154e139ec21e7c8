"""Commands that need the network, recognised by their words."""

from __future__ import annotations

import posixpath
import re

_LONGEST = 2000
_INSTALL = re.compile(
    r"(?:^|[\s;&|(/])(pip[0-9.]*|uv pip|apt|apt-get|conda|mamba|npm|gem|cargo|huggingface-cli)\s+(?:-\S+\s+)*"
    r"(install|download|update)\b([^;&|\n]*)"
)
_FETCH = re.compile(r"(?:^|[\s;&|(/])(wget|curl|git\s+clone)\s+([^;&|\n]*)")
_ADDRESS = re.compile(r"://|@|[$\N{REPLACEMENT CHARACTER}]")
_HERE = re.compile(r"localhost|127\.0\.0\.1|\[::1\]|file:", re.IGNORECASE)
_STARTS = re.compile(
    r"(?:python[0-9.]*|bash|sh|Rscript|perl|julia)(?: -u)? +(?:/app/program/|\$program/)?"
    r"([\w.][\w./-]*\.(?:py|sh|R|pl|jl))"
    r"(?: +[\w./$=:-]+)* *"
    r"\Z"
)
"""One program that runs one script: nothing before it may change the directory or write the script."""
_LOCAL = (".", "/", "$")


def script(command: str) -> str | None:
    """The script of its program that a command starts, by its path there; None if that is in doubt."""
    if len(command) > _LONGEST or (match := _STARTS.match(command)) is None:
        return None
    path = posixpath.normpath(match[1])
    return None if path.startswith(("/", "..")) else path


def fetches(command: str) -> str | None:
    """The part of a shell command that installs or downloads something; None if there is none, or it is in doubt."""
    command = command[:_LONGEST]
    for match in _INSTALL.finditer(command):
        if not _from_here(match[3].split()):
            return f"{match[1]} {match[2]}"
    for match in _FETCH.finditer(command):
        arguments = [word for word in match[2].split() if not word.startswith("-")]
        if arguments and _ADDRESS.search(match[2]) and not _HERE.search(match[2]):
            return " ".join(match[1].split())
    return None


def _from_here(arguments: list[str]) -> bool:
    """Whether what is installed lies in the bundle."""
    if "--no-index" in arguments:
        return True
    if "-r" in arguments or "--requirement" in arguments:
        return False
    names = [word for word in arguments if not word.startswith("-")]
    return bool(names) and all(name.startswith(_LOCAL) for name in names)


def is_local(address: str) -> bool:
    """Whether an address is one that needs no network."""
    return bool(_HERE.search(address))
