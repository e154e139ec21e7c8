"""From words to engines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codabench.backends import docker, podman
from codabench.backends.docker import DockerEngine
from codabench.backends.local import LocalBackend
from codabench.backends.podman import PodmanEngine, cdi_devices
from codabench.backends.process import ProcessEngine
from codabench.backends.select import auto_engine, backend_from, engine_named
from codabench.core.errors import EngineUnavailable, PolicyError, UsageError


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.parametrize(("word", "kind"), [("docker", DockerEngine), ("podman", PodmanEngine)])
def test_an_engine_with_its_address(word: str, kind: type[DockerEngine]) -> None:
    engine = engine_named(f"{word}:unix:///some/where.sock")
    assert isinstance(engine, kind)
    assert engine.url == "unix:///some/where.sock"
    assert isinstance(engine_named(word), kind)


def test_the_process_engine_has_no_address() -> None:
    assert isinstance(engine_named("process"), ProcessEngine)
    with pytest.raises(UsageError):
        engine_named("process:unix:///x")


def test_a_wrong_word_gets_a_guess() -> None:
    with pytest.raises(UsageError, match="docker, podman, process, sandbox") as caught:
        engine_named("dokcer")
    assert caught.value.hint == "did you mean 'docker'?"


def test_everything_that_was_tried_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/podman.sock")
    with pytest.raises(EngineUnavailable) as caught:
        auto_engine()
    assert caught.value.code == "CB601"
    for word in ("docker", "podman"):
        assert f"tried  {word}  unix://{tmp_path}/{word}.sock: FileNotFoundError" in caught.value.message
    assert caught.value.hint is not None
    assert "systemctl --user enable --now podman.socket" in caught.value.hint
    assert "codabench doctor" in caught.value.hint


def test_the_context_of_the_docker_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    meta = tmp_path / ".docker/contexts/meta/abc"
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(
        json.dumps({"Name": "colima", "Endpoints": {"docker": {"Host": "unix:///colima.sock"}}})
    )
    (tmp_path / ".docker/config.json").write_text(json.dumps({"currentContext": "colima"}))
    assert docker.default_url() == "unix:///colima.sock"
    (tmp_path / ".docker/config.json").write_text("not JSON")
    assert docker.default_url() != "unix:///colima.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:1")
    assert docker.default_url() == "tcp://elsewhere:1"


def test_the_socket_of_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (tmp_path / "podman").mkdir()
    (tmp_path / "podman/podman.sock").touch()
    assert podman.default_url() == f"unix://{tmp_path}/podman/podman.sock"


def test_backends_from_words_engines_and_backends() -> None:
    engine = ProcessEngine()
    with backend_from("process", jobs=3) as backend, LocalBackend(engine) as other:  # type: ignore[attr-defined]
        assert backend.info().slots == 3
        assert backend_from(other) is other
    wrapped = backend_from(engine)
    assert wrapped.info().engine == "process"
    wrapped.close()


@pytest.mark.parametrize("value", ["dask://host:8786", "kubernetes", 3])
def test_what_is_no_backend(value: object) -> None:
    with pytest.raises(UsageError):
        backend_from(value)  # type: ignore[arg-type]


def test_devices_by_name() -> None:
    from codabench.backends.gpus import cdi_names

    offered = ("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all")
    assert cdi_names(offered, "all") == ["nvidia.com/gpu=all"]
    assert cdi_names(offered, "2") == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]
    assert cdi_names(offered[:2], "all") == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]
    with pytest.raises(PolicyError, match="3 GPUs"):
        cdi_names(offered, "3")
    assert isinstance(cdi_devices(), tuple)
