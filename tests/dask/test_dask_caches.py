"""What a worker keeps on its machine stays within bounds, and what a killed one leaves goes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, wait_for
from typer.testing import CliRunner

import codabench as cb
from codabench.backends.dask import site
from codabench.backends.dask.preflight import LOOK
from codabench.backends.dask.wire import Order
from codabench.cli.app import app
from codabench.core.records import Status
from codabench.storage.cache import Cache

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("workspace", "engines"))
import tiny
from loopback_registry import Registry, busybox

MIB = 1 << 20


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def test_data_stays_within_its_bound(cluster: Cluster, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    cluster.worker(1, "--scratch", str(scratch), "--cache-bytes", "2m")
    kept = Cache(scratch / "site" / "cache")
    with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        for number in range(4):
            data = {"data/x.csv": b"x" * (MIB * 3 // 4) + b"%d" % number}
            comp = ws.add(cb.load(tiny.bundle(tmp_path / f"bundle{number}", files=data)))
            sub = ws.submit(comp, tiny.answer(tmp_path / f"answer{number}"))
            assert sub.wait(60).status is Status.FINISHED
            assert 0 < sum(each.size for each in kept.kept()) <= 2 * MIB
        assert len(list(kept.kept())) >= 2, "it is a cache"


def test_a_directory_belongs_to_one_worker_and_what_a_killed_one_leaves_goes(cluster: Cluster, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    words = ("--scratch", str(scratch))
    cluster.worker(1, *words)
    command = [sys.executable, "-m", "codabench", "worker", cluster.address, "--certs", str(cluster.certs), *words]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert "another worker works in" in second.stderr
    with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        comp = ws.add(cb.load(tiny.bundle(tmp_path / "bundle")))
        sub = ws.submit(comp, tiny.answer(tmp_path / "a", '{"score": 0.5, "sleep": 3}'))
        runs = scratch / "site" / "runs"
        wait_for(lambda: runs.is_dir() and any(runs.iterdir()))
        left = os.listdir(runs)
        (scratch / "tmp" / "left").mkdir()
        cluster.workers[0].kill()
        cluster.worker(1, *words)
        assert not set(left) & set(os.listdir(runs) if runs.is_dir() else ())
        assert not (scratch / "tmp" / "left").exists()
        assert sub.wait(60).status is Status.FINISHED


def test_a_bound_that_is_no_size() -> None:
    for option in ("--cache-bytes", "--image-bytes"):
        done = CliRunner().invoke(app, ["worker", "tcp://127.0.0.1:1", option, "much"])
        assert done.exit_code == 2
        assert "not a size: 'much'" in done.stderr


@pytest.mark.engine
@pytest.mark.docker
@pytest.mark.once
def test_images_stay_within_their_bound_but_none_that_is_used_goes(
    docker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(site, "TIDY_SECONDS", 0.1)
    monkeypatch.setattr(site, "RECENT_SECONDS", 0.0)
    (tmp_path / "registry").mkdir()
    registry = Registry(tmp_path / "registry")
    place = site.Site(tmp_path / "site", engine=f"docker:{docker_url}", image_bytes=0)
    try:
        names = [f"{registry.host}/lab/{what}:1" for what in ("held", "free")]
        for name in names:
            registry.push(name.removeprefix(f"{registry.host}/").partition(":")[0], "1", busybox(x=os.urandom(1000)))
        held = threading.Thread(target=place.carry_out, args=(order("held", names[0]), lambda message: None))
        held.start()
        wait_for(lambda: place.busy == 1)
        assert looks(place, names[0])
        assert looks(place, names[1])
        engine: Any = place._engine(place.engine)
        wait_for(lambda: engine.driver.inspect_image(names[1]) is None, 10)
        assert engine.driver.inspect_image(names[0]) is not None
        assert place.stop("held", "enough")
        wait_for(lambda: engine.driver.inspect_image(names[0]) is None, 10)
        held.join()
    finally:
        place.close()
        registry.close()


def order(key: str, image: str, function: str = "codabench.testing.works:until_stopped") -> Order:
    return Order(key=key, topic="t", function=function, payload={"image": image, "pull": "missing"})


def looks(place: site.Site, image: str) -> bool:
    """Have an image pulled, as a look at a worker does."""
    said: list[dict[str, Any]] = []
    place.carry_out(order(f"look-{image}", image, LOOK), said.append)
    return said[-1]["kind"] == "result" and "sha256:" in said[-1]["text"]
