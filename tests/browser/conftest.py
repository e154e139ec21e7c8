"""Chromium, a served site for all tests of a process, and the check that tests press the buttons they say."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(
    str(Path(__file__).parent.parent / "site")
)  # its people and its mail server are those of the tests there

if TYPE_CHECKING:
    from browser_lab import Person, Served
    from playwright.sync_api import Browser

OPTIONS = (
    "--no-sandbox",  # it may run as root, and opens nothing but our own pages
    "--disable-dev-shm-usage",  # it is small where there are containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "presses(*buttons): (verb, address, text) of each button whose effect is shown")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="module")  # while it is there, nothing else has an event loop of its own in this process
def chromium(chromium_program: str) -> Iterator[Browser]:
    """The browser of the system."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_program, headless=True, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site that is served; tests make people and competitions of their own on it."""
    from browser_lab import serving

    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def sit_down(request: pytest.FixtureRequest, chromium: Browser, served: Served) -> Iterator[Callable[..., Person]]:
    """Somebody sits down in front of a browser. In the end, every button was pressed that the test is marked with."""
    from browser_lab import Person

    pressed: set[Any] = set()
    people: list[Person] = []

    def sit(actor: Any = None, **more: Any) -> Person:
        people.append(Person(served, chromium, actor, pressed, **more))
        return people[-1]

    yield sit
    for each in people:
        each.close()
    said = {tuple(button) for marker in request.node.iter_markers("presses") for button in marker.args}
    if not request.node.stash.get(FAILED, True):
        assert said <= pressed, f"not pressed: {said - pressed}; pressed: {pressed - said}"
