"""Programs that are functions of this process: ``backend="inline"``.

Not an engine that anybody can name: what has no isolation at all runs only what its caller wrote, at once, in the very
thread that waits for it. So Ctrl-C and plots work as in any other call. All around the call is as in every
other run: the same plan, directories, logs, scores, records.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import linecache
import os
import platform
import sys
import threading
import time
import traceback
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal, TextIO

from codabench.backends.backend import BackendInfo, Handle, HandleStatus, Needs, Work, WorkHost
from codabench.backends.engine import ContainerSpec, Deadline, Emit, EngineInfo, Image, LogSink, StopSignal
from codabench.bundle.defined import program_io
from codabench.bundle.defined.program_io import IngestionIO, ScoringIO, Submission
from codabench.core.errors import Interrupted, PolicyError, UsageError
from codabench.core.policy import UNBOUNDED, Limits, Policy, User
from codabench.core.problems import Fault
from codabench.core.records import Exit, ExitReason
from codabench.runner.contract import INPUT, INPUT_DATA, OUTPUT, REFERENCE, SHARED, SUBMISSION
from codabench.runner.execute import execute_run

NAME = "inline"
WARNING = "CB690"
_NOT_ISOLATED = "functions are called in this process, without isolation or limits: use it for your own code only"
_HERE = os.path.abspath(__file__)
_SHIM = os.path.abspath(program_io.__file__)


@dataclass
class Calls:
    """What the steps of a run call.

    Attributes
    ----------
    given
        The object that was submitted, in a tuple; None where files were submitted.
    """

    scoring: Callable[..., Any]
    ingestion: Callable[..., Any] | None
    given: tuple[Any] | None = None


_told = threading.Event()


def warn_not_isolated() -> None:
    """Say it once in a process: libraries that change filters make Python forget what it has shown."""
    if not _told.is_set():
        _told.set()
        text = 'backend="inline" runs submitted code in this process without isolation or limits; rows are marked'
        warnings.warn(f"[{WARNING}] {text} 'not isolated'", UserWarning, stacklevel=2)


class InlineBackend:
    """A backend whose work is done by the thread that waits for it (`take`).

    Parameters
    ----------
    on_work
        Called when there is work to take.
    ceiling
        What this place grants at most; limits that a function cannot be held to are refused.
    """

    def __init__(self, scratch: Path, on_work: Callable[[], None], ceiling: Policy = UNBOUNDED) -> None:
        self._scratch, self._on_work, self._ceiling = scratch, on_work, ceiling
        self._calls: dict[str, Calls] = {}
        self._waiting: deque[_InlineHandle] = deque()
        self._busy = threading.Lock()

    def expect(self, run: str, calls: Calls) -> None:
        """Say what a run calls, before it is queued."""
        self._calls[run] = calls

    def submit(
        self,
        work: Work,
        *,
        key: str,
        needs: Needs | None = None,
        on_event: Emit | None = None,
        on_done: Callable[[Handle], None] | None = None,
    ) -> _InlineHandle:
        calls = self._calls.pop(work.payload["run"], None)
        if calls is None:
            raise UsageError("this run was begun in another process, which alone has its functions", code="CB691")
        engine = InlineEngine(calls)
        emit = on_event or (lambda event: None)
        host = WorkHost(engine=engine, scratch=self._scratch, emit=emit, ceiling=self._ceiling)
        handle = _InlineHandle(key, work.payload, host, on_done, self._drop)
        self._waiting.append(handle)
        self._on_work()
        return handle

    def take(self) -> Callable[[], None] | None:
        """The next work, if there is any and none is under way; to be called by whoever took it."""
        if not self._waiting or not self._busy.acquire(blocking=False):
            return None
        handle = self._waiting.popleft()

        def work() -> None:
            try:
                handle.carry_out()
            finally:
                self._busy.release()
                self._on_work()

        return work

    def info(self) -> BackendInfo:
        # What waits here waits for its caller, and must not keep the dispatcher from handing out other work.
        return BackendInfo(name=NAME, slots=1 << 20, engine=NAME)

    def _drop(self, handle: _InlineHandle) -> bool:
        """Take work back that nobody has begun."""
        try:
            self._waiting.remove(handle)
        except ValueError:
            return False
        return True

    def close(self) -> None:
        for handle in tuple(self._waiting):
            handle.cancel("the workspace was closed")


class _InlineHandle:
    def __init__(
        self,
        key: str,
        payload: dict[str, Any],
        host: WorkHost,
        on_done: Callable[[Handle], None] | None,
        drop: Callable[[_InlineHandle], bool],
    ) -> None:
        self.key, self._payload, self._host, self._on_done, self._drop = key, payload, host, on_done, drop
        self._status = HandleStatus.WAITING
        self._result: dict[str, Any] | None = None
        self._error: Exception | None = None
        self._over = threading.Event()

    def carry_out(self) -> None:
        self._status = HandleStatus.RUNNING
        try:
            if self._host.stop.is_set():
                raise Interrupted(f"cancelled before it began: {self._host.stop.reason}")
            self._result = execute_run(self._payload, self._host)
            self._end(HandleStatus.DONE)
        except Exception as error:  # noqa: BLE001 - the outermost frame of this work: whoever asks for its result gets it
            self._error = error
            self._end(HandleStatus.CANCELLED if isinstance(error, Interrupted) else HandleStatus.ERROR)
        except BaseException:
            self._error = Interrupted("interrupted")
            self._end(HandleStatus.CANCELLED)
            raise

    def _end(self, status: HandleStatus) -> None:
        self._status = status
        self._over.set()
        if self._on_done is not None:
            self._on_done(self)

    def status(self) -> HandleStatus:
        return self._status

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        if not self._over.wait(timeout):
            raise TimeoutError(f"{self.key} is {self._status.value}")
        if self._error is not None:
            raise self._error
        return self._result or {}

    def events(self) -> Iterator[dict[str, Any]]:
        yield from ()

    def cancel(self, reason: str = "cancelled") -> None:
        """A function that runs cannot be stopped: what it comes to does not count."""
        self._host.stop.set(reason)
        if self._drop(self):
            self.carry_out()


class InlineEngine:
    """The functions of one run, in the shape in which a run starts programs."""

    name = NAME

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def probe(self, image: Image | None = None) -> EngineInfo:
        names = ("isolation", "limits", "read_only_mounts")
        return EngineInfo(
            name=NAME,
            version=platform.python_version(),
            isolation="none",
            platform=sys.platform,
            enforced=dict.fromkeys(names, False),
            reasons=dict.fromkeys(names, _NOT_ISOLATED),
        )

    def images(self) -> list[str]:
        return []

    def resolve(self, image: str, *, pull: Any = "missing", **options: Any) -> Image:
        # An id of its own gives each step a digest of its own: what was called here is never used again.
        return Image(name=image, id=f"{NAME}:{uuid.uuid4().hex}")

    def file_owner(self, user: User) -> None:
        return None

    def create(self, spec: ContainerSpec) -> _Call:
        for name in ("memory", "cpus", "pids"):
            if getattr(spec.limits, name) not in (None, getattr(Limits(), name)):
                hint = f"leave {name} at its default, or use a container engine"
                raise PolicyError(f'backend="inline" cannot limit {name}', hint=hint)
        return _Call(self._calls, spec)

    def run(self, spec: ContainerSpec, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        return self.create(spec).run(logs, stop, deadline)

    def reap(self) -> list[str]:
        return []

    def close(self) -> None:
        pass


class _Call:
    """One call of a function."""

    def __init__(self, calls: Calls, spec: ContainerSpec) -> None:
        self._calls = calls
        self._places = {mount.target: Path(mount.source) for mount in spec.mounts}
        self._scoring = spec.labels["codabench.step"] == "scoring"

    def discard(self) -> None:
        pass

    def usage(self) -> None:
        return None

    def run(self, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        """As `Container.run`."""
        if stop.is_set():
            return Exit(reason=ExitReason.CANCELLED)
        began = time.monotonic()
        with _captured(logs):
            end = self._call()
        if stop.is_set():
            end = Exit(reason=ExitReason.CANCELLED)
        return end.model_copy(update={"seconds": time.monotonic() - began})

    def _call(self) -> Exit:
        given = _Given(self._calls.given[0]) if self._calls.given else None
        try:
            with fresh_imports(None if self._scoring or given else self._places[SUBMISSION]):
                if self._scoring:
                    program_io.run_scoring(self._calls.scoring, self._scoring_io())
                elif self._calls.ingestion is not None:
                    program_io.run_ingestion(self._calls.ingestion, self._ingestion_io(given))
        except SystemExit as error:
            return Exit(reason=ExitReason.EXITED, code=_exit_code(error))
        except Exception as error:  # noqa: BLE001 - the outermost frame of a program, which may raise anything
            return self._failed(error, given)
        return Exit(reason=ExitReason.EXITED, code=0)

    def _scoring_io(self) -> ScoringIO:
        places = self._places
        reference = places.get(REFERENCE, places[INPUT] / "ref")
        data = places.get(INPUT_DATA)
        return ScoringIO(places[INPUT] / "res", reference, data, places[OUTPUT], places[SHARED])

    def _ingestion_io(self, given: _Given | None) -> IngestionIO:
        places = self._places
        submission = given or Submission(places[SUBMISSION])
        return IngestionIO(places.get(INPUT_DATA), places[OUTPUT], places[SHARED], submission)

    def _failed(self, error: Exception, given: _Given | None) -> Exit:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        foreign = [f for f in frames if os.path.abspath(f.f_code.co_filename) not in (_HERE, _SHIM)]
        first = frames.index(foreign[0]) if foreign else 0
        trace = error.__traceback__
        for _ in range(first):
            trace = trace.tb_next if trace else None
        said = "".join(traceback.format_exception(type(error), error, trace))
        for target, source in sorted(self._places.items(), key=lambda item: -len(str(item[1]))):
            said = said.replace(str(source), target)
        sys.stderr.write(said)
        fault = Fault.PARTICIPANT if self._is_theirs(frames, said, given) else Fault.ORGANIZER
        return Exit(reason=ExitReason.EXITED, code=1, detail=_place(frames, foreign, error), fault=fault)

    def _is_theirs(self, frames: list[FrameType], said: str, given: _Given | None) -> bool:
        """Whether code or files of the submission were involved."""
        if self._scoring:
            return f"{INPUT}/res" in said
        if given is not None:
            return any(given.handed_out(frame.f_locals.get("self")) or given.is_code(frame) for frame in frames)
        return f"{SUBMISSION}/" in said or any(f.f_code is Submission.load.__code__ for f in frames)


def _place(frames: list[FrameType], foreign: list[FrameType], error: Exception) -> str | None:
    """Where the function of the competition was: the line that people look at first."""
    if not foreign:
        return None
    frame = foreign[0]
    line = next(number for f, number in traceback.walk_tb(error.__traceback__) if f is frame)
    code = frame.f_code
    text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    return f"in {code.co_name}, {os.path.basename(code.co_filename)}:{line}" + (f": {text}" if text else "")


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


class _Given(Submission):
    """An object that was submitted instead of files: ``create`` gives copies of it, whatever name is asked for."""

    def __init__(self, given: Any) -> None:
        self._object = given
        self._out: list[Any] = [given]

    @property
    def path(self) -> Path:  # type: ignore[override]
        raise FileNotFoundError("the submission is an object: it has no files (backend='inline')")

    def load(self, name: str) -> Any:
        return self._object

    def create(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self._object, type):
            made = self._object(*args, **kwargs)
        elif args or kwargs:
            raise TypeError(f"{name} was submitted as an object, which cannot be created with arguments again")
        else:
            made = cloned(self._object)
        self._out.append(made)
        return made

    def handed_out(self, candidate: Any) -> bool:
        return any(candidate is one for one in self._out)

    def is_code(self, frame: FrameType) -> bool:
        return getattr(self._object, "__code__", None) is frame.f_code


def cloned(given: Any) -> Any:
    """A copy of an object that is not fitted: through its parameters where it has them (scikit-learn), else deep."""
    if isinstance(given, type) or not hasattr(given, "get_params"):
        return copy.deepcopy(given)
    try:
        clone: Callable[[Any], Any] = importlib.import_module("sklearn.base").clone
    except ImportError:
        return type(given)(**copy.deepcopy(given.get_params(deep=False)))
    return clone(given)


@contextlib.contextmanager
def fresh_imports(folder: Path | None) -> Iterator[None]:
    """Modules of `folder` are imported anew, and are gone afterwards; modules that have their names come back."""
    if folder is None:
        yield
        return
    names = {item.name.partition(".")[0] for item in folder.iterdir()}
    path, written = list(sys.path), sys.dont_write_bytecode
    hidden = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}
    for name in hidden:
        del sys.modules[name]
    importlib.invalidate_caches()
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = path, written
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]
        sys.modules.update(hidden)


@contextlib.contextmanager
def _captured(logs: LogSink) -> Iterator[None]:
    """What is printed goes to the log of the program; what other threads print, such as progress, does not."""
    out, err = _Stream(logs, "stdout", sys.stdout), _Stream(logs, "stderr", sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


class _Stream(io.TextIOBase):
    def __init__(self, logs: LogSink, name: Literal["stdout", "stderr"], before: TextIO) -> None:
        self._logs, self._name, self._before = logs, name, before
        self._caller = threading.get_ident()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if threading.get_ident() != self._caller:
            return self._before.write(text)
        self._logs.write(self._name, text.encode("utf-8", "replace"))
        return len(text)
