"""Files that travel with the package and lie elsewhere in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def packaged(inside: str, beside: str) -> Path:
    """Where such a file or folder is: `inside` the package once it is installed, `beside` it in a checkout."""
    packed = _PACKAGE / inside
    return packed if packed.exists() else _PACKAGE.parent / beside
