"""Every page that links lead to: no serious fault of accessibility, light and dark, wide and narrow.

A button that no test presses, whose effect it shows through the REST API, fails here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_lab import FACTS, Button, Person, Served, answer, buttons, known_as

Sit = Callable[..., Person]

BY_SCRIPT: dict[Button, str] = {
    ("SCRIPT", "", "Copy"): "test_scripts_copy_and_tick",
    ("SCRIPT", "", "Stop"): "test_an_upload_is_stopped",
}
"""Buttons that do nothing to the site."""

_VARIED = ("part", "tab")
"""Parameters that make another page."""


_RULES = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
"""What may be otherwise in other colours, or where there is less room."""
LOOKS: tuple[tuple[Literal["light", "dark"], int, dict[str, Any]], ...] = (
    ("light", 1280, {}),
    ("dark", 390, {"runOnly": _RULES}),
)
LOOK = """async options => {
    const found = (await axe.run(options)).violations.filter(each => ['serious', 'critical'].includes(each.impact));
    const root = document.documentElement;
    return [root.scrollWidth - root.clientWidth,
        found.map(each => `${each.id}: ${each.nodes.slice(0, 3).map(node => node.html.slice(0, 150))}`)];
}"""


# ---------------------------------------------------------------------- what there is
class World:
    """A site with something of everything, and those who look at it."""

    def __init__(self, served: Served) -> None:
        self.root = served.somebody("root", is_superuser=True)
        self.paul = served.somebody("paul")
        waits = served.somebody("wait")
        self.number = served.competition(self.root, FACTS, tasks="0, 1")
        hidden = served.competition(self.root, "auto_run_submissions: false\n")
        served.take_part(self.paul, self.number)
        served.take_part(self.paul, hidden)
        served.site.registrations.register(waits, served.id(self.number))
        sheet = {"fact_sheet": {"method": "luck"}}
        shown = served.submit(self.paul, self.number, answer(1), **sheet)
        served.submit(self.paul, self.number, answer(2), **sheet)
        served.site.submissions.put_on_board(self.paul, shown)
        served.submit(self.paul, hidden, wait=False)
        job = served.site.competitions.dump(self.root, served.id(self.number))
        served.site.jobs.wait(self.root, job.id)
        self.more = [
            "/accounts/signup/", "/accounts/resend_activation/", "/accounts/password_reset/", "/accounts/delete/",
            "/accounts/tokens/", "/accounts/sessions/", f"/jobs/{job.id}/", "/nothing/",
            f"/competitions/{self.number}/detailed_results/{shown + 1}/", "/datasets/cleanup/tasks/",
        ]  # fmt: skip
        self.visitor_more = [f"/competitions/{self.number}/submissions/", *self.more[:3]]
        served.uploaded(self.root, "public_data", b"1\n", "wheat.csv", is_public=True)


@pytest.fixture(scope="module")
def world(served: Served) -> World:
    return World(served)


def page_of(url: str) -> str:
    """Which page an address is of: numbers do not matter, and few parameters do."""
    parts = urlsplit(url)
    said = "&".join(f"{name}={value}" for name, value in parse_qsl(parts.query) if name in _VARIED)
    return known_as(["GET", parts.path, ""])[1] + (f"?{said}" if said else "")


_NO_PAGES = re.compile(
    r"^/(api/|files/|static/|datasets/download/)|\.(csv|json|zip|svg|txt)$|/download/$|/(logo|photo)/$"
)


def crawl(me: Person, begin: list[str], below: str = "/") -> Iterator[str]:
    """Every page that links lead to, once; the browser is on it.

    Parameters
    ----------
    below
        Links to other pages are not followed.
    """
    ahead, known = list(begin), {page_of(each) for each in begin}
    while ahead:
        me.page.goto(ahead.pop(0))
        yield page_of(me.page.url)
        for href in me.page.locator("a[href]").evaluate_all("links => links.map(link => link.href)"):
            url = href.removeprefix(me.served.url)
            if not url.startswith(below) or _NO_PAGES.search(urlsplit(url).path) or page_of(url) in known:
                continue
            known.add(page_of(url))
            ahead.append(url.partition("#")[0])


# ---------------------------------------------------------------------- the tests that press them
def pressed() -> dict[Button, str]:
    """Each button that a test of this folder is marked with, and the test."""
    found: dict[Button, str] = dict(BY_SCRIPT)
    for file in sorted(Path(__file__).parent.glob("test_browser_*.py")):
        tree = ast.parse(file.read_text())
        names = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for test in tree.body:
            if not isinstance(test, ast.FunctionDef):
                continue
            for mark in test.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.presses":
                    for each in mark.args:
                        if isinstance(each, ast.Tuple):
                            words = [names[w.id] if isinstance(w, ast.Name) else ast.literal_eval(w) for w in each.elts]
                            found[words[0], words[1], words[2]] = f"{file.name}::{test.name}"
    return found


def is_known(button: Button, known: dict[Button, str]) -> bool:
    _, path, text = button
    return button in known or (path.startswith("/competitions/edit/N/") and text == "Save")


@pytest.mark.parametrize("who", ["visitor", "paul", "root"])
def test_every_page(served: Served, sit_down: Sit, world: World, who: str) -> None:
    actor = {"visitor": None, "paul": world.paul, "root": world.root}[who]
    me, axe, known = sit_down(actor), Axe().axe_script, pressed()
    faults: list[str] = []
    pages: set[str] = set()
    at = f"/competitions/{world.number}/"
    begin, below = {
        "visitor": (["/", *world.visitor_more], "/"),
        "paul": ([at], at),  # the others are as for everybody who is logged in
        "root": (["/", *world.more], "/"),
    }[who]
    for page in crawl(me, begin, below):
        if page in pages:
            continue
        pages.add(page)
        faults += [f"{page}: no test presses {each}" for each in buttons(me.page) if not is_known(each, known)]
        me.page.evaluate(axe)
        for colours, width, rules in LOOKS:
            me.page.emulate_media(color_scheme=colours)
            me.page.set_viewport_size({"width": width, "height": 800})
            wide, serious = me.page.evaluate(LOOK, {"preload": False, "resultTypes": ["violations"], **rules})
            faults += [f"{page} ({colours}): {each}" for each in serious]
            if wide > 0:
                faults.append(f"{page}: {wide} pixels too wide for {width}")
    assert not faults, "\n".join(faults)
    assert len(pages) >= {"visitor": 12, "paul": 9, "root": 50}[who], sorted(pages)


# ---------------------------------------------------------------------- what scripts add
def test_scripts_copy_and_tick(served: Served, sit_down: Sit, world: World) -> None:
    me = sit_down(world.root)
    me.context.grant_permissions(["clipboard-read", "clipboard-write"])
    me.open(f"/competitions/{world.number}/").page.get_by_role("button", name="Copy").first.click()
    me.page.get_by_role("button", name="Copied").first.wait_for()
    assert "secret_key=" in me.page.evaluate("navigator.clipboard.readText()")
    me.open(f"/competitions/{world.number}/manage/").page.get_by_label("Tick all").check()
    ticked = me.page.locator("tbody input[type=checkbox]").evaluate_all("boxes => boxes.map(box => box.checked)")
    assert ticked
    assert all(ticked)


def test_an_upload_is_stopped(served: Served, sit_down: Sit, world: World) -> None:
    me = sit_down(world.paul)
    before = len(served.site.submissions.list(world.paul, owner=world.paul.account))
    me.open(f"/competitions/{world.number}/submissions/")
    me.page.route("**/upload/**", lambda route: None)  # it never comes to an end
    me.fill("fact:method", "slow")
    me.fill("data", answer())
    me.page.get_by_role("button", name="Submit").click()
    me.page.get_by_role("progressbar", name="Upload").wait_for()
    me.page.get_by_role("button", name="Stop").click()
    me.page.get_by_text("Nothing was kept").wait_for()
    assert me.page.get_by_role("button", name="Submit").is_enabled()
    assert len(served.site.submissions.list(world.paul, owner=world.paul.account)) == before


def test_a_page_works_by_keyboard(served: Served, sit_down: Sit, world: World) -> None:
    me = sit_down(world.paul).open(f"/competitions/{world.number}/submissions/")
    me.page.keyboard.press("Tab")
    assert me.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    me.page.keyboard.press("Enter")
    seen = set()
    for _ in range(60):
        me.page.keyboard.press("Tab")
        seen.add(me.page.evaluate("(document.activeElement.textContent || document.activeElement.id).trim()"))
    assert {"Results", "Submit", "data"} <= seen, seen
