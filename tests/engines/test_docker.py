"""The Docker engine keeps the contract of engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from codabench.backends.docker import DockerEngine
from codabench.testing import EngineContract
from codabench.testing.bench import Bench

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

    def test_everything_is_enforced_that_this_host_can(self, bench: Bench) -> None:
        """The contract takes an engine at its word about what it does not enforce. Ours have no such excuse: a defence
        that was lost is found here."""
        assert bench.isolated
        engine: Any = bench.engine
        assert set(bench.info.reasons) == set(engine.facts.unenforced)
