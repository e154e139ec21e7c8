"""Programs without network that may reach what an allow-list names, and nothing else (security.md C15, C16)."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.local import LocalBackend
from codabench.backends.select import engine_named
from codabench.core.errors import PolicyError
from codabench.testing.bundles import write_bundle, write_files

pytestmark = pytest.mark.engine

ASKS = """
    import json, socket, sys, urllib.request
    allowed, other = sys.argv[2:4]

    def reach(url):
        try:
            return urllib.request.urlopen(url, timeout=10).read() == b"hello"
        except OSError as error:
            print(url, error)
            return False

    def direct(url):
        host, port = url.split("/")[2].split(":")
        try:
            socket.create_connection((host, int(port)), timeout=3).close()
            return True
        except OSError as error:
            print("direct", url, error)
            return False

    scores = {"score": reach(allowed), "other": reach(other), "direct": direct(allowed)}
    json.dump(scores, open(sys.argv[1] + "/scores.json", "w"))
"""
HOST = os.environ.get("CODABENCH_TEST_HOST", "127.0.0.1")


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Two servers of this host."""
    servers = [http.server.ThreadingHTTPServer(("0.0.0.0", 0), Hello) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [server.server_address[1] for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = engine_named(f"{request.param}:{request.getfixturevalue(request.param + '_url')}")
    yield made
    made.close()


def run(engine: Any, tmp_path: Path, ports: list[int], **options: Any) -> cb.RunHandle:
    urls = " ".join(f"http://{HOST}:{port}/" for port in ports)
    files = {"main.py": ASKS, "metadata": f"command: python3 main.py $output {urls}\n"}
    bundle = write_bundle(tmp_path / "bundle", scoring=files, columns=("score", "other", "direct"))
    with cb.load(bundle) as comp:
        made = comp.run(write_files(tmp_path / "mine", {"x": ""}), backend=engine, progress="none", **options).run
        assert made.status is cb.Status.FINISHED, (made, made.logs)
        return made


def test_one_host_and_no_other(engine: Any, tmp_path: Path, ports: list[int]) -> None:
    made = run(engine, tmp_path, ports, allow=[f"{HOST}:{ports[0]}"])
    assert made.scores == {"score": 1.0, "other": 0.0, "direct": 0.0}
    said = [warning.message for warning in made.warnings if warning.code == "CB664"]
    assert len(said) == 1
    assert f"{HOST}:{ports[1]}" in said[0]
    assert made.provenance["policy"]["network"] == "proxy"


def test_a_worker_that_does_not_grant_it(engine: Any, tmp_path: Path, ports: list[int]) -> None:
    with LocalBackend(engine, ceiling=cb.Policy()) as backend:
        made = run(backend, tmp_path, ports, allow=[f"{HOST}:{ports[0]}"])
    assert made.scores == {"score": 0.0, "other": 0.0, "direct": 0.0}


@pytest.mark.docker
def test_an_engine_that_does_not_see_the_socket_is_refused(
    blind_docker_url: str, tmp_path: Path, ports: list[int]
) -> None:
    engine = engine_named(f"docker:{blind_docker_url}")
    try:
        with pytest.raises(PolicyError, match="no way for a proxy"):
            run(engine, tmp_path, ports, allow=["example.org"])
    finally:
        engine.close()
