"""A Dask cluster through the library against bare Dask: workers that are processes of this machine."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import competition
from measure import Benchmark, CannotMeasureError, Side, milliseconds
from two_steps import steps_of

HERE = Path(__file__).resolve().parent
MANY = 1_000


@contextmanager
def _cluster(slots: int) -> Iterator[Any]:
    """A client of one worker."""
    from distributed import Client, LocalCluster

    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=1, threads_per_worker=slots, resources={"slots": slots}, **where) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def two_steps_there(url: str | None, image: str, steps: list[Any]) -> None:
    """The bare side of a run, on a worker."""
    from bare_docker import TwoSteps

    TwoSteps(url, image, steps).run()


@contextmanager
def _run() -> Iterator[tuple[Side, Side]]:
    import codabench as cb

    engine: Any = competition.engine("docker")
    url = getattr(engine, "url", None)
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text, _cluster(1) as client:
        folder = Path(text)
        bundle, submission = competition.write(folder)
        steps = steps_of(folder, bundle, submission)
        backend = cb.DaskBackend(client, engine=f"docker:{url}" if url else "docker")
        with cb.load(bundle) as comp:

            def ours() -> None:
                image = competition.image_of("docker")
                submitted = comp.run(submission, backend=backend, image=image, progress="none")
                if submitted.run.scores != {"score": 1.0}:
                    raise CannotMeasureError(f"the submission did not run: {submitted}")

            def bare() -> None:
                client.submit(two_steps_there, url, competition.IMAGE, steps, pure=False).result()

            yield lambda: milliseconds(ours), lambda: milliseconds(bare)
        backend.close()


@contextmanager
def _submit() -> Iterator[tuple[Side, Side]]:
    from codabench.backends.backend import Work
    from codabench.backends.dask import DaskBackend

    work = Work(function="codabench.testing.works:echo", payload={})
    with _cluster(2) as client, DaskBackend(client, engine="process") as backend:

        def ours() -> float:
            began = time.perf_counter()
            handles = [backend.submit(work, key=str(n)) for n in range(MANY)]
            for handle in handles:
                handle.result(120)
            return (time.perf_counter() - began) / MANY * 1000

        def bare() -> float:
            began = time.perf_counter()
            futures = [client.submit(_nothing, n, pure=False) for n in range(MANY)]
            client.gather(futures)
            return (time.perf_counter() - began) / MANY * 1000

        yield ours, bare


def _nothing(n: int) -> int:
    return n


run = Benchmark(
    name="dask_run_overhead",
    about="a code submission through comp.run on a Dask worker, against client.submit of the bare calls of the SDK",
    unit="ms",
    sides=_run,
    must=("ratio", 1.2),
    pause=0.1,
)
submit = Benchmark(
    name="dask_submit",
    about=f"{MANY:,} pieces of work that do nothing, each submitted by itself, against bare client.submit and gather",
    unit="ms each",
    sides=_submit,
    must=("ratio", 1 / 0.7),
    most=10,
)
