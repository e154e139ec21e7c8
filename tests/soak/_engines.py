"""The engines of the test bed by name, each with its own command line."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from codabench.backends.select import engine_named

NEEDS = ("docker", "podman", "rootless")
VARIABLES = {
    "docker": "CODABENCH_TEST_DOCKER",
    "podman": "CODABENCH_TEST_PODMAN",
    "rootless": "CODABENCH_TEST_PODMAN_ROOTLESS",
}
NAMES = (*VARIABLES, "sandbox")


def url_of(name: str) -> str:
    return os.environ[VARIABLES[name]]


def engine_of(name: str) -> Any:
    kind = "podman" if name == "rootless" else name
    return engine_named(f"{kind}:{url_of(name)}" if name in VARIABLES else kind)


def image_of(name: str) -> str:
    return os.environ.get("CODABENCH_TEST_IMAGE", "codabench/test-python:1") if name in VARIABLES else "host"


def containers(name: str, label: str, *, running: bool) -> list[str] | None:
    """What the engine's own command line lists with that label; None for an engine that has none."""
    if name not in VARIABLES:
        return None
    command = ["docker", "--host", url_of(name)] if name == "docker" else ["podman", "--remote", "--url", url_of(name)]
    which = [] if running else ["--all"]
    said = subprocess.run(
        [*command, "ps", *which, "--quiet", "--filter", f"label={label}"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()


def containers_by_label(name: str, label: str) -> list[tuple[str, str]]:
    """Every container with a label, running or not: its id, and the value."""
    command = ["docker", "--host", url_of(name), "ps", "--all", "--filter", f"label={label}"]
    command += ["--format", '{{.ID}}\t{{.Label "' + label + '"}}']
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [(line.partition("\t")[0], line.partition("\t")[2]) for line in said.splitlines()]
