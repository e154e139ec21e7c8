"""What the documents show is true: commands parse, code runs, outputs are what is printed, links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import DOCUMENTS, ROOT, blocks, commands, links, mentions, parse

README = ROOT / "README.md"
COMMANDS = [(d, words) for d in DOCUMENTS for words in commands(d)]
MENTIONS = [(d, words) for d in DOCUMENTS for words in mentions(d)]


def named(value: object) -> str | None:
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else None


def test_parsing_carries_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert parse(["codabench", "--install-completion"]) == "Exit"
    assert list(tmp_path.iterdir()) == []


def test_the_documents_show_commands() -> None:
    assert len(COMMANDS) >= 7
    assert {words[1] for _, words in MENTIONS} >= {"check", "run", "demo", "doctor", "rule"}


@pytest.mark.parametrize(("document", "words"), COMMANDS, ids=lambda value: named(value) or " ".join(value))
def test_every_command_parses(document: Path, words: list[str]) -> None:
    assert parse(words) is None


@pytest.mark.parametrize(("document", "words"), MENTIONS, ids=lambda value: named(value) or " ".join(value))
def test_every_mention_parses(document: Path, words: list[str]) -> None:
    assert parse(words) in (None, "MissingParameter", "Exit"), "only arguments may be left out"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("run b s --no-such-option", "NoSuchOption"),
        ("fly", "UsageError"),
        ("run", "MissingParameter"),
        ("check a b", "UsageError"),
        ("run b s --jobs none", "BadParameter"),
    ],
)
def test_a_wrong_command_does_not_parse(wrong: str, error: str) -> None:
    assert parse(["codabench", *wrong.split()]) == error


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(document: Path) -> None:
    assert [link for link in links(document) if not link.exists()] == []


def test_every_problem_code_that_documents_mention_is_explained() -> None:
    known = set(re.findall(r"CB\d{3}", (ROOT / "docs/problems.md").read_text(encoding="utf-8")))
    for document in DOCUMENTS:
        assert set(re.findall(r"CB\d{3}", document.read_text(encoding="utf-8"))) <= known, document


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the examples in it and the bundle with two mistakes, where the checkout is importable."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    shutil.copytree(ROOT / "examples/code-submission/bundle", tmp_path / "my-bundle")
    text = tmp_path / "my-bundle" / "competition.yaml"
    wrong = text.read_text().replace(" scoring_program:", " scoring_programm:")
    text.write_text(wrong.replace("sorting: asc", "sorting: ascending"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.mark.engine
@pytest.mark.docker
def test_the_python_of_the_readme_runs(place: Path, docker_url: str) -> None:
    program = "\n".join(block.text for block in blocks(README, "python"))
    assert program.count("cb.load(") == 2
    env = {**os.environ, "DOCKER_HOST": docker_url}
    (place / "readme.py").write_text(program)
    ran = subprocess.run(
        [sys.executable, "readme.py"], cwd=place, env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "Finished {'accuracy': 0.88125" in ran.stdout
    assert "3  baseline" in ran.stdout
    assert "Failed the ingestion program exited with 1" in ran.stdout
    assert "{'words': 3.0}" in ran.stdout
    assert (place / "lab").is_dir()


def test_the_competition_in_python_runs(place: Path) -> None:
    program = "\n".join(block.text for block in blocks(ROOT / "docs/python.md", "python"))
    (place / "signs.py").write_text(program)
    ran = subprocess.run(
        [sys.executable, "signs.py"], cwd=place, capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "{'acc': 1.0}" in ran.stdout
    assert "0 errors, 0 warnings, 0 notes" in ran.stdout
    assert "✓ packed signs.zip" in ran.stdout
    assert "as in this process" in ran.stdout
    assert ran.stderr.count("CB690") == 1


SESSIONS = [block.text.removeprefix("$ ").split("\n", 1) for block in blocks(README, "console")]


def comparable(output: str) -> list[str]:
    """Lines, without moments."""
    return [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "MOMENT", line).rstrip() for line in output.strip().splitlines()]


@pytest.mark.engine
@pytest.mark.docker
@pytest.mark.parametrize(("command", "shown"), SESSIONS, ids=["check", "run"])
def test_the_sessions_of_the_readme_are_real(command: str, shown: str, place: Path, docker_url: str) -> None:
    script = f'codabench() {{ "{sys.executable}" -m codabench "$@"; }}\n{command}'
    env = {**os.environ, "DOCKER_HOST": docker_url}
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert comparable(ran.stdout) == comparable(shown)


@pytest.mark.engine
@pytest.mark.docker
@pytest.mark.once
def test_the_lab_of_the_readme_works(place: Path, docker_url: str) -> None:
    (lab,) = [block.text for block in blocks(README, "sh") if "codabench submit" in block.text]
    assert len(lab.splitlines()) == 5
    script = f'set -e\ncodabench() {{ "{sys.executable}" -m codabench "$@"; }}\n{lab}'
    env = {**os.environ, "DOCKER_HOST": docker_url}
    ran = subprocess.run(["bash", "-c", script], cwd=place, env=env, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    assert "alice#1 good  Weathered stones  Finished" in ran.stdout
    assert re.search(r"^1  good  +0\.881 ", ran.stdout, re.MULTILINE)
