"""Zips at URLs: only what is needed is fetched, one version is read, and what goes wrong is said in words.

The server is one of our own, with faults on demand; tests/storage has the same with a real S3 server.
"""

from __future__ import annotations

import dataclasses
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from codabench.core.errors import ArchiveError, BundleError, SourceUnavailable, StorageError
from codabench.storage.ranges import stream_of
from codabench.storage.remote import WHOLE, RemoteFile, whole
from codabench.storage.sources import ArchiveLimits, TreeSource, manifest, open_source, zip_in

BIG = 24 << 20


@dataclasses.dataclass
class Web:
    """What the server has and how it behaves; what was asked of it."""

    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    ranges: bool = True
    tag: bool = True
    cut: int | None = None
    status: int | None = None
    asked: list[str] = dataclasses.field(default_factory=list)
    sent: int = 0
    url: str = ""


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            data = state.files.get(self.path)
            wanted = self.headers.get("Range")
            state.asked.append(f"{self.command} {wanted or ''}".strip())
            if state.status or data is None:
                self.send_response(state.status or 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            tag, part = str(hash(data)), data
            if wanted and state.ranges:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                part = data[int(first) : int(last) + 1]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(part)))
            if state.tag:
                self.send_header("ETag", f'"{tag}"')
            self.end_headers()
            if body:
                part = part[: state.cut]
                state.sent += len(part)
                self.wfile.write(part)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}/x.zip"
        yield state
        server.shutdown()
        thread.join()


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


