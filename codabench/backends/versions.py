"""Versions that two machines of a cluster compare."""

from __future__ import annotations

import importlib.metadata
import platform

from codabench._version import __version__

PACKAGES = ("pydantic", "distributed", "fsspec", "s3fs")
"""What crosses between machines goes through them."""


def versions() -> dict[str, str]:
    """Of this library, of Python and of what both sides of a wire should have alike."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"codabench": __version__, "python": platform.python_version(), **found}
