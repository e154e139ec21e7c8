"""Storage on S3 behind a proxy that spoils a quarter of all answers: nothing is lost, nothing is corrupt.

1,000 operations (blobs and trees put, read, streamed, extracted; results of attempts) through a proxy that answers with
errors, not at all, with half a body, or loses the answer to what was done, and logs each fault. An operation counts as
hit if a fault happened during it. The same operations without faults say how many requests and bytes they need; with
faults it must be less than three times as many. What was acknowledged is compared with the bucket itself afterwards.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _faults

from codabench.core.errors import CodabenchError
from codabench.core.trees import BlobRef, TreeRef
from codabench.storage.overlay import Content, Overlay
from codabench.storage.store import Storage
from codabench.storage.sweep import Reachable, sweep
from codabench.storage.tree import EmptySource

NEEDS = ("s3",)
LIMIT = 240
OPERATIONS, LEAST_HIT = 1000, 250
RATE, AMPLIFICATION = 0.25, 3.0
SEED = 20261123
PATIENCE = 1.0
"""Seconds that the client waits for an answer; the proxy says nothing for a little longer."""
_LARGE = 70 << 20
"""Some blobs are larger than what S3 is sent in one request."""


class Work:
    """Operations on a storage, the same for the same seed, and everything that they acknowledged."""

    def __init__(self, storage: Storage, folder: Path, seed: int) -> None:
        self.storage, self.folder, self.random = storage, folder, random.Random(seed)
        self.blobs: list[tuple[BlobRef, str]] = []
        self.trees: list[tuple[TreeRef, dict[str, bytes]]] = []
        self.results: dict[str, int] = {}
        self.corrupt: list[str] = []
        self.tries = 0

    def step(self, n: int) -> None:
        """One operation."""
        actions: list[Callable[[int], None]] = [self.put, self.put_tree, self.put_result]
        if self.blobs and self.trees:
            actions += [self.get, self.save, self.materialise, self.open_tree]
        if n % 200 == 50:
            self.put(n, _LARGE)
        else:
            self.random.choice(actions)(n)

    def put(self, n: int, size: int | None = None) -> None:
        size = self.random.choice((0, 10, 3_000, 200_000)) if size is None else size
        path = self.folder / "file"
        path.write_bytes(self.random.randbytes(min(size, 1 << 20)) * max(1, size >> 20))
        ref = self.again(lambda: self.storage.put(path))
        self.blobs.append((ref, hashlib.sha256(path.read_bytes()).hexdigest()))

    def put_tree(self, n: int) -> None:
        files = {f"f{i}.bin": self.random.randbytes(self.random.choice((0, 5, 5_000))) for i in range(4)}
        contents = {name: Content.of_bytes(data) for name, data in files.items()}
        tree = Overlay(EmptySource("made"), files=contents)
        self.trees.append((self.again(lambda: self.storage.put_tree(tree)), files))

    def put_result(self, n: int) -> None:
        self.again(lambda: self.storage.put_result("run", str(n), {"n": n}))
        self.results[str(n)] = n

    def get(self, n: int) -> None:
        ref, sha256 = self.random.choice([each for each in self.blobs if each[0].size < _LARGE])
        self.compare("get", sha256, self.again(lambda: self.storage.get(ref)))

    def save(self, n: int) -> None:
        ref, sha256 = self.random.choice(self.blobs)
        path = self.folder / "saved"
        self.again(lambda: self.storage.save(ref, path))
        self.compare("save", sha256, path.read_bytes())
        path.unlink()

    def materialise(self, n: int) -> None:
        ref, files = self.random.choice(self.trees)
        place = self.folder / "place"
        place.mkdir()
        self.again(lambda: self.storage.materialise(ref, place))
        if {p.name: p.read_bytes() for p in place.iterdir()} != files:
            self.corrupt.append(f"tree {ref.digest} was not extracted as it is")
        shutil.rmtree(place)
        shutil.rmtree(self.storage.cache / "archives", ignore_errors=True)  # each time from the server

    def open_tree(self, n: int) -> None:
        ref, files = self.random.choice(self.trees)
        name = self.random.choice(list(files))
        with self.again(lambda: self.storage.open_tree(ref)) as tree:
            if tree.read_bytes(name) != files[name]:
                self.corrupt.append(f"{name} of tree {ref.digest} is another one")

    def again(self, action: Callable[[], Any]) -> Any:
        """What the library gives up after its own tries is asked for once more, as a caller would."""
        for left in reversed(range(5)):
            self.tries += 1
            try:
                return action()
            except CodabenchError as error:
                if not left or error.code not in ("CB701", "CB704"):
                    raise
        raise AssertionError

    def compare(self, what: str, sha256: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != sha256:
            self.corrupt.append(f"{what} gave other bytes than {sha256}")

    def lost(self, storage: Storage) -> list[str]:
        """What was acknowledged and is not there, asked without any faults."""
        found = []
        for name, read in [
            *((ref.sha256, lambda ref=ref: storage.get(ref)) for ref, _ in self.blobs if ref.size < _LARGE),
            *((ref.digest, lambda ref=ref: storage.entries(ref)) for ref, _ in self.trees),
            *((n, lambda n=n: storage.get_result("run", n)["n"]) for n in self.results),  # type: ignore[index]
        ]:
            try:
                read()
            except (CodabenchError, TypeError) as error:
                found.append(f"{name}: {error}")
        return found


def soak(scale: float, folder: Path) -> dict[str, Any]:
    import s3fs

    count = round(OPERATIONS * scale)
    options = {key: os.environ[f"CODABENCH_TEST_S3_{key.upper()}"] for key in ("key", "secret")}
    server = os.environ["CODABENCH_TEST_S3"]
    bucket = f"faults-{uuid.uuid4().hex[:12]}"
    direct = s3fs.S3FileSystem(**options, endpoint_url=server, skip_instance_cache=True)
    direct.mkdir(bucket)
    log = folder / "faults.jsonl"
    try:
        with _faults.FaultProxy(server, log, seed=SEED, patience=PATIENCE * 1.5) as proxy:
            impatient = {**options, "endpoint_url": proxy.url, "config_kwargs": {"read_timeout": PATIENCE}}

            def work(name: str) -> tuple[Work, int]:
                storage = Storage(f"s3://{bucket}/{name}", cache=folder / name, options=impatient)
                made, hit = Work(storage, folder, SEED), 0
                for n in range(count):
                    before = proxy.faults.total()
                    made.step(n)
                    hit += proxy.faults.total() > before
                return made, hit

            work("calm")
            needed = (proxy.requests, proxy.passed)
            proxy.rate = RATE
            worked, hit = work("stormy")
            made = (proxy.requests - needed[0], proxy.passed - needed[1])
        there = Storage(f"s3://{bucket}/stormy", cache=folder / "after", options={**options, "endpoint_url": server})
        lost = worked.lost(there)
        damaged = sweep(there, lambda: Reachable((), ()), verify=True).damaged
        corrupt = [*worked.corrupt, *(f"{item.name}: {item.why}" for item in damaged)]
    finally:
        direct.rm(bucket, recursive=True)
    faults = proxy.faults
    if len(log.read_text().splitlines()) != faults.total():
        raise AssertionError("the log does not have each fault")
    amplification = max(made[0] / needed[0], made[1] / needed[1])
    failed = [f"lost: {each}" for each in lost] + [f"corrupt: {each}" for each in corrupt]
    if hit < LEAST_HIT * scale:
        failed.append(f"only {hit} operations were hit")
    if amplification >= AMPLIFICATION:
        failed.append(f"{amplification:.2f} times the requests or bytes that are needed")
    return {
        "tried": count,
        "hit": hit,
        "lost": len(lost),
        "corrupt": len(corrupt),
        "amplification": round(amplification, 3),
        "requests": made[0],
        "needed": needed[0],
        "faults": dict(faults),
        "asked_again": worked.tries - count,
        "failed": failed,
    }
