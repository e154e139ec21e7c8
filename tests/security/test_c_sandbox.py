"""What holds in the sandbox by a word of its own, and what happens without that word (security.md 3c).

Each attack runs in the sandbox as the engine makes it, and in one that differs by the defence that is tried.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import queue
import select
import socket
import subprocess
import termios
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codabench.backends.engine import ContainerSpec, Mount
from codabench.backends.sandbox import SandboxEngine
from codabench.backends.sandbox_run import Sandbox
from codabench.backends.sandbox_view import NOBODY, View
from codabench.backends.staging import stage
from codabench.testing.bench import Bench, alive

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("bwrap")]

Change = Callable[[list[str]], list[str]]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with SandboxEngine() as engine:
        yield Bench(engine, engine.resolve("host"), tmp_path)


def same(words: list[str]) -> list[str]:
    return words


def without(*options: str, values: int = 0) -> Change:
    """The words but for some options, each with as many values."""

    def change(words: list[str]) -> list[str]:
        kept, skip = [], 0
        for word in words:
            if skip:
                skip -= 1
            elif word in options:
                skip = values
            else:
                kept.append(word)
        assert len(kept) < len(words), "there is nothing to leave out"
        return kept

    return change


@contextlib.contextmanager
def started(
    change: Change, program: str, *words: str, user: int | None = NOBODY, mounts: tuple[Mount, ...] = (), **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a sandbox with changed words, which may be less than one; killed at the end."""
    engine = SandboxEngine()
    spec = ContainerSpec(image=engine.resolve("host"), argv=("python3", "-c", program, *words), mounts=mounts)
    sandbox = Sandbox("bwrap", spec, View(spec), name="x", group=None, own_pids=False, stage_at=None)
    made: queue.SimpleQueue[subprocess.Popen[bytes] | BaseException] = queue.SimpleQueue()
    over, handed = threading.Event(), list[int]()

    def descriptor(data: bytes) -> int:
        handed.append(os.memfd_create("test"))
        os.write(handed[-1], data)
        os.lseek(handed[-1], 0, os.SEEK_SET)
        return handed[-1]

    def start() -> subprocess.Popen[bytes]:
        as_root = os.geteuid() == 0
        engine._register._open()
        staged = stage(View(spec).sources, engine._register.directory) if as_root else {}
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        if as_root and user is not None:
            given |= {"user": user, "group": user, "extra_groups": ()}
        command = ["bwrap", *change(sandbox.command(staged, descriptor)), "--", *spec.argv]
        return subprocess.Popen(command, pass_fds=handed, **given | options)

    def parent() -> None:
        """Root's mounts for a sandbox are this thread's alone, and to the kernel it is the parent."""
        try:
            made.put(start())
            over.wait()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            made.put(error)

    threading.Thread(target=parent, daemon=True).start()
    process = made.get(timeout=60)
    for each in handed:
        os.close(each)
    if isinstance(process, BaseException):
        raise process
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        over.set()
        for stream in (process.stdout, process.stdin):
            if stream is not None:
                stream.close()


def killed(pids: list[int]) -> bool:
    """Whether there were any; with the first process of a namespace the others are gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
    return bool(pids)


def says(change: Change, program: str, *words: str, **options: Any) -> str:
    with started(change, program, *words, **options) as process:
        return process.communicate(timeout=60)[0].decode()


@pytest.mark.row("C15", "C16", engine="sandbox")
@pytest.mark.twin("C15", "C16", engine="sandbox")
def test_the_hosts_own_services_are_out_of_reach(bench: Bench) -> None:
    """C15, C16: the loopback of the host, where databases listen without a password."""
    reach = (
        "import socket, sys\ntry: print(socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5) and 'reached')\n"
    )
    reach += "except OSError as e: print('held')"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert bench.python(reach, port).out == b"held\n"
        assert says(same, reach, port) == "held\n"
        assert says(without("--unshare-net"), reach, port) == "reached\n"


def test_the_callers_terminal_is_out_of_reach() -> None:
    """Programs that share a terminal with the caller write to it, and on older kernels type into it (TIOCSTI)."""
    forge = "try: open('/dev/tty', 'w').write('forged prompt')\nexcept OSError: pass"
    assert b"forged" not in shown_on_a_terminal(same, forge)
    assert b"forged" in shown_on_a_terminal(without("--new-session"), forge)


def shown_on_a_terminal(change: Change, program: str) -> bytes:
    ours, theirs = pty.openpty()

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    try:
        options = {"preexec_fn": own_terminal, "stdin": theirs, "stdout": subprocess.DEVNULL}
        with started(change, program, **options) as process:
            process.wait(timeout=60)
        return os.read(ours, 4096) if select.select([ours], [], [], 0.2)[0] else b""
    finally:
        os.close(ours)
        os.close(theirs)


CALLS = """
import ctypes, errno, platform, socket
call = ctypes.CDLL(None, use_errno=True).syscall
x86 = platform.machine() == "x86_64"
tried = {
    "clone": (56 if x86 else 220, 0x10000000 | 17, None, None, None, None), "keyctl": (250 if x86 else 219, 0, -4, 1),
    "add_key": (248 if x86 else 217, b"user", b"codabench", b"x", 1, -4), "io_uring_setup": (425, 1, None),
    "clone3": (435, None, 0), "perf_event_open": (298 if x86 else 241, None, 0, -1, -1, 0),
    "unshare": (272 if x86 else 97, 0x10000000),
}
for name, words in tried.items():
    ctypes.set_errno(0)
    if call(*(w if w is None or isinstance(w, bytes) else ctypes.c_long(w) for w in words)) == 0 and name == "clone":
        __import__("os")._exit(0)
    print(name, errno.errorcode.get(ctypes.get_errno(), "done"))
