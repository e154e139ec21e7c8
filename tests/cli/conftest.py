"""The tiny competitions are those of the tests of workspaces."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workspace"))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A workspace with submissions that nobody changes."""
    from cli_lab import made_lab

    yield from made_lab(tmp_path_factory.mktemp("lab"))
