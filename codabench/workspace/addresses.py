"""Where the files and the database of a workspace are."""

from __future__ import annotations

import os
from pathlib import Path

FORGETFUL = ("sqlite://", "sqlite:///:memory:")
"""Databases that are gone with the process."""


def plain_url(url: str | os.PathLike[str]) -> str:
    """A path without ``file://``; another URL as it is."""
    return os.fspath(url).removeprefix("file://")


def usual_database(url: str) -> str:
    """A file beside the storage if that is a local directory, else in memory."""
    return "sqlite://" if "://" in url else f"sqlite:///{Path(url).absolute() / 'codabench.db'}"
