"""The way out for programs without network: what it lets through, and what never."""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.backends.engine import EngineInfo
from codabench.core.errors import PolicyError, UsageError
from codabench.core.policy import Network, Policy
from codabench.runner import forward, proxy
from codabench.runner.effective import refuse_open_proxy
from codabench.runner.proxy import AllowListProxy, _wanted, is_public
from codabench.workspace.settings import tailored


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"hello {self.path} {self.headers['Host']}".encode())

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made.server_address[1]
        made.shutdown()


def ask(place: Path, said: bytes) -> bytes:
    """What the proxy answers to these bytes, until it closes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(place / "socket"))
        client.sendall(said)
        got = b""
        while data := client.recv(65536):
            got += data
        return got


def test_a_host_of_the_list_is_reached_both_ways(server: int, tmp_path: Path) -> None:
    made = AllowListProxy(tmp_path / "p", (f"127.0.0.1:{server}",))
    plain = ask(tmp_path / "p", f"GET http://127.0.0.1:{server}/a?b HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert plain.endswith(b"hello /a?b x")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "p" / "socket"))
        client.sendall(f"CONNECT 127.0.0.1:{server} HTTP/1.1\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /through HTTP/1.0\r\n\r\n")
        got = b""
        while data := client.recv(1000):
            got += data
    assert got.endswith(b"hello /through None")
    assert made.reached == {f"127.0.0.1:{server}": 2}
    made.close()


@pytest.mark.parametrize("hosts", [(), ("127.0.0.1",), ("localhost",), (".",), ("example.org",), ("127.0.0.1:1",)])
def test_what_the_list_does_not_mean_is_refused(server: int, tmp_path: Path, hosts: tuple[str, ...]) -> None:
    made = AllowListProxy(tmp_path / "p", hosts)
    for name in ("127.0.0.1", "localhost", "LOCALHOST."):
        request = f"CONNECT {name}:{server} HTTP/1.1\r\n\r\n".encode()
        assert ask(tmp_path / "p", request).startswith(b"HTTP/1.1 403"), name
    assert sum(made.refused.values()) == 3
    assert not made.reached
    made.close()


def test_a_name_on_the_list_leads_to_no_private_address(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are the attacker's: one that is allowed is made to point at this host. The twin does not look."""
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server))
    monkeypatch.setattr("codabench.runner.proxy._addresses", lambda host, port: [address[-1]])
    made = AllowListProxy(tmp_path / "p", ("rebound.example.org",))
    request = b"GET http://rebound.example.org/secret HTTP/1.1\r\n\r\n"
    assert b"no public address" in ask(tmp_path / "p", request)
    monkeypatch.setattr(proxy, "is_public", lambda address: True)
    assert b"hello /secret" in ask(tmp_path / "p", request)
    made.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::169.254.169.254", False),
        ("64:ff9b::8.8.8.8", True),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("line", "host", "port", "first"),
    [
        (b"CONNECT a.org:443 HTTP/1.1", "a.org", 443, None),
        (b"CONNECT [::1]:443 HTTP/1.0", "::1", 443, None),
        (b"GET http://A.org HTTP/1.1", "a.org", 80, b"GET / HTTP/1.1"),
        (b"POST HTTP://a.org:81/x?y HTTP/1.1", "a.org", 81, b"POST /x?y HTTP/1.1"),
        (b"GET http://a.org?q HTTP/1.0", "a.org", 80, b"GET /?q HTTP/1.0"),
    ],
)
def test_what_a_request_wants(line: bytes, host: str, port: int, first: bytes | None) -> None:
    found = _wanted(line + b"\r\nProxy-Connection: keep-alive\r\nAccept: x")
    assert found[:2] == (host, port)
    if first is None:
        assert found[2] is None
    else:
        assert found[2] == first + b"\r\nAccept: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET / HTTP/1.1",
        b"CONNECT a.org HTTP/1.1",
        b"CONNECT a.org:0 HTTP/1.1",
        b"CONNECT a.org:65536 HTTP/1.1",
        b"CONNECT a@b.org:443 HTTP/1.1",
        b"GET http://user:password@a.org/ HTTP/1.1",
        b"GET https://a.org/ HTTP/1.1",
        b"GET ftp://a.org/ HTTP/1.1",
        b"GET http://a.org/ x HTTP/1.1",
        b"CONNECT a.org:443 HTTP/2",
    ],
)
def test_what_is_no_request_to_a_proxy(line: bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - it is raised with the line, whatever that is
        _wanted(line)
    assert caught.value.args == (line,)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_none(data: bytes) -> None:
    try:
        host, port, _ = _wanted(data)
    except ValueError:
        return
    assert host
    assert 0 < port < 65536


def test_nonsense_and_silence_end(tmp_path: Path) -> None:
    made = AllowListProxy(tmp_path / "p", ("a.org",))
    assert ask(tmp_path / "p", b"SSH-2.0-x\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert ask(tmp_path / "p", b"x" * 65536).startswith(b"HTTP/1.1 400")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(tmp_path / "p" / "socket"))
        silent.sendall(b"CONNECT")
        made.close()
        silent.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(1) == b""


def test_a_path_may_be_long(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 100) / ("y" * 100)
    place.mkdir(parents=True)
    made = AllowListProxy(place / "p", ("a.org",))
    assert (place / "p" / "socket").is_socket()
    made.close()


def _end_forwarders(port: int) -> None:
    """In a container they end with it."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"forward.py\0{port}\0".encode() in each.read_bytes():
                os.kill(int(each.parent.name), signal.SIGKILL)


def test_inside_a_program_finds_a_proxy_and_stays_itself(server: int, tmp_path: Path) -> None:
    """The forwarder as it runs in a container; here without one, at a port of its own."""
    made = AllowListProxy(tmp_path / "p", (f"127.0.0.1:{server}",))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = f"""
import os, sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{"http": "http://127.0.0.1:{port}"}}))
print(opener.open("http://127.0.0.1:{server}/inside").read().decode())
try:
    os.wait()
