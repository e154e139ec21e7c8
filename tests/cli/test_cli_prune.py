"""``codabench prune`` and ``run --pull``, as far as they need no image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import answer, bundle
from typer.testing import CliRunner

from codabench.cli.app import app


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def _nothing_of_this_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_nothing_is_removed_that_was_not_named() -> None:
    code, _, said = run("prune")
    assert code == 2
    assert "codabench prune --images" in said


def test_a_duration_that_is_none() -> None:
    code, _, said = run("prune", "--images", "--older-than", "soon")
    assert code == 2
    assert "soon" in said


def test_plain_processes_have_no_images() -> None:
    code, _, said = run("prune", "--images", "--backend", "process")
    assert code == 2
    assert "keeps no images" in said


def test_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.setenv(name, f"unix://{tmp_path}/nothing.sock")
    code, out, said = run("prune", "--images", "--json")
    assert code == 3
    assert json.loads(out) == {"ok": False, "images": []}
    assert "docker" in said
    assert "podman" in said


@pytest.mark.engine
def test_images_of_others_are_not_even_listed(docker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_url)
    code, out, _ = run("prune", "--images", "--backend", "docker", "--older-than", "0s")
    assert code == 0
    assert out == "0 of 0 images that codabench pulled, at most 0 B\n"


def test_pull_is_one_of_three(tmp_path: Path) -> None:
    words = (str(bundle(tmp_path / "bundle")), str(answer(tmp_path / "answer")), "--backend", "process")
    code, _, said = run("run", *words, "--pull", "alway")
    assert code == 2
    assert "did you mean 'always'?" in said
    assert run("run", *words, "--pull", "never")[0] == 0
