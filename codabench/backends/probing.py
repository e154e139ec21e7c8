"""What an engine really enforces, tried from inside a container by a program that does its best to break out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from codabench.backends.engine import ContainerSpec, Deadline, Image, StopSignal
from codabench.core.policy import MIB, Limits
from codabench.core.records import ExitReason

if TYPE_CHECKING:
    from codabench.backends.engine import ContainerEngine

MEMORY, PIDS, CPUS, SECONDS = 96 * MIB, 48, 0.5, 30.0

PROPERTIES = ("network_none", "memory", "pids", "cpus", "read_only_root", "no_new_privileges", "user")

MEMORY_REPORT = "memory_report"
"""Whether the engine says so when the kernel kills a child of the program for its memory."""

_CHILD_EATS = f"""
import os, sys
pid = os.fork()
if pid == 0:
    x = bytearray({2 * MEMORY})
    x[::4096] = b"x" * len(x[::4096])
    os._exit(0)
os.waitpid(pid, 0)
sys.exit(3)
"""

PROGRAM = r"""
import json, os, socket, sys, time
memory, pids, cpus = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
found = {}

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(3)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

def network_none():
    names = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
    ghosts = {"lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0"}  # of the kernel
    beyond = sorted(set(names) - ghosts)
    if beyond:
        return "there are network interfaces: " + ", ".join(beyond)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("192.0.2.1", 9))
        return "there is a route to other machines"
    except OSError:
        return ""

def memory_bounded():
    def eat():
        block = bytearray(2 * memory)
        block[::4096] = b"x" * len(block[::4096])
    return "" if child(eat) else "a program could use %d MiB with a limit of %d" % (2 * memory >> 20, memory >> 20)

def pids_bounded():
    made = []
    try:
        for _ in range(2 * pids):
            pid = os.fork()
            if pid == 0:
                time.sleep(60)
                os._exit(0)
            made.append(pid)
        return "a program could start %d processes with a limit of %d" % (len(made), pids)
    except OSError:
        return ""
    finally:
        for pid in made:
            os.kill(pid, 9)
        for pid in made:
            os.waitpid(pid, 0)

def cpus_bounded():
    def throttled():
        for path in ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat"):
            try:
                for line in open(path):
                    if line.startswith("nr_throttled "):
                        return int(line.split()[1])
            except OSError:
                pass
        return None
    before, start, used = throttled(), time.monotonic(), time.process_time()
    while time.monotonic() - start < 0.6:
        pass
    after, share = throttled(), (time.process_time() - used) / (time.monotonic() - start)
    held = share < cpus + 0.25 or (after is not None and before is not None and after > before)
    return "" if held else "a program could use %.2f cores with a limit of %.2f" % (share, cpus)

def read_only_root():
    for place in ("/", "/usr", "/etc", "/var", "/root", "/home"):
        try:
            with open(os.path.join(place, "codabench-was-here"), "w"):
                return "a program could write to " + place
        except OSError as error:
            if error.errno == 30:
                return ""
    return "no directory of the image said that it is read-only"

def status(name):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return line.split()[1]
    return ""

def no_new_privileges():
    return "" if status("NoNewPrivs") == "1" else "a program could gain privileges through a setuid file"

def user():
    if int(status("CapEff") or "1", 16):
        return "the program has capabilities: " + status("CapEff")
    inside, outside, _ = open("/proc/self/uid_map").read().split()[:3]
    if os.geteuid() == 0 and int(outside) == 0:
        return "the program is root"
    return ""

for name, test in [("network_none", network_none), ("read_only_root", read_only_root), ("user", user),
                   ("no_new_privileges", no_new_privileges), ("cpus", cpus_bounded), ("pids", pids_bounded),
                   ("memory", memory_bounded)]:
    try:
        found[name] = test()
    except Exception as error:
        found[name] = "could not be tried: %s" % error
print(json.dumps(found), flush=True)
"""


class _Kept:
    """Keeps the beginning of the output."""

    def __init__(self) -> None:
        self.data = {"stdout": b"", "stderr": b""}

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        if len(self.data[stream]) < MIB:
            self.data[stream] += data


def try_out(engine: ContainerEngine, image: Image, known: dict[str, str]) -> tuple[dict[str, bool], dict[str, str]]:
    """Which properties hold, and why the others do not.

    Parameters
    ----------
    known
        Properties that the engine itself says it does not enforce, with the reason; they are not asked for.

    Returns
    -------
    (enforced, reasons)
    """
    limits = Limits(
        memory=None if "memory" in known else MEMORY,
        pids=Limits().pids if "pids" in known else PIDS,
        cpus=None if "cpus" in known else CPUS,
    )
    spec = ContainerSpec(
        image=image,
        argv=("python3", "-c", PROGRAM, str(MEMORY), str(PIDS), str(CPUS)),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        limits=limits,
    )
    kept = _Kept()
    end = engine.run(spec, kept, StopSignal(), Deadline(SECONDS))
    found = _parsed(kept.data["stdout"])
    if not end.ok or found is None:
        why = "the image has no python3 to try it with" if end.reason is ExitReason.NOT_STARTED else _words(end, kept)
        found = dict.fromkeys(PROPERTIES, why)
    reasons = {name: known.get(name) or found.get(name, "was not tried") for name in PROPERTIES}
    reasons[MEMORY_REPORT] = reasons["memory"] or _memory_report(engine, image)
    return {name: not why for name, why in reasons.items()}, {name: why for name, why in reasons.items() if why}


def _memory_report(engine: ContainerEngine, image: Image) -> str:
    spec = ContainerSpec(image=image, argv=("python3", "-c", _CHILD_EATS), limits=Limits(memory=MEMORY))
    end = engine.run(spec, _Kept(), StopSignal(), Deadline(SECONDS))
    reported = end.reason is ExitReason.OUT_OF_MEMORY
    return "" if reported else "the engine does not tell when a child of the program was killed for its memory"


def _parsed(output: bytes) -> dict[str, str] | None:
    try:
        found = json.loads(output)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _words(end: object, kept: _Kept) -> str:
    tail = kept.data["stderr"].decode(errors="replace").strip().splitlines()[-1:]
    return f"the program that tries it ended early ({end}) {' '.join(tail)}".strip()
