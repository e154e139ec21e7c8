"""The soak storage-faults finds what it looks for: a writer and a reader that believe everything."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from codabench.storage import store
from codabench.storage.contents import CheckedBlob, blob_name
from codabench.storage.s3 import S3Objects

SOAKS = Path(__file__).resolve().parents[1] / "soak"
SEED = 1


class Storm:
    """Work of the soak through a proxy that spoils answers, and the same bucket without it."""

    def __init__(self, work: Any, proxy: Any, calm: store.Storage) -> None:
        self.work, self.proxy, self._calm = work, proxy, calm

    def lost(self) -> list[str]:
        found: list[str] = self.work.lost(self._calm)
        return found


@pytest.fixture
def storm(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    monkeypatch.syspath_prepend(str(SOAKS))
    import _faults
    import s3fs
    import storage_faults

    bucket = f"twin-{uuid.uuid4().hex[:12]}"
    direct = s3fs.S3FileSystem(**s3.options(), skip_instance_cache=True)
    direct.mkdir(bucket)
    with _faults.FaultProxy(s3.url, tmp_path / "faults.jsonl", seed=SEED, patience=0.3) as proxy:
        once = {"read_timeout": 0.2, "retries": {"mode": "standard", "total_max_attempts": 1}}
        impatient = s3.options(endpoint_url=proxy.url, config_kwargs=once)
        spoilt = store.Storage(f"s3://{bucket}/x", cache=tmp_path / "cache", options=impatient)
        calm = store.Storage(f"s3://{bucket}/x", cache=tmp_path / "calm", options=s3.options())
        yield Storm(storage_faults.Work(spoilt, tmp_path, SEED), proxy, calm)
    direct.rm(bucket, recursive=True)


def written(storm: Storm) -> list[str]:
    for rate in (0.0, 1.0):
        storm.proxy.rate = rate
        for n in range(5):
            with contextlib.suppress(store.StorageError):  # what is given up was acknowledged to nobody
                storm.work.blobs.append((storm.work.storage.put(b"%d at %f" % (n, rate)), ""))
    assert len(storm.work.blobs) >= 5
    assert storm.proxy.faults.total() > 5
    return storm.lost()


def test_what_was_acknowledged_is_there(storm: Storm) -> None:
    assert written(storm) == []


def test_twin_a_writer_that_believes_that_everything_arrived(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(self: S3Objects, name: str, spooled: BinaryIO, size: int, sha256: str) -> None:
        bucket, key, _ = self._fs.split_path(self.path(name))
        spooled.seek(0)
        with contextlib.suppress(OSError):
            self._fs.call_s3("put_object", Bucket=bucket, Key=key, Body=spooled.read())

    monkeypatch.setattr(S3Objects, "put", believing)
    assert written(storm) != []


def read(storm: Storm) -> list[str]:
    """Of a blob in whose middle the store, or somebody on the way, changed a byte."""
    storm.work.put(0, 3_000)
    ((ref, _),) = storm.work.blobs
    data = bytearray(storm.work.storage.get(ref))
    data[1_500] ^= 1
    storm.work.storage.objects.put_bytes(blob_name(ref.sha256), bytes(data))
    storm.work.get(0)
    corrupt: list[str] = storm.work.corrupt
    return corrupt


def test_what_was_changed_is_not_read(storm: Storm) -> None:
    with pytest.raises(store.StorageError, match="does not have its digest"):
        read(storm)


def test_twin_a_reader_that_takes_what_comes(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(self: CheckedBlob, buffer: Any) -> int:
        wanted = min(len(buffer), self._ref.size - self._at)
        data = self._pread(self._at, self._at + wanted, wanted) if wanted and self._pread else b""
        self._at += len(data)
        buffer[: len(data)] = data
        return len(data)

    monkeypatch.setattr(CheckedBlob, "readinto", believing)
    assert len(read(storm)) == 1
