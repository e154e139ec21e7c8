"""A site for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from site_lab import Clock, close_site, make_site

from codabench.site.site import Site


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(clock: Clock) -> Iterator[Site]:
    made = make_site(clock)
    yield made
    close_site(made)
