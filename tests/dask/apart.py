"""A cluster whose scheduler, workers and client are on machines that share nothing but an object store."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from namespaces import Machine, Network
from served import Served

from codabench.backends.dask.certs import make_certificates

PORT = 8786


class Apart:
    """The machines of a cluster, with certificates of one authority.

    Attributes
    ----------
    scheduler, client, workers
        The machines.
    store
        The environment of who may reach the object store.
    storage
        The URL of a workspace's files in it.
    running
        The processes by what they are: ``scheduler``, ``worker1``, ``worker2``.
    """

    def __init__(self, network: Network, store: Mapping[str, str], storage: str, many: int) -> None:
        self.network, self.store, self.storage = network, dict(store), storage
        self.scheduler, self.client = network.machine("scheduler"), network.machine("client")
        self.workers = {name: network.machine(name) for name in (f"worker{n + 1}" for n in range(many))}
        self.running: dict[str, Served] = {}
        self.pids: set[int] = set()
        authority = network.place / "authority"
        make_certificates(authority, [each.address for each in network.machines.values()])
        for machine in network.machines.values():
            (machine.home / "certs").mkdir()
            for name in ("ca.pem", "cert.pem", "key.pem"):
                shutil.copy(authority / name, machine.home / "certs")
        self.address = f"tls://{self.scheduler.address}:{PORT}"
        self.url = f"dask://{self.scheduler.address}:{PORT}?certs={self.client.home / 'certs'}"

    def start_scheduler(self) -> Served:
        """The scheduler's process."""
        return self._keep("scheduler", self.scheduler, ["--port", str(PORT)], {})

    def start_worker(self, name: str, *offer: str) -> Served:
        """The process of a worker, which has what leads to the storage and nothing that leads to a database."""
        return self._keep("worker", self.workers[name], [self.address, "--name", name, *offer], self.store, name)

    def _keep(
        self, verb: str, machine: Machine, words: Sequence[str], env: Mapping[str, str], name: str | None = None
    ) -> Served:
        made = machine.serve(verb, *words, "--host", machine.address, "--certs", "certs", **env)
        self.running[name or verb] = made
        self.pids.add(made.process.pid)
        return made

    def database(self, url: str) -> str:
        """A database of this host, as the client reaches it and nobody else: on the loopback of its machine."""
        parts = urlsplit(url)
        relay = self.network.relay((str(parts.hostname), int(parts.port or 5432)), self.client.listening())
        return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{relay}").geturl()


@contextmanager
def apart(place: Path, *, workers: int = 2) -> Iterator[Apart]:
    """Machines, and a bucket of the test bed's object store.

    Raises
    ------
    NoNamespacesError
        They cannot be made here.
    """
    import s3fs

    key, secret = (os.environ[f"CODABENCH_TEST_S3_{name}"] for name in ("KEY", "SECRET"))
    server = os.environ["CODABENCH_TEST_S3"]
    here = s3fs.S3FileSystem(key=key, secret=secret, endpoint_url=server, skip_instance_cache=True)
    bucket = f"apart-{uuid.uuid4().hex[:12]}"
    with ExitStack() as stack:
        here.mkdir(bucket)
        stack.callback(here.rm, bucket, recursive=True)
        network = Network(place)
        stack.callback(network.close)
        parts = urlsplit(server)
        relay = network.relay((str(parts.hostname), int(parts.port or 80)))
        store = {"AWS_ENDPOINT_URL": f"http://{relay}", "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        yield Apart(network, store, f"s3://{bucket}/lab", workers)
