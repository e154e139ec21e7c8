"""What the test bed needs of the machine: packages, an ordinary user, places, processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

BED = Path(os.environ.get("CODABENCH_TEST_BED", "/var/tmp/codabench-test-bed"))
USER = "codabench-test"

# A program that must be on PATH, and the Debian/Ubuntu package that brings it. A machine may have the program from
# elsewhere (docker-ce), and then the package would conflict with it: so the program decides.
PROGRAMS = {
    "dockerd": "docker.io",
    "docker-init": "tini",
    "podman": "podman",
    "bwrap": "bubblewrap",
    "catatonit": "catatonit",
    "netavark": "netavark",
    "runc": "runc",
    "newuidmap": "uidmap",
    "slirp4netns": "slirp4netns",
    "docker-registry": "docker-registry",
    "initdb": "postgresql",
    "ip": "iproute2",
    "iptables": "iptables",
    "setpriv": "util-linux",
    "useradd": "passwd",
    "bash": "bash",
    "chromium": "chromium",
}
PACKAGES = ["busybox-static", "fonts-liberation", "python3", "python3-venv"]
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BedError(Exception):
    """Something that a person has to see to; the message says what."""


def say(text: str) -> None:
    """Progress goes to stderr: stdout is for answers."""
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def is_root() -> bool:
    return os.geteuid() == 0


def find(program: str) -> str | None:
    """Like which, but sees the directories of daemons also when PATH does not name them."""
    if program == "docker-init" and Path("/usr/libexec/docker/docker-init").exists():
        return "/usr/libexec/docker/docker-init"
    if program == "chromium":  # on Ubuntu it is a snap, or somebody has installed Chrome
        return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    for extra in ("/usr/lib/podman", "/usr/libexec/podman", *versions):
        if os.access(f"{extra}/{program}", os.X_OK):
            return f"{extra}/{program}"
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


def run(argv: list[str], **options: object) -> str:
    """Run a command and return what it printed; a failure shows the end of its output."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        raise BedError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def installed(package: str) -> bool:
    ask = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout == "installed"


def missing_packages() -> list[str]:
    packages = [package for program, package in PROGRAMS.items() if find(program) is None]
    return packages + [package for package in PACKAGES if not installed(package)]


def install() -> None:
    """Install what is missing; does nothing, not even an update, when nothing is."""
    if shutil.which("dpkg-query") is None:
        raise BedError("the test images are made of Debian packages: this needs Debian or Ubuntu")
    missing = missing_packages()
    if not missing:
        return
    if not is_root():
        raise BedError(f"not installed: {', '.join(missing)}. As root: apt-get install {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
    run(["apt-get", "update", "-q"], env=quiet)
    run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing], env=quiet)


def ensure_user() -> pwd.struct_passwd:
    """The ordinary user as whom the suite runs a second time: in group docker, with a range of sub-ids."""
    run(["groupadd", "--force", "--system", "docker"])
    try:
        pwd.getpwnam(USER)
    except KeyError:
        run(["useradd", "--create-home", "--shell", "/bin/bash", USER])
    run(["usermod", "--append", "--groups", "docker", USER])
    for file, option in (("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")):
        lines = Path(file).read_text().splitlines() if Path(file).exists() else []
        if not any(line.startswith(f"{USER}:") for line in lines):
            taken = [int(start) + int(count) for _, start, count in (line.split(":") for line in lines if line)]
            first = max([231072, *taken])
            run(["usermod", option, f"{first}-{first + 65535}", USER])
    return pwd.getpwnam(USER)


def as_user(entry: pwd.struct_passwd) -> dict[str, object]:
    """Arguments of subprocess that make the child that user."""
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(USER, entry.pw_gid)}


def user_environment(entry: pwd.struct_passwd) -> dict[str, str]:
    return {"HOME": entry.pw_dir, "USER": USER, "LOGNAME": USER, "SHELL": "/bin/bash", "PATH": SYSTEM_PATH}


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One `up` or `down` at a time."""
    BED.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (BED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def processes(program: tuple[str, ...], mark: str) -> Iterator[int]:
    """Processes of these programs with `mark` in their command line or environment.

    Found anew each time: a pid kept in a file is soon that of somebody else, and rootless Podman changes its own.
    """
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            words = (each / "cmdline").read_bytes()
            if Path(os.fsdecode(words.split(b"\0")[0])).name in program and (
                mark.encode() in words or mark.encode() in (each / "environ").read_bytes()
            ):
                yield int(each.name)


def end(program: tuple[str, ...], mark: str, patience: float = 15.0) -> None:
    """Ask those processes to end, then make them."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        for pid in processes(program, mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + seconds
        while any(processes(program, mark)) and time.monotonic() < until:
            time.sleep(0.05)


def kill_keepers(program: tuple[str, ...], mark: str) -> None:
    """Kill what keeps containers running without a daemon, after the containers' own first processes."""
    for pid in list(processes(program, mark)):
        with contextlib.suppress(OSError, ValueError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                for child in (task / "children").read_text().split():
                    os.kill(int(child), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
