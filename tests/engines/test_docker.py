"""The Docker engine keeps the contract of engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codabench.backends.docker import DockerEngine
from codabench.testing import EngineContract

pytestmark = [pytest.mark.engine, pytest.mark.docker]


class TestDocker(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls, docker_url: str) -> Callable[[], DockerEngine]:
        return lambda: DockerEngine(docker_url)

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls, test_image: str) -> str:
        return test_image

    @pytest.fixture(scope="class")
    @classmethod
    def entrypoint_image(cls, test_image: str) -> str:
        return test_image.replace("test-python", "test-entrypoint")
