"""An SSH server on loopback for whoever runs the tests: OpenSSH's where it is installed, else that of asyncssh."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import asyncssh

SSHD = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {place}/host
AuthorizedKeysFile {place}/authorized
PidFile none
PasswordAuthentication no
StrictModes no
UsePAM no
"""


class SSH:
    """Lets the holder of one key run commands here.

    Attributes
    ----------
    options
        What `asyncssh.connect` needs to get in.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        for name, key in (("host", host), ("user", user)):
            key.write_private_key(str(place / name))
            (place / name).chmod(0o600)
        user.write_public_key(str(place / "authorized"))
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        self.name = "OpenSSH" if program else "asyncssh"
        self._close: Any
        self.port = self._openssh(program) if program else self._asyncssh()
        trusted = asyncssh.import_known_hosts(f"[127.0.0.1]:{self.port} {host.export_public_key().decode()}")
        self.options = {"port": self.port, "client_keys": [str(place / "user")], "known_hosts": trusted}

    def close(self) -> None:
        self._close()

    # ------------------------------------------------------------------ OpenSSH
    def _openssh(self, program: str) -> int:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port: int = taken.getsockname()[1]
        config = self.place / "sshd_config"
        config.write_text(SSHD.format(port=port, place=self.place))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        process = subprocess.Popen([program, "-D", "-f", str(config), "-E", str(self.place / "log")])
        end = time.monotonic() + 10
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                self._close = lambda: (process.terminate(), process.wait())
                return port
            time.sleep(0.05)
        raise AssertionError(f"{program} does not answer: {(self.place / 'log').read_text()}")

    # ------------------------------------------------------------------ asyncssh
    def _asyncssh(self) -> int:
        loop, ready = asyncio.new_event_loop(), threading.Event()
        found: list[Any] = []

        async def listen() -> None:
            keys = {
                "server_host_keys": [str(self.place / "host")],
                "authorized_client_keys": str(self.place / "authorized"),
            }
            found.append(await asyncssh.listen("127.0.0.1", 0, process_factory=_serve, encoding=None, **keys))
            ready.set()

        def work() -> None:
            loop.create_task(listen())
            loop.run_forever()

        thread = threading.Thread(target=work, name="ssh", daemon=True)
        thread.start()
        assert ready.wait(10)

        def close() -> None:
            loop.call_soon_threadsafe(found[0].close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)

        self._close = close
        port: int = found[0].get_port()
        return port


async def _serve(process: Any) -> None:
    """Run a command as long as its connection lasts."""
    running = await asyncio.create_subprocess_shell(
        process.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    await process.redirect(stdin=running.stdin, stdout=running.stdout, stderr=running.stderr)
    gone = asyncio.ensure_future(process.wait_closed())
    ended = asyncio.ensure_future(running.wait())
    await asyncio.wait([gone, ended], return_when=asyncio.FIRST_COMPLETED)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGTERM)
    process.exit(await ended)
    gone.cancel()
