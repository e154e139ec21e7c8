"""The services of the test bed. Each knows how to start, whether it answers, and how to stop."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

from machine import (
    BED,
    SYSTEM_PATH,
    BedError,
    as_user,
    end,
    ensure_user,
    find,
    kill_keepers,
    processes,
    run,
    say,
    user_environment,
)

BRIDGE, BRIDGE_ADDRESS = "codabench0", "10.213.213.1/24"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the socket of an engine."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Service:
    """One daemon: its directory, its socket, its processes.

    A killed process leaves its socket and its pidfile behind; `start` therefore trusts neither, only an answer.
    """

    programs: tuple[str, ...]
    only_root = False
    """Whether nobody but root can use it."""
    has_images = True
    """Whether it is a container engine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.home = BED / name
        self.socket = self.home / "engine.sock"
        self.log = self.home / "log"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def request(self, method: str, path: str, body: object = None, timeout: float = 300.0) -> tuple[int, bytes]:
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, path, body=body, headers={"Content-Type": "application/x-tar"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def answers(self, timeout: float = 5.0) -> bool:
        try:
            return self.request("GET", "/_ping", timeout=timeout)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def start(self) -> bool:
        """Whether it had to be started."""
        if self.answers():
            return False
        self.end_daemon()
        began = time.monotonic()
        self.home.mkdir(mode=0o755, parents=True, exist_ok=True)
        process = self.launch()
        while not self.answers(1.0):
            if process.poll() is not None or time.monotonic() - began > 60:
                tail = self.log.read_text(errors="replace")[-3000:]
                raise BedError(f"{self.name} did not start; the end of {self.log}:\n{tail}")
            time.sleep(0.05)
        say(f"{self.name} started in {time.monotonic() - began:.1f} s")
        return True

    def launch(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def spawn(self, argv: list[str], **options: object) -> subprocess.Popen[bytes]:
        """A process that outlives this one, writing into the log."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/", **options
            )

    def end_daemon(self) -> None:
        """End what serves the socket; containers may go on."""
        end(self.programs, f"{self.home}/")
        self.socket.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the daemon and its containers."""
        raise NotImplementedError


class Docker(Service):
    """A Docker daemon of our own, reachable by group docker.

    It has a bridge of its own and leaves the machine's packet filter alone: a container with network reaches this host
    at the address of the bridge and nothing beyond.
    """

    programs = ("dockerd",)
    bridge: str | None = BRIDGE

    def config(self) -> dict[str, object]:
        return {
            "hosts": [self.url],
            "group": "docker",
            "data-root": str(self.home / "data"),
            "exec-root": str(self.home / "exec"),
            "pidfile": str(self.home / "docker.pid"),
            "bridge": self.bridge if self.bridge and self.bridge_ready() else "none",
            "iptables": False,
            "ip6tables": False,
            "ip-masq": False,
            "ip-forward": False,
            "storage-driver": "overlay2",
            "insecure-registries": ["127.0.0.1:5000"],
        }

    def bridge_ready(self) -> bool:
        """Make the bridge; on a machine that lets us make none, containers get no network at all."""
        if Path(f"/sys/class/net/{self.bridge}").exists():
            return True
        ip = find("ip") or "ip"
        try:
            run([ip, "link", "add", BRIDGE, "type", "bridge"])
            run([ip, "address", "add", BRIDGE_ADDRESS, "dev", BRIDGE])
            run([ip, "link", "set", BRIDGE, "up"])
        except BedError as error:
            say(f"no bridge for containers with network: {error}")
            return False
        return True

    def command(self) -> list[str]:
        # Where a containerd of the system runs, dockerd joins it: our names must not meet those of other daemons.
        space = f"codabench-test-{self.name}"
        spaces = ["--containerd-namespace", space, "--containerd-plugins-namespace", f"{space}-plugins"]
        return [find("dockerd") or "dockerd", "--config-file", str(self.home / "daemon.json"), *spaces]

    def launch(self) -> subprocess.Popen[bytes]:
        (self.home / "docker.pid").unlink(missing_ok=True)  # dockerd refuses to start over a stale one,
        if not any(processes(("containerd",), f"{self.home}/")):  # and takes a dead containerd for a living one
            (self.home / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        (self.home / "daemon.json").write_text(json.dumps(self.config(), indent=1))
        return self.spawn(self.command(), env={"PATH": SYSTEM_PATH, "HOME": "/root"})

    def stop(self) -> None:
        self.end_daemon()  # its containers with it, unless it was killed before
        end(("containerd",), f"{self.home}/")
        kill_keepers(("containerd-shim-runc-v2",), f"{self.home}/")
        unmount_below(self.home)


class BlindDocker(Docker):
    """A Docker daemon that does not see our files: what a remote daemon, or an engine in a container, is to us.

    It lives in a mount namespace where everything but the system's own directories is empty, /tmp and /home included.
    """

    bridge = None
    SYSTEM = frozenset(("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin"))
    KEPT = SYSTEM | {"sys", "usr", "var", "lost+found"}

    def command(self) -> list[str]:
        hidden = [f"/{each.name}" for each in Path("/").iterdir() if each.name not in self.KEPT and each.is_dir()]
        hidden += [each for each in ("/var/tmp", "/run/containerd", "/run/user") if Path(each).is_dir()]
        home = shlex.quote(str(self.home))
        lines = ["set -e", f"cd {home}"]
        lines += [f"mount -t tmpfs -o mode=1777 none {shlex.quote(each)}" for each in sorted(hidden)]
        # Our working directory is still the real one: give it its name back.
        lines += [
            f"mkdir -p {home}",
            f"mount --no-canonicalize --bind . {home}",
            "cd /",
            f"exec {shlex.join(super().command())}",
        ]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)]


class Podman(Service):
    """The Podman service of root."""

    programs = ("podman",)
    only_root = True
    rootless = False

    def __init__(self, name: str = "podman", run_dir: str = "run") -> None:
        super().__init__(name)
        self.run_dir = BED / run_dir

    def files(self) -> dict[str, str]:
        """Settings that work where raising limits is not allowed and the cgroup hierarchy is a hybrid."""
        nofile = min(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        pure = not Path("/sys/fs/cgroup/unified").exists() and Path("/sys/fs/cgroup/cgroup.controllers").exists()
        runtime = "" if pure else 'runtime = "runc"\n'  # crun: "cgroups in hybrid mode not supported"
        soft = 1024 if self.rootless else nofile
        return {
            "containers.conf": f'[containers]\ndefault_ulimits = ["nofile={soft}:{nofile}", "nproc=1000:1000"]\n'
            f'[engine]\n{runtime}cgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            # Root's Podman of the machine keeps its events and exit codes in /run/libpod: ours stay apart.
            f'tmp_dir = "{self.run_dir}/libpod"\n',
            "storage.conf": f'[storage]\ndriver = "overlay"\ngraphroot = "{self.home}/graph"\n'
            f'rootless_storage_path = "{self.home}/graph"\nrunroot = "{self.run_dir}/storage"\n',
        }

    def environment(self) -> dict[str, str]:
        """What the podman command needs to work on this store."""
        return {
            "CONTAINERS_CONF": str(self.home / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.home / "storage.conf"),
        }

    def argv(self) -> list[str]:
        return [find("podman") or "podman", "system", "service", "--time=0", self.url]

    def prepare(self, mode: int) -> None:
        if len(f"{self.run_dir}/containers") > 50:  # Podman then refuses to clean up after containers: they never end
            raise BedError(f"CODABENCH_TEST_BED={BED} is too long for Podman: at most 35 characters")
        for name, text in self.files().items():
            (self.home / name).write_text(text)
        self.run_dir.mkdir(mode=mode, exist_ok=True)

    def launch(self) -> subprocess.Popen[bytes]:
        self.prepare(0o755)
        return self.spawn(self.argv(), env={"PATH": SYSTEM_PATH, "HOME": "/root", **self.environment()})

    def stop(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # containers do not end with the service
            for each in json.loads(self.request("GET", "/v4.0.0/libpod/containers/json", timeout=30)[1]):
                self.request("POST", f"/v4.0.0/libpod/containers/{each['Id']}/kill?signal=KILL", timeout=30)
        self.end_daemon()
        kill_keepers(("conmon",), f"{self.home}/")
        unmount_below(self.home)

    def forget_boot(self) -> None:
        """After a reboot nothing of what Podman believes to be running or mounted is."""
        shutil.rmtree(self.run_dir, ignore_errors=True)


class RootlessPodman(Podman):
    """The Podman service of an ordinary user."""

    only_root = False
    rootless = True

    def __init__(self) -> None:
        super().__init__("rootless", "xdg")

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "XDG_RUNTIME_DIR": str(self.run_dir)}

    def launch(self) -> subprocess.Popen[bytes]:
        entry = ensure_user()
        open_tun()
        self.prepare(0o700)
        for each in (self.home, self.run_dir):
            os.chown(each, entry.pw_uid, entry.pw_gid)
        return self.spawn(self.argv(), env={**user_environment(entry), **self.environment()}, **as_user(entry))

    def stop(self) -> None:
        super().stop()
        end(("podman", "catatonit"), str(self.run_dir))  # what holds the user namespace


def open_tun() -> None:
    """Let everyone open the device of user-mode networking, as udev does on an ordinary machine."""
    tun = Path("/dev/net/tun")
    if tun.exists() and not tun.stat().st_mode & 0o002:
        say("chmod 0666 /dev/net/tun, for the network of rootless containers")
        tun.chmod(0o666)


def unmount_below(folder: Path) -> None:
    """What killed containers leave mounted keeps their directories busy."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    points = [point for point in (line.split()[1] for line in lines) if point.startswith(f"{folder}/")]
    for point in sorted(points, reverse=True):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
