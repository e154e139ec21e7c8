"""A way out for programs that have no network: a proxy that lets through what an allow-list names (security.md C16).

The container keeps its empty network. What leads out is one socket in a directory that is mounted into it; inside,
`codabench.runner.forward` makes an HTTP proxy of it at 127.0.0.1. Names are resolved here and never inside; addresses
that are not public are refused, so that no name on the list can lead to this host, its neighbours or the metadata
service of a cloud.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import select
import shutil
import socket
import socketserver
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from codabench.core.granting import covers

TARGET: Final = "/app/.codabench"
"""Where the directory with the socket is mounted, read-only."""
PORT: Final = 3128
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_NOT_FOR = "localhost,127.0.0.1"
ENVIRONMENT: Final = {
    **{name: f"http://127.0.0.1:{PORT}" for each in _VARIABLES for name in (each, each.upper())},
    "no_proxy": _NOT_FOR,
    "NO_PROXY": _NOT_FOR,
}
"""What HTTP libraries and pip look at."""

_USUAL_PORTS = (80, 443)
_HEAD, _CONNECTIONS, _NAMES = 64 * 1024, 64, 1000
_CONNECT_SECONDS, _SILENT_SECONDS = 20.0, 300.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def command(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command that starts the way out inside the container and then becomes `argv`."""
    return ("python3", f"{TARGET}/forward.py", str(PORT), f"{TARGET}/socket", *argv)


class AllowListProxy:
    """Listens on a socket in `directory`, which it makes, until it is closed.

    Parameters
    ----------
    hosts
        ``pypi.org``, ``.pythonhosted.org`` (all below it), at ports 80 and 443; or with a port of its own
        (``mirror.lab:8080``), which may also be an address that is not public: whoever wrote the list means it.

    Attributes
    ----------
    reached, refused
        ``host:port`` -> how often.
    """

    def __init__(self, directory: Path, hosts: tuple[str, ...]) -> None:
        self._hosts = hosts
        self.reached: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._lock = threading.Lock()
        directory.mkdir(mode=0o755)
        shutil.copyfile(Path(__file__).with_name("forward.py"), directory / "forward.py")
        (directory / "forward.py").chmod(0o644)
        self._server = _Server(directory, self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="codabench-proxy", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Cut every connection."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def open(self, host: str, port: int) -> socket.socket:
        """A connection to a host of the list.

        Raises
        ------
        PermissionError
            The list does not name it, or it has no address that may be reached.
        OSError
            It cannot be reached.
        """
        name = f"{host}:{port}"
        meant = any(covers(rule, name) for rule in self._hosts if _has_port(rule))
        listed = port in _USUAL_PORTS and any(covers(rule, host) for rule in self._hosts if not _has_port(rule))
        if not meant and not listed:
            self._count(self.refused, name)
            raise PermissionError(f"{name} is not on the allow-list of this run")
        usable = [address for address in _addresses(host, port) if meant or is_public(str(address[0]))]
        if not usable:
            self._count(self.refused, name)
            raise PermissionError(f"{name} has no public address")
        # The address that was looked at is the one that is connected to: a name may be resolved otherwise next time.
        upstream = _connected(usable)
        self._count(self.reached, name)
        return upstream

    def _count(self, counter: Counter[str], name: str) -> None:
        with self._lock:
            if name in counter or len(counter) < _NAMES:
                counter[name] += 1


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, also where it carries another one inside."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def _has_port(rule: str) -> bool:
    return re.search(r":\d+$", rule) is not None


def _addresses(host: str, port: int) -> list[tuple[object, ...]]:
    return [address for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _connected(addresses: list[tuple[object, ...]]) -> socket.socket:
    for address in addresses:
        try:
            return socket.create_connection((str(address[0]), int(str(address[1]))), timeout=_CONNECT_SECONDS)
        except OSError as error:
            failure = error
    raise failure


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, directory: Path, proxy: AllowListProxy) -> None:
        self.proxy = proxy
        self.places = threading.BoundedSemaphore(_CONNECTIONS)
        self._open: set[socket.socket] = set()
        # A path of any length: the name of a socket has room for a hundred characters only.
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            super().__init__(f"/proc/self/fd/{folder}/socket", _Connection)
        finally:
            os.close(folder)
        # Whoever sees the directory may connect: it is private on this host, and mounted into one run.
        (directory / "socket").chmod(0o666)

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A program that talks nonsense is its own problem."""

    def server_close(self) -> None:
        super().server_close()
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        self.request.settimeout(_SILENT_SECONDS)
        with self.server.places:
            head, body = self._head()
            try:
                host, port, onward = _wanted(head)
            except ValueError:
                self._answer("400 Bad Request", "this is a proxy for HTTP")
                return
            try:
                upstream = self.server.proxy.open(host, port)
            except PermissionError as error:
                self._answer("403 Forbidden", str(error))
            except OSError as error:
                self._answer("502 Bad Gateway", f"{host}:{port} cannot be reached: {error}")
            else:
                with upstream:
                    if onward is None:
                        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    upstream.sendall((onward or b"") + body)
                    _exchange(self.request, upstream)

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data and len(data) < _HEAD:
            more = self.request.recv(_HEAD - len(data))
            if not more:
                break
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        return head, body

    def _answer(self, status: str, text: str) -> None:
        body = f"codabench: {text}\n".encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.request.sendall(head.encode() + body)


_CONNECT = re.compile(rb"CONNECT (?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>\d{1,5}) HTTP/1\.[01]")
_PLAIN = re.compile(
    rb"(?P<verb>[A-Z]+) (?i:http)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>\d{1,5}))?"
    rb"(?P<path>[/?][!-~]*)? (?P<version>HTTP/1\.[01])"
)


def _wanted(head: bytes) -> tuple[str, int, bytes | None]:
    """Host and port that a request names, and what to say to the host; None where the connection is its own.

    Raises
    ------
    ValueError
        If it is no request to a proxy.
    """
    line, *headers = head.split(b"\r\n")
    found = _CONNECT.fullmatch(line)
    onward: bytes | None = None
    if found is None:
        found = _PLAIN.fullmatch(line)
        if found is None:
            raise ValueError(line)
        path = found["path"] or b"/"
        kept = [h for h in headers if h.partition(b":")[0].strip().lower() not in (b"connection", b"proxy-connection")]
        first = b" ".join((found["verb"], path if path.startswith(b"/") else b"/" + path, found["version"]))
        # One request for one connection, so that a second one cannot be meant for another host.
        onward = b"\r\n".join([first, *kept, b"Connection: close", b"", b""])
    port = int(found["port"] or 80)
    if not 0 < port < 65536:
        raise ValueError(line)
    return found["host"].decode().strip("[]").lower(), port, onward


def _exchange(one: socket.socket, other: socket.socket) -> None:
    """Pass on in both directions until both have ended, or nothing is said for long."""
    open_ends = {one: other, other: one}
    while open_ends:
        ready, _, _ = select.select(list(open_ends), [], [], _SILENT_SECONDS)
        if not ready:
            return
        for source in ready:
            data = source.recv(65536)
            target = open_ends[source]
            if data:
                target.sendall(data)
                continue
            del open_ends[source]
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
