"""The Podman engine, root's or rootless, keeps the contract of engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from codabench.backends.podman import PodmanEngine
from codabench.testing import EngineContract
from codabench.testing.bench import Bench

pytestmark = [pytest.mark.engine, pytest.mark.podman]


class TestPodman(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls, podman_url: str) -> Callable[[], PodmanEngine]:
        return lambda: PodmanEngine(podman_url)

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
        # With version 1 of cgroups Podman may say of no program that it ran out of memory.
        assert set(bench.info.reasons) - {"memory_report"} == set(engine.facts.unenforced) - {"memory_report"}
