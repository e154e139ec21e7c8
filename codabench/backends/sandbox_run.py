"""One program in one sandbox, from bubblewrap's start to the verified end of everything in it."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from codabench.backends import seccomp
from codabench.backends.cgroups import Group
from codabench.backends.engine import ContainerSpec, Deadline, LogSink, StopSignal, Usage
from codabench.backends.process import MARK, Drain, used_by
from codabench.backends.sandbox_view import NOBODY, View
from codabench.backends.staging import stage
from codabench.core.errors import EngineError, EngineTimeout
from codabench.core.policy import Network
from codabench.core.records import Exit, ExitReason

_NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup")
_IDENTITY = ("--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "codabench")
_FIRM = ("--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL")
_SETUP_PATIENCE = 30.0
_KILL_PATIENCE = 10.0
_HOUR = 3600.0
_FIRST_TO_GO = "500"
"""For the kernel that has to choose whom to kill when the host's memory is gone."""


class SetupError(EngineError):
    """bubblewrap could not make the sandbox; `said` is what it wrote."""

    def __init__(self, said: str) -> None:
        super().__init__(f"bubblewrap could not make the sandbox: {said or 'it said nothing'}")
        self.said = said


class Sandbox:
    """A program, and what it will be started with.

    Parameters
    ----------
    bwrap
        Path of the program bubblewrap.
    name
        Every process of it that is seen from outside carries this mark.
    group
        The control group that bounds it, made by now; None: no such bounds.
    own_pids
        Whether the number of processes is bounded by a resource limit, which the kernel counts for each user namespace.
    stage_at
        Where root stages directories; None: they are named as they are.
    """

    def __init__(
        self,
        bwrap: str,
        spec: ContainerSpec,
        view: View,
        *,
        name: str,
        group: Group | None,
        own_pids: bool,
        stage_at: Path | None,
    ) -> None:
        self._bwrap, self._spec, self._view, self._name = bwrap, spec, view, name
        self._group, self._own_pids, self._stage_at = group, own_pids, stage_at
        self._namespace: int | None = None

    def run(self, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        """As `Container.run`."""
        wake = threading.Event()
        with _Pipe() as gate, _Pipe() as status:
            launcher = _Launcher(lambda: self._start(gate.reader, status.writer), wake)
            launcher.start()
            process = launcher.started()
            gate.close_reader()
            status.close_writer()
            first = _first_process(process, status)
            try:
                self._namespace = first.namespace
                self._bound(first.pid)
                witness = _Witness(logs)
                drain = Drain(process, witness, wake.set)
                began = time.monotonic()
                deadline.arm()
                os.write(gate.writer, b"x")
                killed = _watch(launcher, drain, wake, stop, deadline)
            finally:
                self._namespace = None
                first.end()  # and with it everything that is still in there
                launcher.join(_KILL_PATIENCE)
            seconds = time.monotonic() - began
            drain.finish()
            if killed:
                return Exit(reason=killed, seconds=seconds)
            return self._natural_end(process, status.rest(), seconds, witness.first)

    def usage(self) -> Usage | None:
        """As `Container.usage`: of the processes in its namespace, by ``/proc``."""
        namespace = self._namespace
        return None if namespace is None else used_by(_processes_in(namespace))

    # ------------------------------------------------------------------ before
    def command(self, staged: dict[str, str], descriptor: Callable[[bytes], int]) -> list[str]:
        """Options of bubblewrap; `descriptor` gives one from which it reads those bytes."""
        spec, view = self._spec, self._view
        words = [*_NAMESPACES, *_IDENTITY, *_FIRM]
        words += ["--unshare-net"] if spec.network is Network.NONE else []
        for name, value in view.environment().items():
            words += ["--setenv", name, value]
        words += view.arguments(staged, {path: descriptor(data) for path, data in view.files.items()})
        if (rules := seccomp.program()) is not None:
            words += ["--seccomp", str(descriptor(rules))]
        return words

    def _start(self, gate: int, tell: int) -> subprocess.Popen[bytes]:
        """bubblewrap, waiting at the gate before it starts the program. Called by the thread that outlives it."""
        with contextlib.ExitStack() as stack:
            handed: list[int] = [gate, tell]

            def descriptor(data: bytes) -> int:
                made = os.memfd_create("codabench")
                stack.callback(os.close, made)
                os.write(made, data)
                os.lseek(made, 0, os.SEEK_SET)
                handed.append(made)
                return made

            staged = stage(self._view.sources, self._stage_at) if self._stage_at else {}
            words = [*self.command(staged, descriptor), "--block-fd", str(gate), "--json-status-fd", str(tell)]
            # Not in its own words, which everybody on the host can read.
            listed = descriptor(b"".join(os.fsencode(word) + b"\0" for word in words))
            user = None if os.geteuid() else NOBODY
            return subprocess.Popen(
                [*self._own_limits(), self._bwrap, "--args", str(listed), "--", *self._spec.argv],
                env={MARK: self._name},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=handed,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else (),
            )

    def _own_limits(self) -> list[str]:
        """Lowers its own limits: to do that for another user's process is a privilege root may lack."""
        files = self._spec.limits.nofile
        more = [] if files is None else [f"ulimit -n {files}"]
        return ["/bin/sh", "-c", " && ".join(["ulimit -c 0", *more, 'exec "$0" "$@"'])]

    def _bound(self, pid: int) -> None:
        """Set the limits of a process that has not started anything yet."""
        limits = self._spec.limits
        try:
            if self._group is not None:
                self._group.add(pid)
            if self._own_pids and limits.pids is not None:
                resource.prlimit(pid, resource.RLIMIT_NPROC, (limits.pids, limits.pids))
            Path(f"/proc/{pid}/oom_score_adj").write_text(_FIRST_TO_GO)
        except OSError as error:
            raise EngineError(f"the limits of the sandbox could not be set: {error}") from error

    # ------------------------------------------------------------------ after
    def _natural_end(self, process: subprocess.Popen[bytes], status: bytes, seconds: float, said: bytes) -> Exit:
        codes = [json.loads(line).get("exit-code") for line in status.splitlines()]
        code = next((c for c in codes if c is not None), None)
        if code != 0 and self._group is not None and self._group.killed_for_memory():
            return Exit(reason=ExitReason.OUT_OF_MEMORY, code=code, seconds=seconds)
        if code is not None:
            return Exit(reason=ExitReason.EXITED, code=code, seconds=seconds)
        detail = _words(said)
        if process.returncode != 1 or not detail.startswith("execvp "):
            raise EngineError(f"bubblewrap ended before the program did (exit code {process.returncode}): {detail}")
        missing = detail.endswith(os.strerror(2))
        return Exit(reason=ExitReason.NOT_STARTED, code=127 if missing else 126, detail=detail)


class _Launcher(threading.Thread):
    """Starts the sandbox and waits for its end.

    A thread of its own for two reasons: the kernel takes the end of the thread that started it for the end of its
    parent, and root gives this thread mounts of its own.
    """

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]], wake: threading.Event) -> None:
        super().__init__(name="codabench-sandbox", daemon=True)
        self._start_process, self._wake, self._ready = start, wake, threading.Event()
        self.ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None

    def run(self) -> None:
        try:
            self._process = self._start_process()
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()
        if self._process is not None:
            self._process.wait()
            self.ended.set()
            self._wake.set()

    def started(self) -> subprocess.Popen[bytes]:
        """The process, once it has been started."""
        self._ready.wait()
        if self._process is None:
            raise SetupError(str(self._failure)) from self._failure
        return self._process


