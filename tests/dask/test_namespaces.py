"""Machines that share nothing but an object store: what programs, strangers and workers do not get at."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from apart import PORT, Apart, apart
from namespaces import NoNamespacesError

from codabench.testing.bundles import write_bundle

pytestmark = [pytest.mark.engine, pytest.mark.docker, pytest.mark.once]

REACHES = """
    # How many of the addresses in the reference data can be reached from here.
    import json, socket
    reached = []
    for host, port in json.load(open("/app/input/ref/addresses.json")):
        try:
            socket.create_connection((host, port), timeout=2).close()
            reached.append(f"{host}:{port}")
        except OSError:
            pass
    json.dump({"score": len(reached)}, open("/app/output/scores.json", "w"))
"""

CLIENT = """
import json, sys, time
import codabench as cb
from codabench.backends.dask import DaskBackend
from codabench.backends.dask.certs import make_certificates
from codabench.core.errors import EngineUnavailable
from codabench.core.policy import Network, policy_named
from distributed import Client
from pathlib import Path

storage, db, url, address, bundle = sys.argv[1:]
found = {}

def tried(name, connect):
    try:
        connect().close()
        found[name] = "connected"
    except (OSError, EngineUnavailable):
        found[name] = "refused"

make_certificates(Path("others"))
tried("without", lambda: Client(address.replace("tls://", "tcp://"), timeout=1))
tried("of others", lambda: DaskBackend(address, tls="others", timeout=1))
tried("ours", lambda: DaskBackend(address, tls="certs", timeout=10))
with cb.Workspace(storage, db=db, backend=url) as ws:
    comp = ws.add(cb.load(bundle))
    opened = policy_named("standard").model_copy(update={"network": Network.OPEN})
    policies = {"none": "standard", "open": opened}
    made = {name: ws.submit(comp, {"a": "1"}, policy=policy) for name, policy in policies.items()}
    found |= {name: each.wait(60).scores for name, each in made.items()}
    found |= {f"problem of {name}": str(each.run.outcome.problem) for name, each in made.items() if not each.scores}
    print("found", json.dumps(found), file=sys.stderr, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def secret() -> str:
    """The password of the database; the test bed's takes any."""
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def database(postgres: str, secret: str) -> Iterator[str]:
    """A database of its own."""
    engine = sqlalchemy.create_engine(postgres, isolation_level="AUTOCOMMIT")
    name = f"apart_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    yield f"{postgres}?options=-csearch_path%3D{name}".replace("codabench@", f"codabench:{secret}@")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, docker_url: str, s3: Any, database: str) -> Iterator[Apart]:
    try:
        with apart(tmp_path_factory.mktemp("apart"), workers=1) as made:
            made.start_scheduler().says("scheduler at")
            made.start_worker("worker1", "--engine", f"docker:{docker_url}", "--network", "open", "--slots", "2")
            yield made
    except NoNamespacesError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="module")
def found(here: Apart, database: str, test_image: str) -> Any:
    """What a client came to that tried to get in, and whose programs tried to get out."""
    _, port = here.running["worker1"].says(r"worker worker1 at tls://(.*):(\d+)").groups()
    storage = here.store["AWS_ENDPOINT_URL"].removeprefix("http://").split(":")
    addresses = [(here.scheduler.address, PORT), (here.workers["worker1"].address, int(port)), storage]
    bundle = write_bundle(
        here.client.home / "bundle",
        scoring={"main.py": REACHES},
        reference_data={"addresses.json": json.dumps(addresses)},
        image=test_image,
        results_only=True,
    )
    words = ["-c", CLIENT, here.storage, here.database(database), here.url, here.address, str(bundle)]
    client = here.running["client"] = here.client.serve(*words, program=[sys.executable], **here.store)
    return json.loads(client.says("^found (.*)")[1])


@pytest.mark.row("D03")
@pytest.mark.twin("D03")
def test_a_program_reaches_nothing_of_the_cluster(found: Any) -> None:
    """Its twin: scheduler, worker and storage are there for a program whose network is open."""
    assert found["none"] == {"score": 0}
    assert found["open"] == {"score": 3}


@pytest.mark.row("D01")
def test_nobody_gets_in_without_a_certificate_of_the_cluster(found: Any) -> None:
    assert found["without"] == "refused"
    assert found["of others"] == "refused"
    assert found["ours"] == "connected"


def test_workers_know_nothing_of_the_database(here: Apart, found: Any, secret: str) -> None:
    """Nothing of its address or password is in all of their memory; the twin is the client, which has it."""
    assert found["none"]
    assert holds(here.running["client"].process.pid, secret)
    for name in ("worker1", "scheduler"):
        assert not holds(here.running[name].process.pid, secret)
        assert not holds(here.running[name].process.pid, "postgresql+psycopg://codabench")


def holds(pid: int, word: str) -> bool:
    """Whether the memory of a process holds a word: its environment and its words are part of that."""
    wanted = word.encode()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            start, end = (int(each, 16) for each in place.split("-"))
            if rights.startswith("rw"):
                with contextlib.suppress(OSError, OverflowError):
                    memory.seek(start)
                    if wanted in memory.read(end - start):
                        return True
    return False


def test_directories_are_those_of_one_machine(here: Apart) -> None:
    """What is on one is not on another."""
    (here.client.home / "mine").write_text("x")
    seen = here.workers["worker1"].run("-c", "ls $PLACE $PLACE/*; cat /proc/sys/kernel/hostname", program=["sh"]).stdout
    assert "worker1" in seen
    assert "client" not in seen
    assert "mine" not in seen
    assert "mine" in os.listdir(here.client.home)
