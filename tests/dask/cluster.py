"""A cluster as its users start it: processes of the command line, with certificates, on loopback."""

from __future__ import annotations

from pathlib import Path

from served import Served, wait_for

from codabench.backends.dask.certs import make_certificates

__all__ = ["Cluster", "Served", "wait_for"]


class Cluster:
    """A scheduler and workers."""

    def __init__(self, place: Path) -> None:
        self.certs = place / "certs"
        make_certificates(self.certs)
        self.workers: list[Served] = []
        self.scheduler = self._scheduler("0")
        self.address = self.scheduler.says(r"scheduler at (\S+)").group(1)

    def _scheduler(self, port: str) -> Served:
        return Served("scheduler", "--port", port, "--certs", str(self.certs))

    @property
    def url(self) -> str:
        return f"{self.address.replace('tls://', 'dask://')}?certs={self.certs}"

    def worker(self, slots: int = 1, *more: str, engine: str = "process", program: list[str] | None = None) -> Served:
        words = [self.address, "--certs", str(self.certs), "--slots", str(slots), "--engine", engine, *more]
        made = Served("worker", *words, program=program)
        self.workers.append(made)
        made.says(r"worker \S+ at")
        return made

    def restart(self) -> None:
        self.scheduler.kill()
        self.scheduler = self._scheduler(self.address.rpartition(":")[2])
        self.scheduler.says("scheduler at")

    def close(self) -> None:
        for served in [*self.workers, self.scheduler]:
            if served.process.poll() is None:
                served.kill()