class _Witness:
    """Passes output on and remembers how the errors began: bubblewrap says there what it could not execute."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink
        self.first = b""

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        if stream == "stderr" and len(self.first) < 4096:
            self.first += data[:4096]
        self._sink.write(stream, data)


def _first_process(process: subprocess.Popen[bytes], status: _Pipe) -> _First:
    """The process whose end is the end of the sandbox, as soon as bubblewrap has made it.

    Raises
    ------
    SetupError
        If bubblewrap could not.
    """
    line = status.line(_SETUP_PATIENCE)
    if line.endswith(b"\n"):
        with contextlib.suppress(ProcessLookupError):
            said = json.loads(line)
            return _First(int(said["child-pid"]), int(said["pid-namespace"]))
    process.kill()
    _, said = process.communicate()
    raise SetupError(_words(said))


def _watch(
    launcher: _Launcher, drain: Drain, wake: threading.Event, stop: StopSignal, deadline: Deadline
) -> ExitReason | None:
    """Sleep until the end; the reason if we make it end."""
    forget = stop.on_set(wake.set)
    try:
        while True:
            left = deadline.remaining()
            wake.wait(_HOUR if left is None else min(left, _HOUR))
            if launcher.ended.is_set():
                return None
            if stop.is_set() or drain.failure:
                return ExitReason.CANCELLED
            if deadline.remaining() == 0:
                return ExitReason.TIMEOUT
    finally:
        forget()


class _First:
    """The first process of a sandbox: the kernel ends all others with it, and it is not gone before they are.

    Held by a descriptor, so that nobody else's process is meant when its number is used again.
    """

    def __init__(self, pid: int, namespace: int) -> None:
        self.pid, self.namespace = pid, namespace
        self._handle = os.pidfd_open(pid)

    def end(self) -> None:
        """Kill it and see that it is gone."""
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            gone, _, _ = select.select([self._handle], [], [], _KILL_PATIENCE)
        finally:
            os.close(self._handle)
        if not gone:
            raise EngineTimeout(
                f"a sandbox was killed and had not ended {_KILL_PATIENCE:.0f} s later",
                hint="a process that hangs in the kernel cannot be killed; see `dmesg`",
            )


class _Pipe:
    """Both ends of a pipe, closed at the latest when it is left."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self._open = {self.reader, self.writer}

    def close_reader(self) -> None:
        self._close(self.reader)

    def close_writer(self) -> None:
        self._close(self.writer)

    def line(self, patience: float) -> bytes:
        """The next line, which may come in pieces; without its end where there is no more, or not in time."""
        line, end = b"", time.monotonic() + patience
        while not line.endswith(b"\n") and select.select([self.reader], [], [], max(0.0, end - time.monotonic()))[0]:
            piece = os.read(self.reader, 1)
            if not piece:
                break
            line += piece
        return line

    def rest(self) -> bytes:
        """What was not read yet; nobody writes any more."""
        return b"".join(iter(lambda: os.read(self.reader, 4096), b""))

    def _close(self, end: int) -> None:
        if end in self._open:
            self._open.remove(end)
            os.close(end)

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_reader()
        self.close_writer()


def _processes_in(namespace: int) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone, or not ours
            if (entry / "ns/pid").stat().st_ino == namespace:
                yield int(entry.name)


def _words(said: bytes) -> str:
    return said.decode(errors="replace").strip().removeprefix("bwrap: ")
