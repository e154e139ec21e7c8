"""One call of a function in the place of a program: what it is given, prints and raises, and whose fault that is."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import linecache
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal, TextIO

from codabench.backends.engine import ContainerSpec, Deadline, LogSink, StopSignal
from codabench.bundle.defined import program_io
from codabench.bundle.defined.program_io import IngestionIO, ScoringIO, Submission
from codabench.core.problems import Fault
from codabench.core.records import Exit, ExitReason
from codabench.runner.contract import INPUT, INPUT_DATA, OUTPUT, REFERENCE, SHARED, SUBMISSION

_OURS = tuple(os.path.abspath(name) for name in (__file__, program_io.__file__))
"""Files whose frames nobody wants to see in a traceback."""


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


class Call:
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
        with _captured(logs), _here_again():
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
        foreign = [f for f in frames if os.path.abspath(f.f_code.co_filename) not in _OURS]
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


@contextlib.contextmanager
def _here_again() -> Iterator[None]:
    """A function that goes to another directory does not take this process along."""
    try:
        before = os.getcwd()
    except OSError:  # somebody has removed it
        before = None
    try:
        yield
    finally:
        if before is not None:
            os.chdir(before)


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