except ChildProcessError:
    print("no child")
sys.exit(7)
"""
    way = [sys.executable, str(forward.__file__), str(port), str(tmp_path / "p" / "socket")]
    ended = subprocess.run(
        [*way, sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout.split()[:2]) == (7, ["hello", "/inside"]), ended
    assert "no child" in ended.stdout
    made.close()
    _end_forwarders(port)
    missing = subprocess.run([*way, "/missing"], capture_output=True, text=True, timeout=30, check=False)
    assert missing.returncode in (1, 127), missing
    _end_forwarders(port)


def test_an_empty_list_and_an_engine_without_a_network_of_its_own_are_refused() -> None:
    good = EngineInfo(name="x", version="1", enforced={"network_none": True})
    allowed = Policy(network=Network.PROXY, hosts=("a.org",))
    refuse_open_proxy(allowed, good)
    with pytest.raises(PolicyError, match="no host is allowed") as caught:
        refuse_open_proxy(Policy(network=Network.PROXY), good)
    assert caught.value.code == "CB364"
    with pytest.raises(PolicyError, match="cannot hold a program"):
        refuse_open_proxy(allowed, good.model_copy(update={"enforced": {"network_none": False}}))


@pytest.mark.parametrize("name", ["", "a b", "http://a.org", "a.org/", "..", "-", "*", "a.org:port", "a\n"])
def test_what_is_no_host(name: str) -> None:
    with pytest.raises(UsageError, match="no name of a host"):
        tailored("standard", allow=[name])


def test_allowing_a_host_means_the_proxy() -> None:
    made = tailored("standard", allow=[".PyPI.org", "mirror.lab:8080"])
    assert (made.network, made.hosts) == (Network.PROXY, (".pypi.org", "mirror.lab:8080"))
    with pytest.raises(UsageError, match="network open"):
        tailored("standard", network="open", allow=["a.org"])
