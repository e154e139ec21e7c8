"""A worker of a cluster in which all is real but the containers: they do nothing, and the scorer's writes its 1."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import competition

from codabench.backends.dask.security import TLS
from codabench.backends.dask.serving import Listening, Offer, serve_worker
from codabench.backends.dask.site import Site
from codabench.backends.engine import ContainerSpec
from codabench.backends.process import ProcessEngine
from codabench.core.records import Exit, ExitReason


class Empty:
    """A container that has ended before it began."""

    def __init__(self, spec: ContainerSpec) -> None:
        self._spec = spec

    def run(self, *_: object) -> Exit:
        if competition.SCORES in self._spec.argv:
            (output,) = (mount.source for mount in self._spec.mounts if mount.target == "/app/output")
            Path(output, "scores.json").write_text('{"score": 1.0}')
        return Exit(reason=ExitReason.EXITED, code=0)

    def usage(self) -> None:
        """It uses nothing."""

    def discard(self) -> None:
        """It was never there."""


class EmptyEngine(ProcessEngine):
    def create(self, spec: ContainerSpec) -> Any:
        return Empty(spec)


class EmptySite(Site):
    def _engine(self, word: str) -> EmptyEngine:
        return EmptyEngine()


async def main(address: str, certs: str, slots: str) -> None:
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as folder:
        where, offer = Listening(certs=TLS.of(certs)), Offer(slots=int(slots))
        site = EmptySite(Path(folder, "site"))
        say = lambda text: print(text, flush=True)  # noqa: E731
        await serve_worker(address, where, offer, site, asyncio.Event(), say, scratch=Path(folder, "dask"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
