"""Devices by name of the Container Device Interface. No GPU is needed: any device of this host can be described so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codabench.backends.docker import DockerEngine
from codabench.backends.engine import ContainerSpec, Deadline, StopSignal
from codabench.backends.podman import PodmanEngine
from codabench.core.errors import PolicyError
from codabench.testing.bench import Sink

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may describe devices of a host"),
]

DESCRIPTION = """\
cdiVersion: "0.5.0"
kind: codabench.test/gpu
devices:
  - name: "0"
    containerEdits: {deviceNodes: [{path: /dev/codabench-test0, hostPath: /dev/zero, type: c, major: 1, minor: 5}]}
  - name: "1"
    containerEdits: {deviceNodes: [{path: /dev/codabench-test1, hostPath: /dev/zero, type: c, major: 1, minor: 5}]}
  - name: broken
    containerEdits: {env: [CODABENCH_GPU=none]}
"""


@pytest.fixture(scope="module")
def podman(podman_url: str) -> Iterator[PodmanEngine]:
    described = Path("/etc/cdi/codabench-test.yaml")
    described.parent.mkdir(exist_ok=True)
    described.write_text(DESCRIPTION)
    engine = PodmanEngine(podman_url)
    yield engine
    engine.close()
    described.unlink()


def seen(engine: Any, image: str, gpus: str | None) -> set[str]:
    kept = Sink()
    spec = ContainerSpec(
        image=engine.resolve(image), argv=("sh", "-c", "for d in /dev/codabench*; do echo $d; done"), gpus=gpus
    )
    assert engine.run(spec, kept, StopSignal(), Deadline(20)).ok
    return set(kept.read("stdout").decode().split()) - {"/dev/codabench*"}


@pytest.mark.podman
@pytest.mark.parametrize(
    ("gpus", "devices"),
    [
        (None, set()),
        ("1", {"/dev/codabench-test0"}),
        ("all", {"/dev/codabench-test0", "/dev/codabench-test1"}),
        ("codabench.test/gpu=1", {"/dev/codabench-test1"}),
    ],
)
def test_what_is_asked_for_arrives_and_nothing_else(
    podman: PodmanEngine, test_image: str, gpus: str | None, devices: set[str]
) -> None:
    assert seen(podman, test_image, gpus) == devices


@pytest.mark.podman
@pytest.mark.parametrize(
    ("gpus", "why"),
    [
        ("codabench.test/gpu=broken", "the container sees no device"),
        ("codabench.test/gpu=7", "does not offer codabench.test/gpu=7"),
        ("3", "asks for 3 GPUs and this engine offers 2"),
    ],
)
def test_what_cannot_be_given_is_refused_with_the_reason(
    podman: PodmanEngine, test_image: str, gpus: str, why: str
) -> None:
    for _ in range(2):  # what was refused once is refused again
        with pytest.raises(PolicyError, match=why) as caught:
            seen(podman, test_image, gpus)
        assert caught.value.code == ("CB361" if "sees" in why else "CB360")


@pytest.mark.docker
def test_an_engine_without_devices_says_what_to_install(docker_url: str, test_image: str) -> None:
    engine = DockerEngine(docker_url)
    try:
        with pytest.raises(PolicyError, match="this engine offers none") as caught:
            seen(engine, test_image, "all")
        assert "nvidia-ctk" in str(caught.value.hint)
    finally:
        engine.close()
