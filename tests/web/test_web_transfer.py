"""Files in and out by links that work by themselves."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import anyio
import httpx
import pytest
from site_lab import Clock, person
from starlette.testclient import TestClient
from upload_lab import ZIP, announced, sent
from web_lab import browser

from codabench.core.trees import BlobRef
from codabench.site import links
from codabench.site.actors import Actor
from codabench.site.site import Site
from codabench.web import security, transfer
from codabench.web.security import SANDBOX
from codabench.web.transfer import disposition


@pytest.fixture
def alice(site: Site) -> Actor:
    return person(site, "alice")


def upload_url(site: Site, actor: Actor, data: bytes = ZIP, **more: object) -> tuple[str, str]:
    made = announced(site, actor, data, **more)  # type: ignore[arg-type]
    return made.key, site.datasets.upload_url(actor, made.key)


def file_url(site: Site, data: bytes, name: str = "data.bin", seconds: float = 60) -> str:
    return site.links.url("GET", links.file(site.workspace.storage.put(data), name), seconds)


# ---------------------------------------------------------------------- in
def test_an_upload_is_answered_200_and_is_there(site: Site, client: TestClient, alice: Actor) -> None:
    key, url = upload_url(site, alice)
    answer = client.put(url, content=ZIP, headers={"content-type": "application/zip"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert site.datasets.get(alice, key).content is not None
    again = client.put(url, content=ZIP, headers={"content-type": "application/zip"})
    assert again.status_code == 200, "who did not hear the answer sends it again"


def test_no_length_has_to_be_said(site: Site, client: TestClient, alice: Actor) -> None:
    key, url = upload_url(site, alice)
    assert client.put(url, content=(bytes([byte]) for byte in ZIP)).status_code == 200
    assert site.datasets.get(alice, key).content is not None


def test_it_may_be_larger_than_other_requests(site: Site, client: TestClient, alice: Actor) -> None:
    data = b"x" * (20 * 1024**2)
    key, url = upload_url(site, alice, data, role="public_data", file_name="large.bin")
    assert client.put(url, content=data).status_code == 200
    assert site.datasets.content(key).size == len(data)


@pytest.mark.row("W10")
@pytest.mark.parametrize(
    ("sends", "headers"),
    [
        (ZIP + b"x", {}),
        (ZIP[:-1], {}),
        (iter([ZIP, b"more"]), {}),
        (iter([ZIP[:-1]]), {}),
        (ZIP, {"content-type": "text/html"}),
        (ZIP[:-1], {"content-length": str(len(ZIP))}),
    ],
)
def test_what_was_not_announced_is_not_taken(
    site: Site, client: TestClient, alice: Actor, sends: bytes | Iterator[bytes], headers: dict[str, str]
) -> None:
    key, url = upload_url(site, alice)
    answer = client.put(url, content=sends, headers=headers)
    assert answer.status_code == 400
    assert answer.json().keys() == {"file"}
    assert site.datasets.get(alice, key).content is None


@pytest.mark.row("G01")
def test_a_link_is_for_one_thing_one_verb_and_a_while(
    site: Site, client: TestClient, alice: Actor, clock: Clock
) -> None:
    _, url = upload_url(site, alice)
    other = file_url(site, b"x")
    wrong = [
        url[:-1],
        url + "x",
        url.replace("/uploads/", "/uploads/x"),
        other.replace("/files/", "/uploads/").rsplit("/", 1)[0],
        f"{site.settings.url}/uploads/x.y",
    ]
    for each in wrong:
        refused = client.put(each, content=ZIP)
        assert (refused.status_code, refused.json()["code"]) == (403, "CB809"), each
    assert client.get(url.replace("/uploads/", "/files/") + "/x").status_code == 403
    assert client.get(url).status_code == 405
    clock.forward(days=5, seconds=1)
    assert client.put(url, content=ZIP).status_code == 403


@pytest.mark.row("W09")
def test_an_upload_of_which_nothing_comes_is_given_up(
    site: Site, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "STALLED", 0.05)
    key, url = upload_url(site, alice)
    app = browser(site).app

    async def slowly() -> object:
        yield ZIP[:10]
        await anyio.sleep(5)

    async def scenario() -> None:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=site.settings.url) as client:
            answer = await client.put(url, content=slowly())  # type: ignore[arg-type]
            assert answer.status_code == 408

    anyio.run(scenario)
    assert site.datasets.get(alice, key).content is None


# ---------------------------------------------------------------------- out
def test_a_download_gives_the_very_bytes(site: Site, client: TestClient, alice: Actor) -> None:
    dataset = sent(site, alice)
    answer = client.get(site.datasets.download(alice, dataset.key))
    assert answer.content == ZIP
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-length"] == str(len(ZIP))
    assert answer.headers["content-disposition"].startswith('attachment; filename="wheat.zip"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    head = client.head(site.datasets.download(alice, dataset.key))
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(ZIP)))


DATA = b"".join(n.to_bytes(2, "big") for n in range(1280))


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, DATA[:10]),
        ("bytes=100-", 206, DATA[100:]),
        ("bytes=-10", 206, DATA[-10:]),
        ("bytes=2000-99999", 206, DATA[2000:]),
        ("bytes=-99999", 206, DATA),
        ("bytes = 5-5", 206, DATA[5:6]),
        ("bytes=2560-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=9-5", 200, DATA),
        ("bytes=0-1,5-6", 200, DATA),
        ("lines=0-1", 200, DATA),
        ("bytes=-", 200, DATA),
        ("bytes=x", 200, DATA),
    ],
)
def test_parts_of_files(
    site: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch, asked: str, status: int, part: bytes
) -> None:
    monkeypatch.setattr(transfer, "CHUNK", 100)
    answer = client.get(file_url(site, DATA), headers={"range": asked})
    assert (answer.status_code, answer.content) == (status, part)
    if status == 206:
        start = DATA.index(part)
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(part) - 1}/{len(DATA)}"
    elif status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


def test_files_are_closed(site: Site, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[BinaryIO] = []
    before = site.workspace.storage.open

    def kept(ref: BlobRef) -> BinaryIO:
        opened.append(before(ref))
        return opened[-1]

    monkeypatch.setattr(site.workspace.storage, "open", kept)
    url = file_url(site, DATA)
    client.get(url)
    client.head(url)
    client.get(url, headers={"range": "bytes=-0"})
    assert [each.closed for each in opened] == [True] * 3


@pytest.mark.row("H01", "H02", "H08")
@pytest.mark.parametrize(
    ("name", "kind", "way"),
    [
        ("detailed_results.html", "text/html; charset=utf-8", "inline"),
        ("plot.png", "image/png", "inline"),
        ("plot.svg", "image/svg+xml", "inline"),
        ("log.txt", "text/plain; charset=utf-8", "attachment"),
        ("page.xhtml", "application/octet-stream", "attachment"),
        ("script.js", "application/octet-stream", "attachment"),
        ("page.html.bin", "application/octet-stream", "attachment"),
    ],
)
def test_what_people_wrote_is_shown_where_it_can_do_nothing(
    site: Site, client: TestClient, name: str, kind: str, way: str
) -> None:
    answer = client.get(file_url(site, b"<script>alert(1)</script>", name))
    assert answer.headers["content-security-policy"] == SANDBOX
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"].startswith(f"{way};")
    assert "x-frame-options" not in answer.headers, "a page of this site has it in a frame"


@pytest.mark.row("W11")
@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%00", "....//", "%2e%2e%5c%2e%2e", "C:%5cx", "other.html"])
def test_the_name_in_the_path_says_nothing(site: Site, client: TestClient, name: str) -> None:
    url = file_url(site, b"data").rsplit("/", 1)[0]
    answer = client.get(f"{url}/{name}")
    if answer.status_code == 200:
        assert answer.content == b"data"
        assert "data.bin" in answer.headers["content-disposition"]
        assert answer.headers["content-type"] == "application/octet-stream"
    else:
        assert answer.status_code == 404


@pytest.mark.row("H07")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.zip", "attachment; filename=\"a.zip\"; filename*=UTF-8''a.zip"),
        ("é ü.zip", "attachment; filename=\"_ _.zip\"; filename*=UTF-8''%C3%A9%20%C3%BC.zip"),
        ('a"; x="b', "attachment; filename=\"a; x=b\"; filename*=UTF-8''a%3B%20x%3Db"),
        ("a\r\nSet-Cookie: x=y", "attachment; filename=\"aSet-Cookie: x=y\"; filename*=UTF-8''aSet-Cookie%3A%20x%3Dy"),
        ("../../etc", "attachment; filename=\"....etc\"; filename*=UTF-8''....etc"),
        ("\u202egpj.exe", "attachment; filename=\"gpj.exe\"; filename*=UTF-8''gpj.exe"),
        ("\udcff", "attachment; filename=\"file\"; filename*=UTF-8''file"),
    ],
)
def test_names_say_nothing_but_a_name(name: str, said: str) -> None:
    assert disposition(name) == said


def test_people_with_an_old_link_are_shown_a_page(site: Site, client: TestClient, clock: Clock) -> None:
    url = file_url(site, b"x", seconds=1)
    clock.forward(seconds=2)
    answer = client.get(url)
    assert (answer.status_code, "<h1>Not allowed</h1>" in answer.text) == (403, True)


def test_bytes_that_were_changed_are_not_sent_whole(site: Site) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("changed")

    with pytest.raises(OSError, match="changed"):
        list(transfer._pieces(Broken(b"x"), range(1)))
