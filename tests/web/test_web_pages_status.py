"""Where submissions run, figures, what nothing needs, and a site that is closed for a while."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from board_lab import submitted
from hosting_lab import hosted, uploaded
from pages_lab import Browser
from site_lab import PASSWORD, QUICK, Clock, close_site, person
from submission_lab import competition
from web_lab import robot

import codabench as cb
from codabench.core.competition import DataRole
from codabench.site.actors import Actor
from codabench.site.settings import SiteSettings
from codabench.site.site import Site

NAMES = ("alice", "bobby")


@pytest.fixture
def root(site: Site) -> Actor:
    return person(site, "admin1", is_superuser=True, password=PASSWORD)


@pytest.fixture
def me(site: Site, root: Actor) -> Browser:
    return Browser(site, root)


def test_everybody_finds_what_is_theirs(site: Site, me: Browser) -> None:
    alice, bob, carol = (person(site, name) for name in ("alice", "bobby", "carol"))
    id = competition(site, alice, bob, carol)
    for who in (bob, carol):
        submitted(site, id, who)
    shown = Browser(site, bob).open("/server_status")
    assert shown.path == "/server_status/"
    assert shown.text.count("<tr>") == 2
    assert "bobby" in shown.words
    assert "carol" not in shown.words
    for actor in (alice, None):
        seen = Browser(site, actor).open("/server_status/") if actor else me.open("/server_status/")
        assert all(name in seen.words for name in ("bobby", "carol"))
    assert me.press("Show", children="on").text.count("<small>of ") == 4
    assert "Nothing was submitted" in Browser(site, person(site, "mallory")).open("/server_status/").words
    assert Browser(site).open("/server_status/").path == "/accounts/login/"


def test_figures(site: Site, me: Browser) -> None:
    alice = person(site, "alice")
    submitted(site, hosted(site, alice, published=True), alice)
    today = datetime.now(UTC).date()  # submissions are written down by the clock of the machine
    me.open("/admin/").follow("Figures").press("Show", until=today)
    assert "What came" in me.words
    assert '<svg class="bars"' in me.text
    me.press("Show", since="2026-03-01", until="2026-03-02", every="day")
    assert me.text.count("<td>2026-03-0") == 2
    table = me.client.get("/analytics/use.csv?since=2026-03-01&until=2026-03-01&every=day").text
    assert table.splitlines()[1] == "2026-03-01,2,1,1,0"
    for by in ("competition", "user"):
        assert me.client.get(f"/analytics/storage_{by}.csv").text.startswith("Name,Data")
    assert me.press("Show", since="2026-03-02", until="2026-03-01").status == 400
    assert "Choose a day after" in me.words
    assert me.open("/analytics/?since=yesterday").status == 400


def test_what_nothing_needs_is_removed(tmp_path: Path, clock: Clock) -> None:
    ws = cb.Workspace(tmp_path / "lab", backend="process", dispatch=False)
    site = Site(ws, SiteSettings.model_validate(QUICK), now=clock)
    me = Browser(site, person(site, "admin1", is_superuser=True))
    gone, kept = (uploaded(site, person(site, name), name.encode(), role=DataRole.INPUT_DATA) for name in NAMES)
    site.db.drop_datasets([gone.key], at=clock())
    blobs = [path for path in (tmp_path / "lab" / "blobs").rglob("*") if path.is_file()]
    for path in blobs:
        os.utime(path, (0, 0))  # written long ago
    me.open("/admin/").follow("Look for them")
    assert "Remove 1 thing that nothing needs?" in me.words
    assert all(path.exists() for path in blobs), "looking removes nothing"
    me.press("Remove them")
    assert "1 thing removed" in me.words
    assert kept.blob is not None
    assert [path.name for path in blobs if path.exists()] == [kept.blob.sha256]
    close_site(site)


@pytest.mark.row("W01", "W18")
def test_nobody_else_sees_figures_or_closes_the_site(site: Site) -> None:
    for actor in (person(site, "alice"), person(site, "staff1", is_staff=True)):
        other = Browser(site, actor)
        csrf = dict(other.open("/about/").form("Log out")[0].fields)["csrf"]
        for page in ("/analytics/", "/analytics/use.csv", "/analytics/storage_user.csv", "/admin/orphans/"):
            assert other.client.get(page).status_code == 403, page
        for press in ("/admin/maintenance/", "/admin/orphans/"):
            assert other.client.post(press, data={"csrf": csrf, "closed": "on"}).status_code == 403
        assert other.open("/").status == 200


def test_a_closed_site_lets_in_those_who_look_after_it(site: Site, me: Browser) -> None:
    alice = person(site, "alice", password=PASSWORD)
    other, program, nobody = Browser(site, alice), robot(site, alice), Browser(site)
    me.open("/admin/").press("Close the site", text="Back at <noon>")
    assert "Only those who look after" in me.words
    for browser in (other, nobody, Browser(site, alice)):
        # Others may take two seconds to hear of it; these have not asked before.
        assert browser.open("/competitions/public/").status == 503
        assert "Back at &lt;noon&gt;" in browser.text
    assert int(nobody.answer.headers["retry-after"]) > 0
    answer = program.get("/api/competitions/")
    assert (answer.status_code, answer.json()["detail"]) == (503, "Back at <noon>")
    assert me.open("/competitions/public/").status == 200
    nobody.open("/accounts/login/").press("Log in", username="alice", password=PASSWORD)
    assert nobody.status == 503
    entering = Browser(site).open("/accounts/login/")
    assert entering.press("Log in", username="admin1", password=PASSWORD).status == 200
    me.open("/admin/").press("Open the site again")
    assert Browser(site).open("/").status == 200
