"""Plain processes of this host: no isolation at all, for your own code only."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal

from codabench.backends.cargo import make_accessible
from codabench.backends.engine import (
    ContainerSpec,
    Deadline,
    Emit,
    EngineInfo,
    Image,
    LogSink,
    Mount,
    StopSignal,
    Usage,
)
from codabench.backends.naming import architecture
from codabench.backends.owner import Owner, myself
from codabench.backends.probing import MEMORY_REPORT, PROPERTIES
from codabench.core.errors import EngineError, EngineTimeout, PolicyError, UsageError
from codabench.core.policy import Limits, Network, User
from codabench.core.records import Exit, ExitReason

MARK = "CODABENCH_PROCESS"
"""An environment variable that every process of a run inherits: by it they are found, wherever they hid."""
OWNER = "CODABENCH_OWNER"
"""Another one: the label of who started them, so that those of a process that was killed are found."""

_CHUNK = 64 * 1024
_DRAIN_PATIENCE = 3.0
_KILL_PATIENCE = 10.0


class ProcessEngine:
    """Runs programs as processes of the caller, in the directories themselves.

    Where a word of the command or a value of the environment names the target of a mount (``/app/input``,
    ``--data=/app/input/x``), the directory of this host is put in its place. ``python`` and ``python3`` are the Python
    that runs this library. Paths written inside a program are not seen.
    """

    name = "process"

    def __init__(self) -> None:
        self._label = myself().label()

    def probe(self, image: Image | None = None) -> EngineInfo:
        names = (*PROPERTIES, MEMORY_REPORT, "read_only_mounts")
        why = "plain processes are not isolated: use this engine for your own code only"
        return EngineInfo(
            name=self.name,
            version=platform.python_version(),
            isolation="none",
            platform=_host_platform(),
            enforced=dict.fromkeys(names, False),
            reasons=dict.fromkeys(names, why),
        )

    def images(self) -> list[str]:
        return []

    def resolve(
        self,
        image: str,
        *,
        pull: Literal["missing", "always", "never"] = "missing",
        platform: str | None = None,
        emit: Emit | None = None,
        timeout: float | None = None,
        stop: StopSignal | None = None,
    ) -> Image:
        """This host stands in for every image."""
        return Image(name=image, id=f"host:python-{sys.version.split()[0]}", platform=_host_platform())

    def file_owner(self, user: User) -> tuple[int, int] | None:
        return None

    def create(self, spec: ContainerSpec) -> ProcessContainer:
        if spec.network is Network.PROXY:
            raise PolicyError("plain processes cannot be held to an allow-list of addresses (network: proxy)")
        for name in ("memory", "cpus", "pids"):
            if getattr(spec.limits, name) not in (None, getattr(Limits(), name)):
                raise PolicyError(
                    f"plain processes cannot be limited in {name}",
                    hint=f"leave {name} at its default to run without that limit, or use a container engine",
                )
        for mount in spec.mounts:
            if not os.path.isdir(mount.source):
                raise EngineError(f"the directory to mount at {mount.target} is not there: {mount.source}")
        return ProcessContainer(spec, self._label)

    def run(self, spec: ContainerSpec, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        return self.create(spec).run(logs, stop, deadline)

    def reap(self) -> list[str]:
        """Kill the processes of runs whose owner is dead: a process that is killed does not take its children along."""
        return [str(pid) for pid in _orphans() if _kill(pid)]

    def close(self) -> None:
        pass


class ProcessContainer:
    """One program, not yet started."""

    def __init__(self, spec: ContainerSpec, label: str = "") -> None:
        self._spec, self._label = spec, label
        self._used = threading.Lock()
        self._mark: str | None = None

    def discard(self) -> None:
        self._used.acquire(blocking=False)

    def usage(self) -> Usage | None:
        """As `Container.usage`: of the processes that carry the mark; what has ended before is not counted."""
        mark = self._mark
        return used_by(marked(mark)) if mark else None

    def run(self, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        """As `Container.run`."""
        if not self._used.acquire(blocking=False):
            raise UsageError("a container runs once, and this one has been run or discarded")
        if stop.is_set():
            return Exit(reason=ExitReason.CANCELLED)
        self._mark = secrets.token_hex(16)
        try:
            with nested(self._spec.mounts):
                return self._run(self._mark, logs, stop, deadline)
        finally:
            self._mark = None

    def _run(self, mark: str, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        try:
            process = self._start(mark)
        except OSError as error:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            detail = f"{self._spec.argv[0]}: {error.strerror or error}"
            return Exit(reason=ExitReason.NOT_STARTED, code=code, detail=detail)
        started = time.monotonic()
        deadline.arm()
        try:
            return self._follow(process, mark, logs, stop, deadline, started)
        finally:
            kill_marked(mark, process)
            if os.geteuid():
                for mount in self._spec.mounts:
                    if not mount.read_only:
                        make_accessible(mount.source)

    def _start(self, mark: str) -> subprocess.Popen[bytes]:
        spec = self._spec
        translate = _translator({m.target: m.source for m in spec.mounts})
        words = [translate(word) for word in spec.argv]
        if words[0] in ("python", "python3"):
            words[0] = sys.executable
        env = {name: translate(value) for name, value in spec.env.items()}
        env.setdefault("PATH", f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', os.defpath)}")
        env.setdefault("HOME", os.environ.get("HOME", "/"))
        env.setdefault("LANG", "C.UTF-8")
        env |= {MARK: mark, OWNER: self._label}
        return subprocess.Popen(
            words,
            env=env,
            cwd=translate(spec.workdir),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        mark: str,
        logs: LogSink,
        stop: StopSignal,
        deadline: Deadline,
        started: float,
    ) -> Exit:
        wake = threading.Event()
        drain = Drain(process, logs, wake.set)
        threading.Thread(target=_wait, args=(process, wake), name="codabench-wait", daemon=True).start()
        forget = stop.on_set(wake.set)
        killed: ExitReason | None = None
        try:
            while process.poll() is None and killed is None:
                wake.wait(min(left, 3600.0) if (left := deadline.remaining()) is not None else 3600.0)
                if process.poll() is None and (stop.is_set() or drain.failure):
                    killed = ExitReason.CANCELLED
                elif process.poll() is None and deadline.remaining() == 0:
                    killed = ExitReason.TIMEOUT
        finally:
            forget()
        kill_marked(mark, process)  # what it left behind ends with it, as in a container
        seconds = time.monotonic() - started
        drain.finish()
        if killed:
            return Exit(reason=killed, seconds=seconds)
        code = process.wait()
        return Exit(reason=ExitReason.EXITED, code=128 - code if code < 0 else code, seconds=seconds)


class Drain:
    """Both pipes of a process into one sink, which is called by one thread at a time."""

    def __init__(self, process: subprocess.Popen[bytes], sink: LogSink, on_failure: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._sink = sink
        self._on_failure = on_failure
        self.failure: Exception | None = None
        pipes: tuple[tuple[Literal["stdout", "stderr"], IO[bytes] | None], ...] = (
            ("stdout", process.stdout),
            ("stderr", process.stderr),
        )
        self._threads = [
            threading.Thread(target=self._read, args=(name, pipe), name=f"codabench-{name}", daemon=True)
            for name, pipe in pipes
            if pipe is not None
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, stream: Literal["stdout", "stderr"], pipe: IO[bytes]) -> None:
        with pipe:
            try:
                while data := os.read(pipe.fileno(), _CHUNK):
                    with self._lock:
                        self._sink.write(stream, data)
            except Exception as error:  # noqa: BLE001 - the outermost frame of a thread; `finish` raises it
                self.failure = error
                self._on_failure()

    def finish(self) -> None:
        """Wait for the rest; a pipe that something outside of the run holds open is left behind."""
        for thread in self._threads:
            thread.join(_DRAIN_PATIENCE)
        if self.failure:
            raise self.failure


def _wait(process: subprocess.Popen[bytes], wake: threading.Event) -> None:
    process.wait()
    wake.set()


@contextlib.contextmanager
def nested(mounts: Sequence[Mount]) -> Iterator[None]:
    """Show a directory that is mounted inside another one (``/app/input/ref`` in ``/app/input``) by a link there."""
    links: list[Path] = []
    try:
        for outer in mounts:
            for inner in mounts:
                if inner.target.startswith(outer.target.rstrip("/") + "/"):
                    place = Path(outer.source, inner.target[len(outer.target) :].lstrip("/"))
                    if _make_room(place):
                        place.symlink_to(inner.source, target_is_directory=True)
                        links.append(place)
        yield
    finally:
        for link in links:
            if link.is_symlink():
                link.unlink()
                link.mkdir()


def _make_room(place: Path) -> bool:
    """Whether a link can be put there: in place of nothing, or of the empty directory that a mount would cover."""
    try:
        place.rmdir()
    except FileNotFoundError:
        return place.parent.is_dir()
    except OSError:
        return False
    return True


def _translator(places: dict[str, str]) -> Callable[[str], str]:
    """Puts directories of this host in the place of mount targets, the longest first, at whole names only."""
    if not places:
        return lambda text: text
    targets = sorted((re.escape(t.rstrip("/")) for t in places), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.\-/])(?:{'|'.join(targets)})(?![\w.\-])")
    known = {target.rstrip("/"): source for target, source in places.items()}
    return lambda text: pattern.sub(lambda match: known[match[0]], text)


def kill_marked(mark: str, process: subprocess.Popen[bytes]) -> None:
    """Kill every process that carries the mark, however it was started, and see that none is left.

    Where there is no ``/proc``, the process group is all that can be found.
    """
    end = time.monotonic() + _KILL_PATIENCE
    while True:
        _kill_group(process)
        left = list(marked(mark))
        for pid in left:
            _kill(pid)
        if not left and process.poll() is not None:
            return
        if time.monotonic() > end:
            raise EngineTimeout(f"processes were killed and have not ended: {left or [process.pid]}")
        time.sleep(0.005)


def kill_carriers(mark: str) -> None:
    """Kill every process that carries the mark, whoever started it, and see that none is left."""
    end = time.monotonic() + _KILL_PATIENCE
    while left := list(marked(mark)):
        for pid in left:
            _kill(pid)
        if time.monotonic() > end:
            raise EngineTimeout(f"processes were killed and have not ended: {left}")
        time.sleep(0.005)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """The group may outlive its first process; its number is not used again before the group is empty."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def marked(mark: str) -> Iterator[int]:
    """Processes of ours that carry the mark."""
    needle = f"{MARK}={mark}".encode()
    return (pid for pid, words in _environments() if needle in words)


def _orphans() -> Iterator[int]:
    """Processes of runs whose owner is dead."""
    prefix = f"{OWNER}=".encode()
    for pid, words in _environments():
        labels = (word.removeprefix(prefix).decode(errors="replace") for word in words if word.startswith(prefix))
        if any(owner is not None and owner.is_dead() for owner in map(Owner.of_label, labels)):
            yield pid


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    """The processes of ours, and the environment that each was started with."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            yield int(entry.name), (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone, or not ours


def used_by(pids: Iterable[int]) -> Usage | None:
    """What processes and their ended children have used, by ``/proc``; None if all are gone."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split())
    if not found:
        return None
    ticks = sum(int(field) for fields in found for field in fields[11:15])
    pages = sum(int(fields[21]) for fields in found)
    return Usage(cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"), memory=pages * os.sysconf("SC_PAGE_SIZE"))


def _host_platform() -> str:
    return f"{sys.platform}/{architecture(platform.machine())}"
