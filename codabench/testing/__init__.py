"""What a third party needs to prove that its engine or backend keeps the promises of this library.

Subclass `EngineContract` or `BackendContract` in a test module, provide the fixtures that their docstrings name, and
run pytest, which is not a dependency of codabench. `codabench.testing.attacks` needs none: users run it, too.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codabench.testing.backend import BackendContract
    from codabench.testing.engine import EngineContract

__all__ = ["BackendContract", "EngineContract"]

_HOMES = {"BackendContract": "backend", "EngineContract": "engine"}

if (pytest := sys.modules.get("pytest")) is not None:  # asserts in these modules are rewritten for tests
    pytest.register_assert_rewrite(
        *(
            f"{__name__}.{name}"
            for name in ("backend", "bench", "endings", "engine", "files", "isolation", "keeping", "output")
        )
    )


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
