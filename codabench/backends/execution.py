"""One container from its start to its verified end."""

from __future__ import annotations

import re
import threading
import time
from typing import Literal

from codabench.backends.attach import Pump
from codabench.backends.driver import Driver, NotStartedError
from codabench.backends.engine import Deadline, LogSink, StopSignal
from codabench.core.errors import EngineError, EngineTimeout
from codabench.core.records import Exit, ExitReason

_DRAIN_PATIENCE = 3.0
_KILL_PATIENCE = 30.0
_HOUR = 3600.0

_INIT_NOTICE = re.compile(
    rb"\[FATAL tini \(\d+\)\] (?P<tini>exec .* failed: .*)\n|ERROR \(catatonit:\d+\): (?P<catatonit>failed to exec.*)\n"
)


def execute(driver: Driver, container: str, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
    """Start a created container, drain it, wait for it, kill it at the deadline or when `stop` is set.

    Nothing is polled: this thread sleeps until the end, the deadline or the signal, whichever is first.
    """
    witness = _Witness(logs)
    wake = threading.Event()
    pump: Pump | None = None
    try:
        try:
            pump = Pump(driver.attach(container), witness, wake.set)
            pump.start()
            driver.start(container)
        except NotStartedError as error:
            return Exit(reason=ExitReason.NOT_STARTED, code=error.code, detail=error.detail)
        started = time.monotonic()
        deadline.arm()
        waiter = _Waiter(driver, container, wake)
        waiter.start()
        forget = stop.on_set(wake.set)
        try:
            killed = _watch(driver, container, waiter, pump, wake, stop, deadline)
        finally:
            forget()
        seconds = time.monotonic() - started
        pump.finish(_DRAIN_PATIENCE)
    finally:
        if pump is not None:
            pump.close()
    if pump.failure:
        raise pump.failure
    if killed:
        return Exit(reason=killed, seconds=seconds)
    return _natural_end(driver, container, waiter.code, seconds, witness)


def _watch(
    driver: Driver,
    container: str,
    waiter: _Waiter,
    pump: Pump,
    wake: threading.Event,
    stop: StopSignal,
    deadline: Deadline,
) -> ExitReason | None:
    """Sleep until the end; the reason if we made it end."""
    while not waiter.ended.is_set():
        left = deadline.remaining()
        wake.wait(_HOUR if left is None else min(left, _HOUR))
        if waiter.ended.is_set():
            break
        reason = _reason_to_kill(pump, stop, deadline)
        if reason:
            _kill(driver, container, waiter)
            return reason
    if waiter.failure:
        raise waiter.failure
    return None


def _reason_to_kill(pump: Pump, stop: StopSignal, deadline: Deadline) -> ExitReason | None:
    if stop.is_set() or pump.failure:
        return ExitReason.CANCELLED
    return ExitReason.TIMEOUT if deadline.remaining() == 0 else None


def _kill(driver: Driver, container: str, waiter: _Waiter) -> None:
    """Kill it and see that it is gone."""
    driver.kill(container)
    if not waiter.ended.wait(_KILL_PATIENCE):
        raise EngineTimeout(
            f"container {container[:12]} was killed and had not ended {_KILL_PATIENCE:.0f} s later",
            hint="a process that hangs in the kernel cannot be killed; see the engine's log and `dmesg`",
        )
    if driver.state(container).running:
        raise EngineError(f"container {container[:12]} was killed and still runs")


def _natural_end(driver: Driver, container: str, code: int, seconds: float, witness: _Witness) -> Exit:
    if code == 0:
        return Exit(reason=ExitReason.EXITED, code=0, seconds=seconds)
    if driver.state(container).out_of_memory:
        return Exit(reason=ExitReason.OUT_OF_MEMORY, code=code, seconds=seconds)
    notice = witness.init_notice()
    if notice:
        return Exit(reason=ExitReason.NOT_STARTED, code=127 if "No such file" in notice else 126, detail=notice)
    return Exit(reason=ExitReason.EXITED, code=code, seconds=seconds)


class _Waiter(threading.Thread):
    """Blocks in the engine's wait call, which has no timeout of its own."""

    def __init__(self, driver: Driver, container: str, wake: threading.Event) -> None:
        super().__init__(name="codabench-wait", daemon=True)
        self._driver = driver
        self._container = container
        self._wake = wake
        self.ended = threading.Event()
        self.code = 0
        self.failure: EngineError | None = None

    def run(self) -> None:
        try:
            self.code = self._driver.wait(self._container)
        except EngineError as error:
            self.failure = error
        finally:
            self.ended.set()
            self._wake.set()


class _Witness:
    """Passes output on and remembers how it began: the container's init reports a command that it cannot execute
    there, and nowhere else."""

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink
        self._stderr = b""
        self._only_stderr = True

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        if stream == "stdout":
            self._only_stderr = False
        elif len(self._stderr) < 4096:
            self._stderr += data[:4096]
        self._sink.write(stream, data)

    def init_notice(self) -> str | None:
        """What the init said, if that was all that was ever written."""
        match = _INIT_NOTICE.fullmatch(self._stderr) if self._only_stderr else None
        return (match["tini"] or match["catatonit"]).decode(errors="replace") if match else None
