"""REST, pages and live events over a `Site`. Never a query, a rule, a thread.

>>> from codabench.web import Settings, create_app
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codabench.web.app import create_app
    from codabench.web.config import Settings

__all__ = ["Settings", "create_app"]


def __getattr__(name: str) -> Any:
    """What `__all__` names, when it is first asked for: most modules of this package need only a few of the others."""
    if name == "create_app":
        from codabench.web.app import create_app

        return create_app
    if name == "Settings":
        from codabench.web.config import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
