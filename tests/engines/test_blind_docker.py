"""A daemon that does not see our files: trees go in and out through volumes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codabench.backends.docker import DockerEngine
from codabench.testing import EngineContract
from codabench.testing.bench import Bench

pytestmark = [pytest.mark.engine, pytest.mark.docker, pytest.mark.once]


class TestBlindDocker(EngineContract):
    open_network = False  # this daemon has no bridge

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls, blind_docker_url: str) -> Callable[[], DockerEngine]:
        return lambda: DockerEngine(blind_docker_url)

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls, test_image: str) -> str:
        return test_image

    @pytest.fixture(scope="class")
    @classmethod
    def entrypoint_image(cls, test_image: str) -> str:
        return test_image.replace("test-python", "test-entrypoint")

    def test_it_is_blind(self, bench: Bench) -> None:
        assert not bench.info.sees_files
