"""The pool of this host keeps the contract of backends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from codabench.backends.local import LocalBackend
from codabench.backends.process import ProcessEngine
from codabench.testing import BackendContract


class TestLocalBackend(BackendContract):
    @pytest.fixture
    def make_backend(self) -> Callable[[int], LocalBackend]:
        return lambda jobs: LocalBackend(ProcessEngine(), jobs=jobs)
