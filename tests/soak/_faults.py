"""A proxy in front of an S3 server that spoils some of the answers, and writes down each time that it does."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

ERRORS = (500, 502, 503, 429)
KINDS = ("error", "timeout", "cut", "lost")
"""An error instead of an answer; no answer; half of its body; or the server did it and its answer is lost."""
_ERROR = '<?xml version="1.0"?><Error><Code>{}</Code><Message>a fault on purpose</Message></Error>'
_CODES = {500: "InternalError", 502: "BadGateway", 503: "SlowDown", 429: "TooManyRequests"}


class FaultProxy:
    """Passes requests on to the server of a URL.

    Attributes
    ----------
    url
        To be used instead of the server's.
    rate
        The part of all requests that a fault hits.
    requests, passed
        Requests so far; bytes of bodies that went either way, also where they were cut.
    faults
        How many there were of each kind.
    """

    def __init__(self, url: str, log: Path, *, seed: int, patience: float) -> None:
        parts = urlsplit(url)
        self.server = (str(parts.hostname), int(parts.port or 80))
        self.rate, self.patience = 0.0, patience
        self.requests, self.passed = 0, 0
        self.faults: Counter[str] = Counter()
        self._random, self._lock, self._log = random.Random(seed), threading.Lock(), log.open("w")
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._log.close()

    def begin(self, line: str) -> tuple[str, int]:
        """What happens to a request, and the status of an error."""
        with self._lock:
            self.requests += 1
            if self._random.random() >= self.rate:
                return "", 0
            kind, status = self._random.choice(KINDS), self._random.choice(ERRORS)
            self.faults[kind] += 1
            self._log.write(json.dumps({"at": time.time(), "fault": kind, "status": status, "request": line}) + "\n")
            return kind, status

    def count(self, size: int) -> None:
        with self._lock:
            self.passed += size


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Any

    def log_message(self, *args: object) -> None:
        """Nothing: faults are in the log of the proxy."""

    def _pass(self) -> None:
        kind, status = self.proxy.begin(self.requestline)
        body = self._body()
        self.proxy.count(len(body))
        if kind == "error":
            self._answer(status, _ERROR.format(_CODES[status]).encode(), {"Content-Type": "application/xml"})
            return
        if kind == "timeout":
            time.sleep(self.proxy.patience)
            self.close_connection = True
            return
        connection = http.client.HTTPConnection(*self.proxy.server, timeout=60)
        try:
            # As they came: the signature is of these very headers.
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if kind == "lost":
            self.close_connection = True
            return
        headers = {n: v for n, v in answer.getheaders() if n.lower() not in ("connection", "transfer-encoding")}
        self._answer(answer.status, data, headers, cut=kind == "cut")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raise NotImplementedError("bodies in chunks")
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, data: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        with contextlib.suppress(OSError):
            self.send_response_only(status)
            names = {name.lower() for name in headers}
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in names and status not in (204, 304):
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "HEAD":
                return
            sent = data[: len(data) // 2] if cut else data
            self.wfile.write(sent)
            self.proxy.count(len(sent))
            if cut:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
