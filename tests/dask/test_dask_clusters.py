"""Clusters that Dask itself starts: LocalCluster with certificates, SSHCluster to loopback."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster, SSHCluster
from loopback_ssh import SSH

import codabench as cb
from codabench.backends.dask import TLS, DaskBackend
from codabench.backends.dask.certs import make_certificates
from codabench.core.records import Status

sys.path.append(str(Path(__file__).parents[1] / "workspace"))
import tiny

LOOPBACK = "127.0.0.1:0"


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    make_certificates(tmp_path / "certs")
    return tmp_path / "certs"


def scored(cluster: Any, place: Path) -> None:
    """A workspace on this cluster carries out submissions on more than one worker, without a warning."""
    comp = cb.load(tiny.bundle(place / "bundle"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend = DaskBackend(cluster, engine="process")
    with backend, cb.Workspace(place / "lab", backend=backend) as ws:
        assert backend.info().details == {"address": cluster.scheduler_address, "workers": 2, "encrypted": True}
        assert ws.preflight().ok
        ws.add(comp)
        given = [ws.submit(comp, tiny.answer(place / f"{n}", f'{{"score": 0.{n}, "sleep": 0.3}}')) for n in range(1, 5)]
        assert [sub.wait(60).status for sub in given] == [Status.FINISHED] * 4
        assert [sub.scores["score"] for sub in given] == [0.1, 0.2, 0.3, 0.4]
        assert b"scoring" in given[0].run.logs.raw("scoring_stdout")


def test_a_local_cluster_with_certificates(certs: Path, tmp_path: Path) -> None:
    places = {"dashboard_address": LOOPBACK, "worker_dashboard_address": LOOPBACK, "local_directory": str(tmp_path)}
    security = TLS.of(certs).security()
    with LocalCluster(n_workers=2, threads_per_worker=1, security=security, silence_logs=50, **places) as cluster:
        scored(cluster, tmp_path)


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SSH]:
    (tmp_path / "ssh").mkdir()
    server = SSH(tmp_path / "ssh")
    yield server
    server.close()


def test_a_cluster_over_ssh(ssh: SSH, certs: Path, tmp_path: Path) -> None:
    tls, path = TLS.of(certs), os.pathsep.join(filter(None, sys.path))
    here = {"interface": "lo", "dashboard_address": LOOPBACK}
    with (
        dask.config.set(tls.config()),
        SSHCluster(
            ["127.0.0.1"] * 3,
            connect_options=ssh.options,
            scheduler_options={"port": 0, **here},
            worker_options={"nthreads": 1, "local_directory": str(tmp_path), **here},
            remote_python=f"env PYTHONPATH={path} {sys.executable}",
            security=tls.security(),
        ) as cluster,
    ):
        scored(cluster, tmp_path)
