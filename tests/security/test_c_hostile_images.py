"""C24: the image itself is the weapon. What it declares must not outlive, outwit or outlast a run."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codabench.backends.engine import LABEL
from codabench.backends.owner import Owner
from codabench.backends.select import engine_named
from codabench.core.records import ExitReason
from codabench.testing.bench import Bench

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))
from loopback_registry import Registry, busybox

pytestmark = [pytest.mark.engine, pytest.mark.once]

KINDS = ["podman"] if os.geteuid() else ["docker", "podman"]
"""An ordinary user's Docker is root's: nothing of this would differ."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.close()


@pytest.fixture(params=KINDS)
def engine(
    request: pytest.FixtureRequest, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    url = request.getfixturevalue(f"{request.param}_url")
    if request.param == "podman":
        from codabench.backends.podman import PodmanEngine

        made: Any = PodmanEngine(url, insecure_registries=(registry.host,))
    else:
        made = engine_named(f"docker:{url}")
    yield made
    made._remover.flush()
    for image in made.driver.client.images():
        if any(str(tag).startswith(registry.host) for tag in image["RepoTags"] or image["RepoDigests"] or ()):
            made.driver.client.remove_image(image["Id"], force=True)
    made.close()


def hostile(registry: Registry, engine: Any, root: Path, **config: Any) -> Bench:
    registry.push("lab/hostile", "1", busybox(), **config)
    return Bench(engine, engine.resolve(f"{registry.host}/lab/hostile:1", pull="always"), root)


def inspected(engine: Any, bench: Bench, *argv: str, **options: Any) -> dict[str, Any]:
    """What the engine says of a container that is not started."""
    container = engine.create(bench.spec(*argv, **options))
    try:
        found: dict[str, Any] = engine.driver.client.inspect_container(container._id)
        return found
    finally:
        container.discard()
        engine._remover.flush()


def volumes(engine: Any) -> set[str]:
    return {v["Name"] for v in engine.driver.client.volumes().get("Volumes") or ()}


@pytest.mark.row("C24")
@pytest.mark.twin("C24")
def test_volumes_of_the_image_go_with_the_container(registry: Registry, engine: Any, tmp_path: Path) -> None:
    bench = hostile(registry, engine, tmp_path, Volumes={"/data": {}, "/var/lib/more": {}})
    before = volumes(engine)
    container = engine.create(bench.spec("true"))
    assert len(volumes(engine) - before) == 2, "the twin: the engine does make them"
    container.discard()
    assert bench.run("sh", "-c", "echo kept > /data/file || true").end.ok
    engine._remover.flush()
    assert volumes(engine) == before


@pytest.mark.row("C24")
def test_a_health_check_is_not_run(registry: Registry, engine: Any, tmp_path: Path) -> None:
    check = {"Test": ["CMD-SHELL", "echo run >> /app/output/checked"], "Interval": 10**9, "Retries": 1}
    bench = hostile(registry, engine, tmp_path, Healthcheck=check)
    output = bench.directory("output")
    ran = bench.run("sleep", "1.6", mounts=(bench.mount(output, "/app/output"),))
    assert ran.end.ok, ran
    assert not list(output.iterdir())
    if engine.name == "docker":  # Podman shows the check of the image there, which it does not run
        assert inspected(engine, bench, "true")["Config"]["Healthcheck"]["Test"] == ["NONE"]


def test_the_entry_point_is_kept_and_our_words_come_last(registry: Registry, engine: Any, tmp_path: Path) -> None:
    """Images set their environment there (contract.md section 7); it runs isolated as the program does."""
    bench = hostile(registry, engine, tmp_path, Entrypoint=["/bin/echo", "entered"], Cmd=["--of-the-image"])
    assert bench.run("program", "word").out == b"entered program word\n"


def test_variables_of_the_image(registry: Registry, engine: Any, tmp_path: Path) -> None:
    """Ours win; its own are there, as images need."""
    bench = hostile(registry, engine, tmp_path, Env=["PATH=/bin", "HOME=/evil", "OWN=1", "LD_PRELOAD="])
    env = dict(line.split("=", 1) for line in bench.run("env", env={"HOME": "/tmp"}).out.decode().splitlines())
    assert env["HOME"] == "/tmp"
    assert env["OWN"] == "1"


def test_a_huge_environment_is_the_programs_end_and_not_the_engines(
    registry: Registry, engine: Any, tmp_path: Path
) -> None:
    bench = hostile(registry, engine, tmp_path, Env=["PATH=/bin", *(f"V{n}={'x' * 100_000}" for n in range(30))])
    ran = bench.run("true")
    assert not ran.end.ok
    assert "too long" in f"{ran.end.detail} {ran.err!r}"


def test_a_stop_signal_is_not_asked_for(registry: Registry, engine: Any, tmp_path: Path) -> None:
    bench = hostile(registry, engine, tmp_path, StopSignal="SIGWINCH")
    ran = bench.run("sleep", "60", limit=0.5)
    assert ran.end.reason is ExitReason.TIMEOUT
    assert ran.end.seconds < 2.5


def test_build_triggers_and_odd_words_change_nothing(registry: Registry, engine: Any, tmp_path: Path) -> None:
    bench = hostile(
        registry, engine, tmp_path, OnBuild=["RUN evil"], ExposedPorts={"22/tcp": {}}, WorkingDir="/evil", User="0:0"
    )
    ran = bench.run("sh", "-c", "echo $PWD; cat /proc/self/status", workdir="/bin")
    assert ran.out.startswith(b"/bin\n")
    assert b"CapEff:\t0000000000000000" in ran.out


@pytest.mark.row("C24")
@pytest.mark.twin("C24")
def test_an_image_cannot_pass_for_an_owner(registry: Registry, engine: Any, tmp_path: Path) -> None:
    """A label of ours on the image is covered by our own; and somebody else's container of it is not reaped."""
    alive = Owner.of_label(engine._owner.label())
    assert alive is not None
    dead = alive.model_copy(update={"started": "1", "token": "0" * 16}).label()
    bench = hostile(registry, engine, tmp_path, Labels={LABEL: dead, "codabench.run": "forged"})
    labels = inspected(engine, bench, "true", labels={"codabench.run": "mine"})["Config"]["Labels"]
    assert json.loads(labels[LABEL]) == json.loads(engine._owner.label())
    assert labels["codabench.run"] == "mine"
    client = engine.driver.client
    others = client.create_container(bench.image.id, ["sleep", "60"])["Id"]
    ours = client.create_container(bench.image.id, ["sleep", "60"], labels={LABEL: dead[:-1] + " }"})["Id"]
    try:
        engine.reap()
        left, until = {c["Id"] for c in client.containers(all=True)}, time.monotonic() + 5
        assert others in left
        while ours in left and time.monotonic() < until:
            left = {c["Id"] for c in client.containers(all=True)}
        assert ours not in left, "the twin: what carries such a label by itself goes"
    finally:
        client.remove_container(others, force=True)
