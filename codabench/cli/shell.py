"""``codabench run --shell``: look around where a program of a submission would run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from codabench.cli.output import tell

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.planning import Submitted


def open_shell(competition: Competition, submission: Submitted, backend: str, where: dict[str, Any]) -> int:
    """Prepare the first step of the first task and open a shell in its first program's container.

    Returns
    -------
    int
        The exit code of the shell.
    """
    from codabench.backends.select import auto_engine, engine_named, word_for
    from codabench.backends.shell import shell_command
    from codabench.runner.contract import command_line
    from codabench.workspace.trial import trial

    word = str(word_for(backend, where.get("image")))
    engine = auto_engine() if word == "auto" else engine_named(word)
    try:
        with trial(competition, submission, engine, **where) as (step, program, spec):
            command = shell_command(engine, spec)
            words = " ".join(command_line(program.commands[0], step, program.role))
            tell(f"{step}: {program.role} of {spec.image.name}; the command would be")
            tell(f"  {words}")
            return subprocess.run(command, check=False).returncode
    finally:
        engine.close()
