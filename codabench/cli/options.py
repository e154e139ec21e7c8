"""Options that several commands have: where a run goes, and what it is granted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from codabench.cli.completing import complete_phase, complete_task

PHASE = typer.Option(
    None, "--phase", "-p", help="Index or name; default: the phase open now.", autocompletion=complete_phase
)
TASK = typer.Option(
    None, "--task", "-t", help="Index or name; may be given more than once.", autocompletion=complete_task
)
IMAGE = typer.Option(None, "--image", help="Instead of the bundle's; for the sandbox: host, rootfs:/path.")
PULL = typer.Option("missing", "--pull", help="Images: missing, always or never.")
POLICY = typer.Option("standard", "--policy", help="standard, strict or trusted.")
NETWORK = typer.Option(None, "--network", help="none, proxy (see --allow) or open; none by default.")
ALLOW = typer.Option(
    None, "--allow", metavar="HOST", help="Let programs reach this host, .example.org for all below it; no other."
)
GPUS = typer.Option(None, "--gpus", help="A number, or all.")
LOCAL_DATA = typer.Option(
    None, "--local-data", metavar="NAME=DIR", help="A directory of this host, read-only at /app/data/NAME."
)
MEMORY = typer.Option(None, "--memory", help="For each program: 512m, 4 GiB.")
CPUS = typer.Option(None, "--cpus", help="For each program; may be a fraction.")
TIMEOUT = typer.Option(None, "--timeout", help="Seconds for each step instead of the phase's limit; also 20min.")
JOBS = typer.Option(None, "--jobs", "-j", min=1, help="Runs at the same time.")
FACT_SHEET = typer.Option(None, "--fact-sheet", help="A JSON or YAML file with the answers.")
FOLLOW = typer.Option(False, "--follow", "-f", help="Print what the programs print, as it comes.")


def answers_in(fact_sheet: Path | None) -> dict[str, Any] | None:
    """The answers of ``--fact-sheet``."""
    from codabench.cli.output import read_mapping

    return None if fact_sheet is None else read_mapping(fact_sheet, "fact sheet", code="CB335")


def given_local_data(words: list[str] | None) -> dict[str, str]:
    """``imagenet=/data/imagenet`` as a mapping.

    Raises
    ------
    UsageError
        If a word names no directory.
    """
    from codabench.core.errors import UsageError

    pairs = {name: place for name, _, place in (word.partition("=") for word in words or ())}
    for name, place in pairs.items():
        if not place:
            raise UsageError(f"--local-data {name} names no directory", code="CB353", hint=f"{name}=/path/of/it")
    return pairs
