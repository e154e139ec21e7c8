"""Which URLs users may name (security.md G06); the owner may name what users may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from codabench.core.errors import BundleError, CodabenchError
from codabench.storage.sources import USER_PROTOCOLS, check_user_url, open_source

REFUSED = [
    "",
    "/etc/passwd",
    "etc/passwd",
    "~/.ssh/id_rsa",
    "C:\\secrets.zip",
    "//host/share.zip",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "file:/etc/passwd",
    "local:///etc/passwd",
    "s3://bucket/private.zip",
    "s3a://bucket/private.zip",
    "gs://bucket/private.zip",
    "memory://other/bundle.zip",
    "http://169.254.169.254/latest/meta-data",
    "ftp://host/a.zip",
    "sftp://host/a.zip",
    "git://host/repository",
    "github://owner:repository@main/x.zip",
    "zip://x::https://example.org/a.zip",
    "zip::https://example.org/a.zip",
    "simplecache::https://example.org/a.zip",
    "simplecache::file:///etc/passwd",
    "filecache::s3://bucket/a.zip",
    "blockcache::https://example.org/a.zip",
    "https://example.org/a.zip::file:///etc/passwd",
    "reference://::https://example.org/a.json",
    "dir::file:///etc",
    "https://name:word@example.org/a.zip",
    "https://exa mple.org/a.zip",
    "https://example.org/a.zip\nfile:///etc/passwd",
    "https:///etc\\passwd",
    "https://",
    "httpsx://example.org/a.zip",
    " https://example.org/a.zip",
    "data:application/zip;base64,UEsFBg==",
]


@pytest.mark.row("G06")
@pytest.mark.parametrize("url", REFUSED)
def test_what_users_may_not_name(url: str) -> None:
    with pytest.raises(BundleError, match="is refused") as caught:
        open_source(url, protocols=USER_PROTOCOLS)
    assert caught.value.code == "CB045"
    assert caught.value.hint == "allowed: https://"


@pytest.mark.parametrize("url", ["https://example.org/a.zip", "HTTPS://example.org:8443/a.zip?x=1#y"])
def test_what_users_may_name(url: str) -> None:
    check_user_url(url)


def test_the_owner_allows_more() -> None:
    check_user_url("s3://public/a.zip", {"https", "s3"})
    with pytest.raises(BundleError):
        check_user_url("zip://x::s3://public/a.zip", {"https", "s3", "zip"})


@pytest.mark.twin("G06")
def test_without_the_list_a_file_of_this_host_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with open_source(f"file://{tmp_path}") as tree:
        assert tree.read_bytes("secret") == b"x"
    with pytest.raises(CodabenchError):
        open_source(f"file://{tmp_path}", protocols=USER_PROTOCOLS)
