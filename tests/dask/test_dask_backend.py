"""The Dask backend, with workers that are processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from distributed import LocalCluster

from codabench.backends.backend import Backend
from codabench.backends.dask import DaskBackend
from codabench.testing import BackendContract


@pytest.fixture
def make_backend() -> Iterator[Callable[[int], Backend]]:
    clusters: list[LocalCluster] = []

    def make(jobs: int) -> Backend:
        cluster = LocalCluster(
            n_workers=1,
            threads_per_worker=jobs,
            processes=True,
            resources={"slots": jobs},
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
        )
        clusters.append(cluster)
        return DaskBackend(cluster, engine="process")

    yield make
    for cluster in clusters:
        cluster.close()


class TestLocalCluster(BackendContract):
    @pytest.fixture
    def make_backend(self, make_backend: Callable[[int], Backend]) -> Callable[[int], Backend]:
        return make_backend
