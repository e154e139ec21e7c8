"""What a third party needs to prove that its engine or backend keeps the promises of this library.

Subclass `EngineContract` or `BackendContract` in a test module, provide the fixtures that their docstrings name, and
run pytest, which is not a dependency of codabench.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(
        f"codabench.testing.{name}"
        for name in ("backend", "bench", "endings", "files", "isolation", "keeping", "output")
    )
)

from codabench.testing.backend import BackendContract  # noqa: E402 - asserts are rewritten from here on
from codabench.testing.engine import EngineContract  # noqa: E402

__all__ = ["BackendContract", "EngineContract"]
