"""Machines that share nothing, on one host: each with a network, a host name and directories of its own.

A machine is a network namespace on the bridge of the test bed's Docker daemon, where containers with an open network
are, too. Its processes also have a mount namespace in which of all machines' directories only their own is there. The
engine is reached through its socket, which is a file. Nothing of another service is reached unless a `Relay` leads
there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import ipaddress
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from served import Served

ROOT = Path(__file__).resolve().parents[2]
HOST = "10.213.213.1"
"""The address of the bridge, unless ``CODABENCH_TEST_HOST`` says another one."""
FIRST, SIZE, BLOCKS = 64, 8, 23
"""Networks that exist at the same time have blocks of addresses of their own."""
NEW_NETWORK = 0x40000000
ENTER = """\
echo "$NODE" > /proc/sys/kernel/hostname
cd "$HOME"
mount -t tmpfs none "$PLACE"
mkdir -p "$HOME"
mount --no-canonicalize --bind . "$HOME"
cd "$HOME"
exec "$@"
"""
"""Of the directory of all machines only one's own is left."""


class NoNamespacesError(Exception):
    """This machine, or this user, cannot make network namespaces."""


class Network:
    """Machines on one bridge.

    Parameters
    ----------
    place
        A directory for those of the machines; no machine sees anything else of it than its own.

    Raises
    ------
    NoNamespacesError
        Nobody but root can make it, and it needs the bridge of the test bed.
    """

    def __init__(self, place: Path) -> None:
        if os.geteuid() != 0:
            raise NoNamespacesError("network namespaces need root")
        self.place = place
        self.host = os.environ.get("CODABENCH_TEST_HOST", HOST)
        self.bridge, self.prefix = _bridge(self.host)
        self.machines: dict[str, Machine] = {}
        self.relays: list[Relay] = []
        self._held, self._next = self._reserved()

    def _reserved(self) -> tuple[IO[str], int]:
        """The first block that nobody holds; what somebody who was killed has left in it goes."""
        for block in range(BLOCKS):
            held = open(f"/run/codabench-namespaces-{block}", "w")  # noqa: SIM115 - held to the end
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                held.close()
                continue
            first = FIRST + block * SIZE
            for octet in range(first, first + SIZE):
                _remove(octet)
            return held, first
        raise NoNamespacesError(f"all {BLOCKS} blocks of addresses are taken")

    def machine(self, name: str) -> Machine:
        """One more machine; all are made before the first process starts on one."""
        made = self.machines[name] = Machine(self, name, self._next)
        self._next += 1
        return made

    def relay(self, to: tuple[str, int], listening: socket.socket | None = None) -> str:
        """Lead to a service of this host, from its address on the bridge or from a socket that listens; where it is."""
        made = Relay(listening or socket.create_server((self.host, 0)), to)
        self.relays.append(made)
        return made.address

    def close(self) -> None:
        """End every process, and remove everything but the directories."""
        for machine in self.machines.values():
            machine.close()
        for relay in self.relays:
            relay.close()
        self._held.close()


class Machine:
    """A namespace with an address of its own.

    Attributes
    ----------
    home
        The only directory that its processes share with nobody and keep.
    """

    def __init__(self, network: Network, name: str, octet: int) -> None:
        self.network, self.name, self._octet = network, f"{name}-{os.getpid()}", octet
        self.address = str(ipaddress.ip_network(f"{network.host}/24", strict=False)[octet])
        self.namespace, self._port = _names(octet)
        self.home = network.place / name
        (self.home / "tmp").mkdir(parents=True)
        self.served: list[Served] = []
        _ip("netns", "add", self.namespace)
        _ip("link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        _ip("link", "set", self._port, "master", network.bridge, "up")
        _ip("-n", self.namespace, "address", "add", f"{self.address}/{network.prefix}", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", self.namespace, "link", "set", device, "up")

    def serve(self, *words: str, program: list[str] | None = None, **env: str) -> Served:
        """A process on it: the command line of this library, or another program."""
        made = Served(*words, program=self._inside(program), env=self._environment(env))
        self.served.append(made)
        return made

    def run(self, *words: str, program: list[str] | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """The same, to its end."""
        command = [*self._inside(program), *words]
        return subprocess.run(command, env=self._environment(env), capture_output=True, text=True, timeout=120)

    def _inside(self, program: list[str] | None) -> list[str]:
        enter = ["nsenter", f"--net=/run/netns/{self.namespace}", "--", "unshare", "--mount", "--uts"]
        return [*enter, "sh", "-ec", ENTER, "sh", *(program or [sys.executable, "-m", "codabench"])]

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        """Nothing of ours but where programs are."""
        own = {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), "NODE": self.name}
        own |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
        return {**own, "PLACE": str(self.network.place), **more}

    def listening(self) -> socket.socket:
        """A socket that listens on its loopback, in our hands."""
        return _in_namespace(self.namespace, lambda: socket.create_server(("127.0.0.1", 0)))

    def cut(self) -> None:
        """From now on nothing that it sends arrives anywhere, and nobody is told."""
        _ip("link", "set", self._port, "nomaster")

    def heal(self) -> None:
        """It is there again."""
        _ip("link", "set", self._port, "master", self.network.bridge)

    def close(self) -> None:
        """End its processes and remove it."""
        for served in self.served:
            if served.process.poll() is None:
                served.kill()
        _remove(self._octet)


class Relay:
    """Passes connections on to a service of this host, from wherever its socket listens."""

    def __init__(self, listening: socket.socket, to: tuple[str, int]) -> None:
        host, port = listening.getsockname()[:2]
        self.address = f"{host}:{port}"
        self._to, self._ended = to, asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(listening),))
        self._thread.start()

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_server(self._join, sock=listening)
        await self._ended.wait()
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(*self._to)
            with contextlib.closing(back):
                ways = [asyncio.ensure_future(_pass(*way)) for way in ((reader, back), (there, writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)

    def close(self) -> None:
        """End it, and all connections."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


def _in_namespace(namespace: str, make: Callable[[], Any]) -> Any:
    """What `make` returns where it is called in a namespace: by a thread that ends with it."""
    made: list[Any] = []

    def enter() -> None:
        with open(f"/run/netns/{namespace}") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(make())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


def _bridge(host: str) -> tuple[str, int]:
    """The interface that has an address, and how long its prefix is."""
    for interface in json.loads(_ip("-json", "address", "show")):
        for address in interface["addr_info"]:
            if address.get("local") == host:
                return interface["ifname"], address["prefixlen"]
    raise NoNamespacesError(f"no interface has the address {host}: scripts/testbed up docker")


def _names(octet: int) -> tuple[str, str]:
    """The namespace with that address, and its port at the bridge."""
    return f"codabench-{octet}", f"cbport{octet}"


def _remove(octet: int) -> None:
    """Remove a machine, if it is there, with whatever still runs on it."""
    namespace, port = _names(octet)
    if Path(f"/run/netns/{namespace}").exists():
        for pid in _ip("netns", "pids", namespace).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), 9)
        _ip("netns", "delete", namespace)
    if Path(f"/sys/class/net/{port}").exists():  # goes with its namespace, but not at once
        with contextlib.suppress(NoNamespacesError):
            _ip("link", "delete", port)


def _ip(*words: str) -> str:
    try:
        return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise NoNamespacesError("there is no command ip: apt-get install iproute2") from None
    except subprocess.CalledProcessError as error:
        raise NoNamespacesError(f"ip {' '.join(words)}: {error.stderr.strip()}") from None
