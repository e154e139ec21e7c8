"""The engine of CONTRIBUTING.md keeps the contract, and is found under its word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, blocks

CONTRIBUTING = ROOT / "CONTRIBUTING.md"

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What somebody's package would be, installed."""
    for block in blocks(CONTRIBUTING, "python"):
        (tmp_path / block.text.split("\n", 1)[0].removeprefix("# ")).write_text(block.text)
    (declared,) = blocks(CONTRIBUTING, "toml")
    header, entry = declared.text.strip().splitlines()
    assert header == '[project.entry-points."codabench.engines"]'
    installed = tmp_path / "calm-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: calm\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[codabench.engines]\n" + entry.replace('"', "") + "\n")
    return tmp_path


def python(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=place, env=env, capture_output=True, text=True, timeout=200, check=False
    )


def test_it_passes_the_contract(place: Path) -> None:
    ran = python(place, "pytest", "-q", "-p", "no:cacheprovider", "test_calm.py")
    assert ran.returncode == 0, ran.stdout
    passed = int(ran.stdout.rsplit(" passed", 1)[0].split()[-1])
    assert passed > 70, ran.stdout


def test_it_is_found_under_its_word(place: Path) -> None:
    example = ROOT / "examples/code-submission"
    ran = python(place, "codabench", "run", f"{example}/bundle", f"{example}/submissions/good", "--backend", "calm")
    assert ran.returncode == 0, ran.stderr
    assert "0.881" in ran.stdout


def test_a_word_nobody_registered_is_refused(place: Path) -> None:
    example = ROOT / "examples/code-submission"
    ran = python(place, "codabench", "run", f"{example}/bundle", f"{example}/submissions/good", "--backend", "clam")
    assert ran.returncode == 2
    assert "did you mean 'calm'" in ran.stderr
