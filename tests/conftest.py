"""Options and fixtures that all tests share: the engines of the test bed (docs/testing.md)."""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path
from typing import NoReturn

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bundles", metavar="DIR", type=Path, help="folder of acceptance bundles (marker: bundles)")


def unavailable(why: str) -> NoReturn:
    """Skip; where engines are required, fail: a skipped test proves nothing."""
    if os.environ.get("CODABENCH_TEST_REQUIRE_ENGINES") == "1" or os.environ.get("CI") == "true":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def answers(url: str) -> bool:
    connection = http.client.HTTPConnection("localhost", timeout=10)
    try:
        with socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(10)
            connection.sock.connect(url.removeprefix("unix://"))
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def engine_url(variable: str) -> str:
    """The URL in that variable, if an engine answers there."""
    url = os.environ.get(variable)
    if not url:
        unavailable(f'{variable} is not set: scripts/testbed up; eval "$(scripts/testbed env)"')
    if not answers(url):
        unavailable(f"nothing answers at {variable}={url}: scripts/testbed up")
    return url


@pytest.fixture(scope="session")
def docker_url() -> str:
    """A Docker daemon that sees our files."""
    return engine_url("CODABENCH_TEST_DOCKER")


@pytest.fixture(scope="session")
def blind_docker_url() -> str:
    """A Docker daemon to which our files are invisible, as to one on another machine."""
    return engine_url("CODABENCH_TEST_DOCKER_BLIND")


@pytest.fixture(scope="session")
def podman_url() -> str:
    """The Podman service of who we are: root's, or the rootless one of an ordinary user."""
    return engine_url("CODABENCH_TEST_PODMAN" if os.geteuid() == 0 else "CODABENCH_TEST_PODMAN_ROOTLESS")


@pytest.fixture(scope="session")
def rootless_podman_url() -> str:
    """The rootless Podman service, whoever we are."""
    return engine_url("CODABENCH_TEST_PODMAN_ROOTLESS")


@pytest.fixture(scope="session")
def test_image() -> str:
    """An image with Python, in every engine of the test bed."""
    return os.environ.get("CODABENCH_TEST_IMAGE", "codabench/test-python:1")


@pytest.fixture(scope="session")
def bundles(request: pytest.FixtureRequest) -> Path:
    """The folder given with ``--bundles``."""
    folder: Path | None = request.config.getoption("--bundles")
    if folder is None:
        pytest.skip("needs --bundles DIR")
    return folder.resolve()
