"""Links that work by themselves: what they open, for how long, and with whose key."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hosting_lab import zipped
from site_lab import QUICK, Clock, close_site, make_site, person
from upload_lab import ZIP, announced, fetched, sent, ticket_of

import codabench as cb
from codabench.core.errors import NotFound, Refused, UsageError
from codabench.core.trees import BlobRef
from codabench.site.links import file, media_type
from codabench.site.settings import SiteSettings
from codabench.site.site import Site
from codabench.storage.sources import open_source


def test_a_link_is_for_one_thing_one_verb_and_a_while(site: Site, clock: Clock) -> None:
    alice = person(site, "alice")
    first, second = sent(site, alice), announced(site, alice)
    down, up = site.datasets.download(alice, first.key), site.datasets.upload_url(alice, second.key)
    assert down.startswith("http://127.0.0.1:8000/files/")
    assert down.endswith("/wheat.zip")
    assert up.startswith("http://127.0.0.1:8000/uploads/")
    assert fetched(site, down) == ZIP
    for ticket, verb in [(ticket_of(up), "GET"), (ticket_of(down), "PUT"), (ticket_of(down)[:-1], "GET"), ("", "GET")]:
        with pytest.raises(Refused) as caught:
            site.links.open(ticket, verb)
        assert caught.value.code == "CB809"
    clock.forward(hours=1, seconds=1)
    with pytest.raises(Refused, match="time of this link"):
        site.links.download(ticket_of(down))
    assert site.links.open(ticket_of(up), "PUT") == {"upload": second.key}
    clock.forward(days=5)
    with pytest.raises(Refused, match="time of this link"):
        site.datasets.receive(ticket_of(up), [ZIP])


def test_a_link_to_a_data_set_ends_with_it(site: Site) -> None:
    alice = person(site, "alice")
    made = sent(site, alice)
    url = site.datasets.download(alice, made.key)
    site.datasets.delete(alice, made.key)
    with pytest.raises(NotFound):
        site.links.download(ticket_of(url))


def test_files_of_runs_have_links(site: Site, tmp_path: Path) -> None:
    storage = site.workspace.storage
    log = storage.put(b"hello\n")
    (tmp_path / "out.zip").write_bytes(zipped({"scores.json": b"{}"}))
    with open_source(tmp_path / "out.zip") as tree:
        output = storage.put_tree(tree)
    page = site.links.url("GET", file(storage.put(b"<p>"), "detailed_results.html"), 60)
    assert fetched(site, page) == b"<p>"
    assert site.links.download(ticket_of(page)).type == "text/html; charset=utf-8"
    assert fetched(site, site.links.url("GET", file(log, "scoring_stdout.txt"), 60)) == b"hello\n"
    assert (
        fetched(site, site.links.url("GET", file(output, "a/b/output.zip"), 60)) == (tmp_path / "out.zip").read_bytes()
    )
    assert site.links.url("GET", file(output, 'ü "x"\r\n.zip'), 60).endswith("/%C3%BC%20%22x%22%0D%0A.zip")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.zip", "application/zip"),
        ("A.CSV", "text/csv; charset=utf-8"),
        ("x.svg", "image/svg+xml"),
        ("x.xhtml", "application/octet-stream"),
        ("x.js", "application/octet-stream"),
        ("html", "application/octet-stream"),
    ],
)
def test_types_are_ours(name: str, kind: str) -> None:
    assert media_type(name) == kind


# ---------------------------------------------------------------------- the key (security.md W07)
def test_the_key_is_made_beside_the_storage_for_its_owner_only(tmp_path: Path) -> None:
    url = []
    for _ in range(2):
        ws = cb.Workspace(tmp_path / "lab", backend="process", dispatch=False)
        site = Site(ws, SiteSettings.model_validate(QUICK))
        url.append(site.links.url("GET", file(BlobRef(sha256="0" * 64, size=1), "x")))
        assert site.links.open(ticket_of(url[0]), "GET")["size"] == 1
        close_site(site)
    key = tmp_path / "lab" / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes().strip() not in b"".join(p.read_bytes() for p in (tmp_path / "lab").glob("codabench.db*"))


def test_a_key_that_others_read_stops_everything(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef" * 4)
    (tmp_path / "key").chmod(0o640)
    site = make_site(clock, secret_file=tmp_path / "key")
    with pytest.raises(UsageError, match="others can read") as caught:
        site.links.url("GET", {"name": "x"})
    assert caught.value.code == "CB822"
    close_site(site)


def test_a_storage_elsewhere_needs_a_place_for_the_key(tmp_path: Path) -> None:
    ws = cb.Workspace("memory://links", db="sqlite://", backend="process", dispatch=False)
    with Site(ws, SiteSettings.model_validate(QUICK)) as site, pytest.raises(UsageError, match="secret_file"):
        site.links.url("GET", {"name": "x"})
    with Site(ws, SiteSettings.model_validate({**QUICK, "secret_file": tmp_path / "key"})) as site:
        assert ticket_of(site.links.url("GET", {"name": "x"}))
    ws.close()
