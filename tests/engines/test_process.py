"""The process engine keeps the contract of engines, and says what it does not enforce."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codabench.backends.process import ProcessEngine
from codabench.testing import EngineContract


class TestProcess(EngineContract):
    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], ProcessEngine]:
        return ProcessEngine

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls) -> str:
        return "any:1"
