"""Preflight finds every worker that cannot carry out runs, and says why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from typer.testing import CliRunner, Result

import codabench as cb
from codabench.backends.dask.preflight import Preflight
from codabench.cli.app import app

ODD = """
import sys, time, types
{what}
import codabench.cli
sys.argv = ["codabench", *sys.argv[1:]]
codabench.cli.main()
"""
CLOCK = "from codabench.runner import preflight\npreflight.time = types.SimpleNamespace(time=lambda: time.time() {})"
VERSIONS = """
from codabench.runner import preflight
there = preflight.versions
preflight.versions = lambda: there() | {}
"""
BARE = """
import asyncio, sys
sys.modules["codabench"] = None
from distributed import Security, Worker
address, certs = sys.argv[1:3]
files = {f"tls_{side}_{kind}": f"{certs}/{kind}.pem" for side in ("client", "worker") for kind in ("cert", "key")}
security = Security(tls_ca_file=f"{certs}/ca.pem", require_encryption=True, **files)

async def serve():
    worker = await Worker(address, host="127.0.0.1", protocol="tls", security=security, name="bare", dashboard=False)
    print("worker bare at", worker.address, file=sys.stderr, flush=True)
    await worker.finished()

asyncio.run(serve())
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    for served in cluster.workers:
        served.process.send_signal(signal.SIGCONT)
    cluster.close()


def odd(cluster: Cluster, place: Path, name: str, what: str) -> None:
    """A worker that is not as it should be."""
    program = place / f"{name}.py"
    program.write_text(ODD.format(what=what))
    cluster.worker(1, "--name", name, program=[sys.executable, str(program)])


def wrong(found: Preflight) -> dict[str, list[str]]:
    """What is wrong, by the name of the worker."""
    names = {worker: found.names.get(worker, worker).partition(" on ")[0] for worker in found.workers}
    said: dict[str, list[str]] = {name: [] for name in names.values()}
    for check in found.checks:
        if not check.ok:
            said[names[check.worker]].append(f"{check.name}: {check.text}")
    return said


def test_what_is_odd_about_workers_is_found(cluster: Cluster, tmp_path: Path) -> None:
    early = CLOCK.format("- 60") + VERSIONS.format({"python": "3.99.0"})
    late, old = CLOCK.format("+ 60"), VERSIONS.format({"codabench": "0.0.1"})
    with ThreadPoolExecutor() as pool:  # they take their time to start
        plain = [pool.submit(cluster.worker, 1, "--name", name) for name in ("good", "hangs")]
        programs = (("early", early), ("late", late), ("old", old))
        strange = [pool.submit(odd, cluster, tmp_path, name, what) for name, what in programs]
        for each in strange:
            each.result()
    plain[1].result().process.send_signal(signal.SIGSTOP)
    with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        found = ws.preflight(timeout=6)
    said = wrong(found)
    assert not found.ok
    assert said["good"] == []
    assert said["early"] == ["clock: is 60 s behind"]
    assert said["late"] == ["clock: is 60 s ahead"]
    assert len(said["old"]) == 1
    assert "0.0.1 there" in said["old"][0]
    assert said["hangs"] == ["worker: it did not answer in time"]
    assert any("3.99.0 there" in check.text for check in found.checks if check.ok)
    assert str(found).count("= help: ") == 4


def test_a_worker_that_cannot_do_our_work_is_found(cluster: Cluster, tmp_path: Path) -> None:
    program = tmp_path / "bare.py"
    program.write_text(BARE)
    command = [sys.executable, str(program), cluster.address, str(cluster.certs)]
    served = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        assert served.stderr is not None
        assert any(b"worker bare at" in line for line in served.stderr)
        done = preflight(cluster, tmp_path / "lab", "--timeout", "20", "--json")
        assert done.exit_code == 3
        (check,) = json.loads(done.stdout)["checks"]
        assert (check["name"], check["ok"], check["code"]) == ("worker", False, "CB658")
        assert "is codabench installed there" in check["hint"]
    finally:
        served.kill()
        served.communicate()


def test_the_command_says_so_by_its_exit_code(cluster: Cluster, tmp_path: Path) -> None:
    none = preflight(cluster, tmp_path / "lab", "--json")
    assert (none.exit_code, json.loads(none.stdout)["workers"]) == (3, [])
    cluster.worker(1, "--name", "good")
    well = preflight(cluster, tmp_path / "lab", "--json")
    assert well.exit_code == 0, well.stderr
    document = json.loads(well.stdout)
    assert document["ok"]
    assert [*document["names"].values()] == [f"good on {os.uname().nodename}"]
    assert "storage" in preflight(cluster, tmp_path / "lab").stdout
    assert preflight(cluster, tmp_path / "lab", "--pull", "sometimes").exit_code == 2


def preflight(cluster: Cluster, lab: Path, *words: str) -> Result:
    cb.Workspace(lab).close()
    return CliRunner().invoke(app, ["preflight", "--backend", cluster.url, "-w", str(lab), *words])


@pytest.mark.engine
@pytest.mark.once
def test_an_image_that_is_not_there_and_may_not_be_pulled(
    cluster: Cluster, docker_url: str, test_image: str, tmp_path: Path
) -> None:
    cluster.worker(1, engine=f"docker:{docker_url}")
    with cb.Workspace(tmp_path / "lab", backend=cluster.url) as ws:
        assert ws.preflight(image=test_image).ok
        (lacks,) = [check for check in ws.preflight(image="nowhere/none:1").checks if not check.ok]
    assert (lacks.name, lacks.code) == ("image", "CB603")
    assert lacks.hint


@pytest.mark.engine
@pytest.mark.once
@pytest.mark.parametrize("rights", ["none", "guest"])
def test_a_worker_without_the_rights_to_the_storage(
    rights: str, cluster: Cluster, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its twin is the worker with all rights."""
    import s3fs

    known = {"AWS_ENDPOINT_URL": s3.url, "AWS_ACCESS_KEY_ID": s3.key, "AWS_SECRET_ACCESS_KEY": s3.secret}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem().makedirs("guests", exist_ok=True)
    cluster.worker(1, "--name", "all")
    if rights == "guest":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.guest_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.guest_secret)
    else:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    cluster.worker(1, "--name", "less")
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    with cb.Workspace(f"s3://guests/{tmp_path.name}", db=f"sqlite:///{tmp_path}/lab.db", backend=cluster.url) as ws:
        said = wrong(ws.preflight(timeout=60))
    assert said["all"] == []
    assert [line.partition(":")[0] for line in said["less"]] == ["storage"]
