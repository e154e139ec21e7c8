"""The sandbox keeps the contract of engines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codabench.backends.sandbox import SandboxEngine
from codabench.testing import EngineContract

pytestmark = pytest.mark.engine


class TestSandbox(EngineContract):
    new_privileges = False

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], SandboxEngine]:
        return lambda: SandboxEngine(host_network=True)

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls) -> str:
        return "host"
