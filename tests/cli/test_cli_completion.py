"""Shells complete commands, options and codes; the scripts for that come from the program itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def codabench(*words: str, **env: str) -> str:
    """The program as its entry point starts it."""
    start = [sys.executable, "-c", "from codabench.cli import main; main()", *words]
    everything = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(start, env=everything, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("shell", "sign"),
    [("bash", "complete -o default -F"), ("zsh", "#compdef codabench"), ("fish", "complete --command")],
)
def test_there_is_a_script_for_each_shell(shell: str, sign: str) -> None:
    script = codabench(_CODABENCH_COMPLETE=f"source_{shell}")
    assert sign in script
    assert f"_CODABENCH_COMPLETE=complete_{shell}" in script
    if path := shutil.which(shell):
        subprocess.run([path, "-n"], input=script, text=True, check=True)  # it can be parsed


def test_the_shell_that_asks_is_recognised() -> None:
    command = f'"{sys.executable}" -c "from codabench.cli import main; main()" --show-completion; :'
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert "_CODABENCH_COMPLETE=complete_bash" in said.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("codabench ru", {"run", "rule"}), ("codabench rule CB50", {f"CB50{n}" for n in range(1, 10)})],
)
def test_bash_completes_what_was_typed(typed: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    assert set(codabench(_CODABENCH_COMPLETE="complete_bash", **words).split()) == offered