try: print("vsock", socket.socket(socket.AF_VSOCK) and "done")
except OSError as error: print("vsock", errno.errorcode[error.errno])
"""


@pytest.mark.row("C21", engine="sandbox")
@pytest.mark.twin("C21", engine="sandbox")
def test_system_calls_that_break_outs_begin_with(bench: Bench) -> None:
    """C21: keyrings, io_uring, perf, further user namespaces, and sockets to the hypervisor."""
    held = dict(line.split() for line in bench.python(CALLS).out.decode().splitlines())
    assert held.pop("clone3") == "ENOSYS"
    assert set(held.values()) == {"EPERM"}, held
    free = dict(line.split() for line in says(without("--seccomp", values=1), CALLS).splitlines())
    assert free["unshare"] == free["clone"] == free["keyctl"] == free["add_key"] == "done", free
    assert free["io_uring_setup"] in ("EFAULT", "EINVAL", "EPERM")  # closed for everybody on some hosts
    assert free["clone3"] == "EINVAL"


@pytest.mark.row("C26", engine="sandbox")
@pytest.mark.twin("C26", engine="sandbox")
def test_the_environment_of_the_caller_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """C26."""
    monkeypatch.setenv("CODABENCH_SECRET", "leaked")
    tell = "import os; print(os.environ.get('CODABENCH_SECRET', 'held'))"
    assert says(same, tell) == "held\n"
    assert says(without("--clearenv"), tell) == "leaked\n"


@pytest.mark.row("C13", "C14", "C17", "C27", engine="sandbox")
@pytest.mark.twin("C13", "C14", "C17", "C27", engine="sandbox")
def test_files_of_the_host_are_not_there(bench: Bench) -> None:
    """C13, C14, C17, C27: homes, keys, sockets of daemons, other runs."""
    look = "import os, sys\nprint(*(p for p in sys.argv[1:] if os.path.exists(p)))"
    secrets = ["/etc/shadow", "/etc/ssh", "/var/log", "/run/docker.sock", "/boot", str(bench.root)]
    secrets.append(str(Path.home() / ".bashrc"))
    there = [path for path in secrets if os.path.exists(path)]
    assert {"/etc/shadow", "/var/log", str(bench.root)} <= set(there)
    assert bench.python(look, *secrets).out == b"\n"
    everything = ["--unshare-user", "--ro-bind", "/", "/"]
    assert {"/etc/shadow", "/var/log"} <= set(says(lambda words: everything, look, *there).split())


@pytest.mark.row("C10", engine="sandbox")
@pytest.mark.twin("C10", engine="sandbox")
def test_a_daemon_that_it_leaves_behind_ends_with_it(bench: Bench) -> None:
    """C10: the namespace of processes ends with its first one, however far a child has gone."""
    leave = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.closerange(0, 100)\n"
        "    time.sleep(600)\n"
        "time.sleep(0.2)"
    )
    token = uuid.uuid4().hex
    assert bench.python(leave, token).end.ok
    assert not alive(token)

    def one_namespace(words: list[str]) -> list[str]:
        changed = without("--unshare-pid", "--die-with-parent")(words)
        place = changed.index("--proc")
        return [*changed[:place], "--ro-bind", "/proc", "/proc", *changed[place + 2 :]]

    with started(one_namespace, leave, token) as process:
        process.wait(timeout=60)
        assert killed(alive(token))


@pytest.mark.row("C30", engine="sandbox")
@pytest.mark.twin("C30", engine="sandbox")
def test_a_caller_that_is_killed_takes_it_along() -> None:
    """C30: without the word, what bubblewrap has started goes on for ever."""
    for change, survives in ((same, False), (without("--die-with-parent"), True)):
        token = uuid.uuid4().hex
        with started(change, "import time; print(1, flush=True); time.sleep(600)", token) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"1\n"
            process.kill()
            process.wait()
            time.sleep(0.3)
            assert killed(alive(token)) is survives


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files that others cannot read")
def test_who_root_runs_is_not_root_outside(bench: Bench) -> None:
    """Told to be uid 65534, bubblewrap shows that number inside and stays root outside: so root starts it as 65534."""
    data = bench.root / "data"
    data.mkdir(mode=0o755)
    (data / "key").write_text("root's own")
    (data / "key").chmod(0o600)
    mounts = (Mount(source=str(data), target="/app/data", read_only=True),)
    read = "try: print(open('/app/data/key').read())\nexcept OSError: print('held')"
    assert bench.python(read, mounts=mounts).out == b"held\n"
    assert says(same, read, mounts=mounts) == "held\n"
    assert says(same, read, mounts=mounts, user=None) == "root's own\n"
