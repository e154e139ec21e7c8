"""A real registry on loopback, a proxy before it that is down, slow or lies, and images made by hand."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import socket
import struct
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

COMMANDS = ("sh", "cat", "cp", "echo", "env", "sleep", "true")
USER, PASSWORD = "reader", "not-to-be-seen-7f3a"
HTPASSWD = "reader:$2b$05$abcdefghijklmnopqrstuuBUboF8EIvFLJsvZKR9Y2eSK/t1Z2zY6\n"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """``docker-registry`` on a free port of 127.0.0.1; it ends with `close`."""

    def __init__(self, folder: Path, *, login: bool = False) -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.login = login
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.host},
        }
        if login:
            (folder / "htpasswd").write_text(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
        (folder / "registry.json").write_text(json.dumps(config))  # JSON is YAML too
        program = shutil.which("docker-registry") or "/usr/bin/docker-registry"
        self._process = subprocess.Popen(
            [program, "serve", str(folder / "registry.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError("the registry did not start")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def push(self, repository: str, tag: str, files: dict[str, bytes | str], **config: Any) -> str:
        """Make an image of these files (path -> content, or target of a link) and push it; its digest."""
        data, diff = layer(files)
        made = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"], **config},
            "rootfs": {"type": "layers", "diff_ids": [diff]},
            "history": [{"created_by": "tests"}],
        }
        described = json.dumps(made).encode()
        return self.put_manifest(
            repository,
            tag,
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.blob(repository, described, CONFIG),
                "layers": [self.blob(repository, data, LAYER)],
            },
        )

    def put_manifest(self, repository: str, tag: str, manifest: dict[str, Any]) -> str:
        body = json.dumps(manifest).encode()
        self._call("PUT", f"/v2/{repository}/manifests/{tag}", body, {"Content-Type": MANIFEST})
        return digest(body)

    def blob(self, repository: str, data: bytes, kind: str) -> dict[str, Any]:
        where = self._call("POST", f"/v2/{repository}/blobs/uploads/", b"", {}).removeprefix(f"http://{self.host}")
        self._call("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest(data)}", data, {})
        return {"mediaType": kind, "size": len(data), "digest": digest(data)}

    def _call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> str:
        if self.login:
            headers = {**headers, "Authorization": basic(USER, PASSWORD)}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status < 300, (method, path, answer.status, said)
            return answer.getheader("Location") or ""
        finally:
            connection.close()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def basic(user: str, password: str) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def layer(files: dict[str, bytes | str]) -> tuple[bytes, str]:
    """A compressed layer, and the digest of what it unpacks to."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
                continue
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), 1, mtime=0), digest(raw.getvalue())


def busybox(**more: bytes) -> dict[str, bytes | str]:
    """The files of the smallest image that can run something."""
    commands = dict.fromkeys((f"bin/{name}" for name in COMMANDS), "busybox")
    return {"bin/busybox": Path("/bin/busybox").read_bytes(), **commands, **more}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Faulty:
    """A proxy before a registry. `behave(method, path)` names a fault for each request; None: passed on as it is.

    ``blackhole``: no answer. ``drip``: a few bytes a second. ``cut``: the head of the answer and some of its body.
    ``lie``: another body of the same length under the same headers. A number: that status. ``reset``: the connection
    breaks. Requests that were made are in `seen`.
    """

    def __init__(self, port: int, behave: Callable[[str, str], str | int | None]) -> None:
        self.behave = behave
        self.seen: list[tuple[str, str, str | None]] = []
        self.open = 0
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self._closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        self.open += 1
        with client, suppress(OSError, http.client.HTTPException):
            while self._request(client):
                pass
        self.open -= 1

    def _request(self, client: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (got := client.recv(65536)):
                return False
            head += got
            if head.startswith(b"\x16"):  # engines try TLS first; this is how a plain registry says that it has none
                client.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                return False
        lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines[1:])]
        self.seen.append((method, path, dict(headers).get("Authorization")))
        fault = self.behave(method, path)
        if fault == "blackhole":
            while not self._closed.wait(0.1) and not gone(client):
                pass
            return False
        if fault == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if isinstance(fault, int):
            body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"told to wait"}]}' if fault == 429 else b"oops"
            client.sendall(
                f"HTTP/1.1 {fault} Told\r\nRetry-After: 1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + (b"" if method == "HEAD" else body)
            )
            return True
        return self._pass_on(client, method, path, headers, fault)

    def _pass_on(
        self, client: socket.socket, method: str, path: str, headers: list[tuple[str, str]], fault: str | None
    ) -> bool:
        registry = http.client.HTTPConnection("127.0.0.1", self._target, timeout=30)
        try:
            registry.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:  # a list: engines send many of the same name
                if name != "Accept-Encoding":
                    registry.putheader(name, value)
            registry.endheaders()
            answer = registry.getresponse()
            body = answer.read()
            lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
            lines += [f"{name}: {value}" for name, value in answer.getheaders() if name != "Transfer-Encoding"]
        finally:
            registry.close()
        client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if fault == "cut":
            client.sendall(body[: len(body) // 2])
            return False
        if fault == "lie":
            body = body.replace(b'": ', b'" :', 1) if body[:1] == b"{" else bytes(len(body))
        if fault == "drip":
            for n in range(len(body)):
                if self._closed.wait(0.2) or gone(client):
                    return False
                client.sendall(body[n : n + 1])
        elif method != "HEAD":
            client.sendall(body)
        return True


def gone(client: socket.socket) -> bool:
    """Whether the other side has hung up."""
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    finally:
        client.setblocking(True)
