"""Who may talk to a cluster, and that nothing a worker answers is run by the client (D01, D05)."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Served
from distributed import Client

from codabench.backends.backend import Work
from codabench.backends.dask import TLS, DaskBackend
from codabench.backends.dask.certs import make_certificates
from codabench.core.errors import CodabenchError, EngineUnavailable, UsageError

ECHO = Work(function="codabench.testing.works:echo", payload={})

ROGUE = """
import os, sys
from codabench.backends.dask import site

class Evil:
    def __reduce__(self):
        return (os.system, ("echo $PPID >> " + {marker!r},))

def carry_out(self, order, send):
    made = site.Courier(order.key, send)
    made.end("result", {{"answered": True}})

site.Site.carry_out = carry_out
original = site.Site.of.__func__
import codabench.backends.dask.tasks as tasks
plain = tasks.carry_out
def answers(text):
    plain(text)
    return Evil()
tasks.carry_out = answers
import codabench.cli
sys.argv = ["codabench", *sys.argv[1:]]
codabench.cli.main()
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.mark.row("D05")
@pytest.mark.twin("D05")
def test_what_a_worker_answers_is_never_run_here(cluster: Cluster, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    program = tmp_path / "rogue.py"
    program.write_text(ROGUE.format(marker=str(marker)))
    cluster.worker(1, program=[sys.executable, str(program)])
    with DaskBackend(cluster.url) as backend:
        for number in range(5):
            assert backend.submit(ECHO, key=f"{number}").result(30) == {"answered": True}
    assert str(os.getpid()) not in ran(marker)
    # Its twin: who keeps the future of the same task runs what the worker answers.
    from codabench.backends.dask.tasks import carry_out
    from codabench.backends.dask.wire import Order

    order = Order(key="twin", topic="twin", function=ECHO.function, payload={})
    with Client(cluster.address, security=TLS.of(cluster.certs).security(), set_as_default=False) as client:
        future = client.submit(carry_out, order.model_dump_json(), pure=False)
        future.result(30)
    assert str(os.getpid()) in ran(marker)


SPEAKS = """
import os, sys
from distributed import get_worker
from distributed.protocol.serialize import Serialize
from codabench.backends.dask import site

class Evil:
    def __reduce__(self):
        return (os.system, ("echo $PPID >> " + {marker!r},))

def carry_out(self, order, send):
    worker = get_worker()
    event = {{"op": "log-event", "topic": order.topic, "msg": {{"key": Serialize(Evil())}}}}
    worker.loop.add_callback(worker.batched_send, event)
    original(self, order, send)

original = site.Site.carry_out
site.Site.carry_out = carry_out
site.Site.stop = lambda self, key, reason: Serialize(Evil())
import codabench.cli
sys.argv = ["codabench", *sys.argv[1:]]
codabench.cli.main()
"""


def test_what_a_worker_says_is_never_run_here(cluster: Cluster, tmp_path: Path) -> None:
    """An event with a pickle, and one in the answer to a question: the client of an address unpickles nothing."""
    marker = tmp_path / "ran"
    program = tmp_path / "rogue.py"
    program.write_text(SPEAKS.format(marker=str(marker)))
    cluster.worker(1, program=[sys.executable, str(program)])

    def talked(backend: DaskBackend) -> None:
        with backend:
            assert backend.submit(ECHO, key="event").result(30)["scratch"] is True
            backend._stop_there("question", None, "why")

    talked(DaskBackend(cluster.url))
    assert str(os.getpid()) not in ran(marker)
    # Its twin: a client as Dask makes it.
    security = TLS.of(cluster.certs).security()
    with Client(cluster.address, security=security, set_as_default=False) as client:
        talked(DaskBackend(client))
    assert ran(marker).count(str(os.getpid())) == 2


def ran(marker: Path) -> list[str]:
    """The processes in which it was unpickled."""
    return marker.read_text().split() if marker.exists() else []


@pytest.mark.row("D01")
def test_without_a_certificate_of_its_authority_nobody_gets_in(cluster: Cluster, tmp_path: Path) -> None:
    make_certificates(tmp_path / "others")
    with pytest.raises(EngineUnavailable):
        DaskBackend(cluster.address, tls=tmp_path / "others", timeout=3)
    with pytest.raises(EngineUnavailable):
        DaskBackend(cluster.address.replace("tls://", "dask+tcp://"), timeout=3)
    DaskBackend(cluster.address, tls=cluster.certs).close()


@pytest.mark.twin("D01", "D08")
def test_whoever_reaches_a_cluster_without_certificates_runs_code_there() -> None:
    """On loopback it may be had without them: then this is why nothing else may be."""
    scheduler = Served("scheduler", "--port", "0")
    try:
        address = scheduler.says(r"scheduler at (tcp://\S+)").group(1)
        with Client(address, set_as_default=False) as client:
            assert client.run_on_scheduler(os.getpid) == scheduler.process.pid
    finally:
        scheduler.kill()


@pytest.mark.row("D08")
@pytest.mark.parametrize(
    "words",
    [
        ["scheduler", "--host", "0.0.0.0"],
        ["scheduler", "--host", "10.1.2.3"],
        ["worker", "tcp://127.0.0.1:8786", "--host", "0.0.0.0", "--engine", "process"],
        ["worker", "tcp://10.1.2.3:8786", "--engine", "process"],
    ],
)
def test_nothing_listens_beyond_this_machine_without_encryption(words: list[str]) -> None:
    found = subprocess.run([sys.executable, "-m", "codabench", *words], capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert "CB656" in found.stderr


def test_a_client_does_not_reach_out_without_encryption() -> None:
    with pytest.raises(UsageError) as caught:
        DaskBackend("tcp://10.1.2.3:8786", timeout=1)
    assert caught.value.code == "CB656"


def test_everything_listens_on_the_named_address_only(cluster: Cluster) -> None:
    worker = cluster.worker(1)
    for process in (cluster.scheduler.process, worker.process):
        found = listening(process.pid)
        assert found
        assert {address for address, _ in found} == {"127.0.0.1"}


def listening(pid: int) -> list[tuple[str, int]]:
    """Where a process listens (from /proc: the sockets it holds, and those that listen)."""
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if _is_link(pid, fd)}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in held:
                address, _, port = words[1].partition(":")
                octets = [str(int(address[i : i + 2], 16)) for i in range(0, 8, 2)][::-1]
                found.append((".".join(octets) if table == "tcp" else address, int(port, 16)))
    return found


def _is_link(pid: int, fd: str) -> bool:
    try:
        return bool(os.readlink(f"/proc/{pid}/fd/{fd}"))
    except OSError:
        return False


def test_keys_are_for_their_owner_and_an_authority_signs_again(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certs", ["10.0.0.7", "worker-1"])
    assert [path.name for path in made] == ["ca.pem", "ca-key.pem", "cert.pem", "key.pem"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
    assert (modes["ca-key.pem"], modes["key.pem"]) == (0o600, 0o600)
    with pytest.raises(UsageError, match="there is a certificate"):
        make_certificates(tmp_path / "certs")
    for name in ("cert.pem", "key.pem"):
        (tmp_path / "certs" / name).unlink()
    assert [path.name for path in make_certificates(tmp_path / "certs")] == ["cert.pem", "key.pem"]
    (tmp_path / "certs" / "ca-key.pem").unlink()
    with pytest.raises(CodabenchError) as caught:
        make_certificates(tmp_path / "certs")
    assert caught.value.code == "CB655"


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ca\.pem, cert\.pem, key\.pem") as caught:
        DaskBackend("dask://127.0.0.1:1", tls=tmp_path)
    assert caught.value.code == "CB655"
