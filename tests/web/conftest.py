"""A site for each test, and a browser that is signed in nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

# The people, clocks and tiny competitions of other tests.
sys.path += [str(Path(__file__).parent.parent / other) for other in ("site", "workspace")]

from site_lab import Clock, close_site, make_site
from web_lab import browser

from codabench.site.site import Site


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(clock: Clock) -> Iterator[Site]:
    made = make_site(clock)
    yield made
    close_site(made)


@pytest.fixture
def client(site: Site) -> Iterator[TestClient]:
    """A browser that nobody has signed in with."""
    with browser(site) as made:
        yield made
