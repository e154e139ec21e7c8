"""Bundles on a real S3 server: loaded, checked and run from there; only what is needed is read; what goes wrong."""

from __future__ import annotations

import io
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from relay import Relay

import codabench as cb
from codabench.core.errors import BundleError, SourceUnavailable, StorageError
from codabench.storage.sources import open_source

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workspace"))
import tiny

BIG = 250_000_000
PIECE = 1 << 20
IMPATIENT = {"config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 2, "read_timeout": 5}}


class Bucket:
    """A bucket of its own for one module, and the options with which it is reached."""

    def __init__(self, server: Any, fs: Any, name: str) -> None:
        self.server, self.fs, self.name = server, fs, name

    def put(self, name: str, data: bytes) -> str:
        self.fs.pipe_file(f"{self.name}/{name}", data)
        return f"s3://{self.name}/{name}"

    def options(self, **changes: Any) -> dict[str, Any]:
        return dict(self.server.options(**changes))


@pytest.fixture(scope="module")
def bucket(s3: Any) -> Iterator[Bucket]:
    import s3fs

    fs = s3fs.S3FileSystem(**s3.options(), skip_instance_cache=True)
    name = f"test-{uuid.uuid4().hex[:12]}"
    fs.mkdir(name)
    yield Bucket(s3, fs, name)
    fs.rm(name, recursive=True)


@pytest.fixture
def relay(s3: Any) -> Iterator[Relay]:
    with Relay(s3.url) as found:
        yield found


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def made(tmp_path: Path) -> dict[str, bytes]:
    """A sound bundle that plain processes can run."""
    return files_of(tiny.bundle(tmp_path / "bundle"))


@pytest.fixture(params=["zip", "directory"])
def url(request: pytest.FixtureRequest, bucket: Bucket, made: dict[str, bytes]) -> str:
    """The bundle on the server, in both ways."""
    if request.param == "zip":
        return bucket.put("bundle.zip", zipped(made))
    for name, data in made.items():
        bucket.put(f"folder/{name}", data)
    return f"s3://{bucket.name}/folder"


# ---------------------------------------------------------------------- what works
def test_it_is_checked_loaded_and_run(url: str, bucket: Bucket, tmp_path: Path) -> None:
    assert cb.check(url, storage_options=bucket.options()).ok
    answer = tmp_path / "answer"
    answer.mkdir()
    (answer / "answer.json").write_text('{"score": 0.5}')
    with cb.load(url, storage_options=bucket.options()) as comp:
        run = comp.run(answer, backend="process", progress="none")
        assert run.scores == {"score": 0.5, "time": 5}


def test_credentials_of_the_environment(url: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    options = bucket.options()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", options["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", options["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", options["endpoint_url"])
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    assert cb.check(url).ok


def test_settings_of_fsspec(url: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.config import conf

    monkeypatch.setitem(conf, "s3", bucket.options())
    assert cb.check(url).ok


def test_what_was_changed_meanwhile_is_seen_by_the_next_who_loads(bucket: Bucket, made: dict[str, bytes]) -> None:
    for title in ("Before", "Afterwards"):
        text = made["competition.yaml"].replace(b"title: Tiny", f"title: {title}".encode())
        for name, data in {**made, "competition.yaml": text}.items():
            bucket.put(f"changing/{name}", data)
        with cb.load(f"s3://{bucket.name}/changing", storage_options=bucket.options()) as comp:
            assert comp.title == title


@pytest.fixture(scope="module")
def large(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bundle of 250 MB, nearly all of it in an archive inside it."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))
    import big_zip

    path = tmp_path_factory.mktemp("large") / "large.zip"
    big_zip.make("inner", path, BIG, 0)
    bucket.fs.put_file(str(path), f"{bucket.name}/large.zip", max_concurrency=2)
    path.unlink()
    return f"s3://{bucket.name}/large.zip"


def test_a_check_of_a_large_zip_reads_little_of_it(large: str, bucket: Bucket, relay: Relay) -> None:
    report = cb.check(large, storage_options=bucket.options(endpoint_url=relay.url))
    assert report.ok, str(report)
    print(f"{relay.received} bytes in {len(relay.requests)} requests")
    assert relay.received < 5_000_000
    assert len(relay.requests) < 40
    with cb.load(large, storage_options=bucket.options(endpoint_url=relay.url)) as comp:
        data = comp.tree(comp.tasks[0].input_data)  # type: ignore[arg-type]
        assert data.read_bytes("small.csv") == b"1,2,3\n"
    assert relay.received < 10_000_000


def test_a_large_file_passes_through_little_memory(large: str, bucket: Bucket) -> None:
    import tracemalloc

    with cb.load(large, storage_options=bucket.options()) as comp:
        data = comp.tree(comp.tasks[0].input_data)  # type: ignore[arg-type]
        tracemalloc.start()
        with data.open("zeros.bin") as file:
            for _ in range(100):
                assert file.read(PIECE) == bytes(PIECE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 64 * PIECE


# ---------------------------------------------------------------------- what goes wrong
def refused(url: str, options: dict[str, Any], code: str) -> SourceUnavailable:
    with pytest.raises(SourceUnavailable) as caught:
        cb.load(url, storage_options={**options, **IMPATIENT})
    error = caught.value
    check_words(error, url, code)
    return error


def check_words(error: SourceUnavailable, url: str, code: str) -> None:
    assert error.code == code, str(error)
    assert isinstance(error, StorageError)
    assert isinstance(error, BundleError)
    assert url.partition("://")[2] in error.message
    assert error.hint


@pytest.mark.parametrize("where", ["s3://{bucket}/nothing.zip", "s3://no-bucket-of-that-name/x.zip"])
def test_there_is_nothing(where: str, bucket: Bucket) -> None:
    refused(where.format(bucket=bucket.name), bucket.options(), "CB021")


@pytest.mark.parametrize("changes", [{"secret": "wrong"}, {"key": "nobody"}], ids=["secret", "key"])
def test_wrong_credentials(url: str, bucket: Bucket, changes: dict[str, str]) -> None:
    refused(url, bucket.options(**changes), "CB041")


def test_no_right_to_read(url: str, bucket: Bucket, s3: Any) -> None:
    refused(url, bucket.options(key=s3.guest_key, secret=s3.guest_secret), "CB041")


def test_the_server_is_down(url: str, bucket: Bucket, relay: Relay) -> None:
    relay.stop()
    refused(url, bucket.options(endpoint_url=relay.url), "CB042")


@pytest.mark.parametrize("down", [False, True], ids=["cut", "down"])
def test_an_answer_breaks_off_in_the_middle(bucket: Bucket, relay: Relay, down: bool) -> None:
    where = bucket.put("cut.zip", zipped({"a": bytes(8 * PIECE), "b": b"2"}))
    options = bucket.options(endpoint_url=relay.url, **IMPATIENT)
    with open_source(where, storage_options=options) as tree:
        if down:
            relay.stop()
        relay.cut = 200_000
        with pytest.raises(SourceUnavailable) as caught:
            tree.read_bytes("a")
    assert caught.value.code in ("CB042", "CB043")
    check_words(caught.value, where, caught.value.code)


def test_an_object_is_replaced_between_two_readings(bucket: Bucket) -> None:
    where = bucket.put("replaced.zip", zipped({"a": bytes(8 * PIECE), "b": b"old"}))
    with open_source(where, storage_options=bucket.options()) as tree:
        bucket.put("replaced.zip", zipped({"a": bytes(8 * PIECE), "b": b"new"}))
        with pytest.raises(SourceUnavailable, match="replaced") as caught:
            tree.read_bytes("a")
    check_words(caught.value, where, "CB044")


def test_a_file_of_a_directory_is_replaced_after_it_was_listed(bucket: Bucket) -> None:
    bucket.put("listed/a.txt", b"old")
    where = f"s3://{bucket.name}/listed"
    with open_source(where, storage_options=bucket.options()) as tree:
        bucket.put("listed/a.txt", b"new")
        with pytest.raises(SourceUnavailable, match="replaced") as caught:
            tree.read_bytes("a.txt")
    check_words(caught.value, where, "CB044")
