"""The link to a dashboard: only where one answers, and has something to show."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from codabench.backends.dask.dashboard import dashboard_of, is_here

PLOTS = b'{"Individual Task Stream": "/individual-task-stream"}'


@contextmanager
def serving(answer: bytes | None) -> Iterator[int]:
    """An HTTP server on loopback, as schedulers have one: with a dashboard, without one, or of somebody else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answer is not None and self.path == "/individual-plots.json"
            self.send_response(200 if found or self.path == "/status" else 404)
            self.end_headers()
            self.wfile.write(answer or b"<p>Dask needs bokeh for the dashboard.</p>" if found else b"")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("answer", "there"), [(PLOTS, True), (b"{}", False), (b"<html>", False), (None, False)])
def test_a_dashboard_has_something_to_show(answer: bytes | None, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # no proxy is asked for what is on this machine
    with serving(answer) as port:
        said = {"address": "tls://127.0.0.1:8786", "services": {"dashboard": port}}
        assert dashboard_of(said) == (f"http://127.0.0.1:{port}/status" if there else None)


def test_one_on_loopback_is_found_from_its_own_machine_only() -> None:
    with serving(PLOTS) as port:
        there = {"services": {"dashboard": port}}
        assert dashboard_of({"address": "inproc://", **there}) == f"http://127.0.0.1:{port}/status"
        assert dashboard_of({"address": "tls://192.0.2.1:8786", **there}) is None
        given = f"http://127.0.0.1:{port}/status"
        assert dashboard_of({"address": "tls://192.0.2.1:8786"}, given) == given


def test_a_scheduler_without_any_http_server() -> None:
    assert dashboard_of({"address": "tls://127.0.0.1:8786"}) is None


@pytest.mark.parametrize(("host", "here"), [("127.0.0.1", True), ("localhost", True), ("192.0.2.1", False), ("", True)])
def test_what_is_here(host: str, here: bool) -> None:
    assert is_here(host) is here