FILES = {"first.txt": b"1", "big.bin": bytes(range(256)) * (BIG // 256), "last.txt": b"2"}


def content(tree: TreeSource) -> dict[str, bytes]:
    return {entry.path: tree.read_bytes(entry.path) for entry in tree.entries()}


def test_of_a_large_zip_only_what_is_read_is_fetched(web: Web) -> None:
    web.files["/x.zip"] = zip_of(FILES)
    with open_source(web.url) as tree:
        assert tree.far
        assert [e.path for e in tree.entries()] == sorted(FILES)
        assert tree.read_bytes("last.txt") == b"2"
        assert web.sent < 200_000 < WHOLE < BIG
        assert content(tree) == FILES
    assert web.sent < BIG + 1_000_000


def test_reading_on_takes_few_requests(web: Web) -> None:
    web.files["/x.zip"] = zip_of(FILES)
    with open_source(web.url) as tree, tree.open("big.bin") as file:
        web.asked.clear()
        while file.read(1000):
            pass
    assert sum(asked.startswith("GET") for asked in web.asked) <= 4 + BIG // (4 << 20) + 1


def test_a_small_zip_is_fetched_at_once(web: Web) -> None:
    web.files["/x.zip"] = zip_of({"a": b"1", "b": b"2"})
    with open_source(web.url) as tree:
        assert not tree.far
        assert content(tree) == {"a": b"1", "b": b"2"}
    assert sum(asked.startswith("GET") for asked in web.asked) == 1


@pytest.mark.parametrize("without", ["ranges", "tag"])
def test_a_server_that_sends_whole_files_only_or_no_tag(web: Web, without: str) -> None:
    """Without a tag nobody could say whether two parts are of one version."""
    setattr(web, without, False)
    web.files["/x.zip"] = zip_of(FILES)
    with open_source(web.url) as tree:
        assert not tree.far
        assert content(tree) == FILES


def test_a_zip_in_the_zip_is_read_where_it_lies(web: Web) -> None:
    web.files["/x.zip"] = zip_of({"in.zip": zip_of(FILES), "packed.bin": b"x"})
    with open_source(web.url) as tree, zip_in(tree, "in.zip") as inner:
        assert inner.read_bytes("last.txt") == b"2"
        assert web.sent < 300_000
        assert inner.read_bytes("big.bin") == FILES["big.bin"]


def test_what_is_stored_as_it_came_is_fetched_once(web: Web) -> None:
    web.files["/x.zip"] = zip_of(FILES)
    with open_source(web.url) as tree, whole(tree) as near:
        assert not near.far
        assert manifest(near)
        archive = near.archive
        assert archive is not None
        assert stream_of(archive).read() == web.files["/x.zip"]
    assert web.sent < BIG + 1_000_000


def test_an_archive_that_lies_is_found_when_it_is_read(web: Web) -> None:
    """Local headers are looked at when they are needed: what they say is not believed any more than elsewhere."""
    data = bytearray(zip_of(FILES))
    data[30:39] = b"other.txt"  # the name in front of the first entry
    web.files["/x.zip"] = bytes(data)
    with open_source(web.url) as tree:
        assert tree.read_bytes("last.txt") == b"2"
        with pytest.raises(ArchiveError, match="another name") as caught:
            tree.read_bytes("first.txt")
    assert caught.value.code == "CB024"


def test_entries_that_share_bytes_are_refused_there_too(web: Web) -> None:
    data = bytearray(zip_of(FILES))
    at = data.rindex(b"PK\1\2")
    data[at + 42 : at + 46] = bytes(4)  # the last entry begins where the first does
    web.files["/x.zip"] = bytes(data)
    with open_source(web.url) as tree, pytest.raises(ArchiveError) as caught:
        content(tree)
    assert caught.value.code == "CB024"


def test_the_limits_hold(web: Web) -> None:
    web.files["/x.zip"] = zip_of(FILES)
    for limits in (ArchiveLimits(archive_bytes=1000), ArchiveLimits(inflated_bytes=1000)):
        with pytest.raises(ArchiveError) as caught:
            open_source(web.url, limits=limits)
        assert caught.value.code == "CB029"


# ---------------------------------------------------------------------- what goes wrong
def refused(web: Web, code: str) -> SourceUnavailable:
    """Why the zip cannot be opened."""
    with pytest.raises(SourceUnavailable) as caught:
        open_source(web.url)
    check_words(caught.value, code)
    return caught.value


def check_words(error: SourceUnavailable, code: str) -> None:
    assert error.code == code
    assert isinstance(error, StorageError)
    assert isinstance(error, BundleError)
    assert "x.zip" in error.message
    assert error.hint
    assert error.report is not None
    assert [p.code for p in error.report] == [code]


@pytest.mark.parametrize(
    ("status", "code"), [(404, "CB021"), (401, "CB041"), (403, "CB041"), (500, "CB042"), (503, "CB042")]
)
def test_what_a_server_refuses(web: Web, status: int, code: str) -> None:
    web.status = status
    refused(web, code)


def test_a_server_that_is_down(web: Web) -> None:
    web.url = "http://127.0.0.1:9/x.zip"
    refused(web, "CB042")


@pytest.mark.parametrize(
    "url",
    [
        "http://[x.zip",
        "zip://a::http://127.0.0.1:9/x.zip",
        "ftp://127.0.0.1:9/x.zip",
        "none://x.zip",
        "http://x.zip\0/",
    ],
)
def test_what_is_no_sensible_url(url: str) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        open_source(url)
    check_words(caught.value, caught.value.code)


def test_all_of_a_server_is_no_bundle() -> None:
    with pytest.raises(SourceUnavailable, match="traverse") as caught:
        open_source("s3://", storage_options={"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"})
    assert caught.value.code == "CB021"


@pytest.mark.parametrize("size", [1000, BIG])
def test_an_answer_that_breaks_off(web: Web, size: int) -> None:
    web.files["/x.zip"] = zip_of({"a": bytes(size)})
    web.cut = 500
    refused(web, "CB043")


def test_a_whole_file_that_breaks_off(web: Web) -> None:
    web.files["/x.zip"] = zip_of(FILES)
    web.cut, web.ranges = 5 << 20, False
    refused(web, "CB043")


def test_a_file_that_is_replaced_between_two_readings(web: Web) -> None:
    web.files["/x.zip"] = zip_of(FILES)
    with open_source(web.url) as tree:
        web.files["/x.zip"] = zip_of({**FILES, "last.txt": b"3"})
        with pytest.raises(SourceUnavailable, match="replaced") as caught:
            tree.read_bytes("first.txt")
    check_words(caught.value, "CB044")


def test_without_the_tag_two_versions_would_be_mixed(web: Web) -> None:
    """The twin: what is prevented does happen where nobody looks."""
    web.files["/x.zip"] = zip_of(FILES)
    with open_source(web.url) as tree:
        file = tree._file  # type: ignore[attr-defined]
        assert isinstance(file, RemoteFile)
        file._stamp = None
        old, web.files["/x.zip"] = web.files["/x.zip"], zip_of({**FILES, "first.txt": b"3"})
        assert file.pread(100, 0) == web.files["/x.zip"][:100] != old[:100]


def test_the_server_goes_away_while_it_is_read(web: Web) -> None:
    web.files["/x.zip"] = zip_of(FILES)
    with open_source(web.url) as tree:
        web.status = 500
        with pytest.raises(SourceUnavailable) as caught:
            tree.read_bytes("first.txt")
    check_words(caught.value, "CB042")


def test_what_is_closed_is_not_read(web: Web) -> None:
    web.files["/x.zip"] = zip_of(FILES)
    tree = open_source(web.url)
    tree.close()
    with pytest.raises(ValueError, match="closed"):
        tree.read_bytes("first.txt")
