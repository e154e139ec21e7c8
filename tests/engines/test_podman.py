"""The Podman engine, root's or rootless, keeps the contract of engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codabench.backends.podman import PodmanEngine
from codabench.testing import EngineContract

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
